//! What goes back loses what came after, and Step 8 looks at the Routing ID once more.

use core::cell::Cell;

use super::*;
use crate::audience::state::State;
use crate::execution::{Admission, ExecutionEngine, Job, Reconciled};
use crate::governance::{TokenClaims, TokenMint};
use crate::identity::{HostClaims, IdentityPolicy, PrincipalKind, VerifiedClaims};
use crate::intent::RoutingComponents;
use crate::intent::testing::Sample;
use crate::pipeline::{PipelineEngine, PipelineInput, Template};
use crate::routing::table::{Pattern, RoutingTable, Row};
use crate::routing::terminal::Terminal as _;
use crate::verdict::{CapabilityTier, Consensus};

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn template() -> Template {
    Template {
        id: "notes".parse().unwrap(),
        mode: SafetyMode::Protected,
        engines: Vec::new(),
        modules: Vec::from(["act".parse().unwrap()]),
        branches: Vec::from([crate::pipeline::Branch {
            id: "act".parse().unwrap(),
            all_flags: SafetyFlags::NONE,
            no_flags: SafetyFlags::NONE,
            modes: Vec::new(),
            states: Vec::new(),
            module: "act".parse().unwrap(),
        }]),
    }
}

/// A route that has been to the end of Step 7, with something learnt at every step.
fn learnt() -> Box<Core> {
    let claims = VerifiedClaims::vouched_by_host(HostClaims {
        principal: "alice".parse().unwrap(),
        kind: PrincipalKind::Human,
        subject: "alice".parse().unwrap(),
        session: "s-1".parse().unwrap(),
        roles: alloc::collections::BTreeSet::new(),
        scopes: alloc::collections::BTreeSet::new(),
        delegation: Vec::new(),
        consent: true,
        strength: Risk::MAX,
        issued_at: NOW,
        expires_at: NOW.plus_millis(1_000),
    });
    let policy =
        IdentityPolicy::builder("issuer".parse().unwrap(), "here".parse().unwrap()).build();
    let session = Session::open(claims, NOW, &policy).unwrap();
    let facts = Facts::of(session.subject().clone());
    let intent = Sample::new("note.add", CapabilityTier::Act, SafetyFlags::EFFECT).build();
    let package = RoutingPackage::new(RoutingComponents {
        intent: intent.hash(),
        objective: intent.objective().hash(),
        snapshot: facts.snapshot(),
        flags: SafetyFlags::EFFECT,
        consensus: Consensus::NONE,
    });
    let reception = Reception {
        session: &session,
        state: State::Verified,
        class: 2,
        snapshot: facts.snapshot(),
        pins: Digest::ZERO,
        standing: Consensus::NONE,
        now: NOW,
        wait_until: NOW,
    };
    let mut core = Route::receive(Submission::Intent(intent), &reception).core;
    for layer in LayerId::ALL.into_iter().filter(|layer| *layer < LayerId::Execution) {
        core.note(layer, StepResult::Passed, Vec::new());
    }
    let template = template();
    let path = ExecutionPath::single(&template, &template.branches[0], template.mode).unwrap();
    core.block.routing_id = Some(package.id());
    core.block.flags = SafetyFlags::EFFECT;
    core.block.raised = SafetyFlags::BULK;
    core.block.drift = Drift::Soft;
    core.block.surprise = Risk::MAX;
    core.block.risk = Risk::MAX;
    core.block.narrowing.read_only = true;
    core.block.approval = Some(Digest::ZERO);
    core.block.approver = Some("manager".parse().unwrap());
    core.block.template = Some(template.id.clone());
    core.block.mode = SafetyMode::Protected;
    core.block.verdict = Verdict::Allow;
    core.packaged = Some(package.components().consensus);
    core.path = Some(path);
    core.key = Some(IdempotencyKey::from_evidence(Digest::ZERO));
    core
}

/// D-25, IRM-2.8: everything learnt in the target layer and after it is gone, the rest stays.
#[test]
fn d_25_going_back_loses_what_was_learnt_after() {
    for target in LayerId::ALL.into_iter().filter(|layer| *layer < LayerId::Execution) {
        let back = go_back(learnt(), target, Digest::ZERO);
        let block = &back.block;
        let kept = |layer: LayerId| layer < target;
        assert_eq!(back.packaged.is_some(), kept(LayerId::Intent), "{target}");
        assert_eq!(block.routing_id.is_some(), kept(LayerId::Intent), "{target}");
        assert_eq!(!block.flags.is_empty(), kept(LayerId::Intent), "{target}");
        assert_eq!(block.drift == Drift::Soft, kept(LayerId::Modeling), "{target}");
        assert_eq!(block.surprise == Risk::MAX, kept(LayerId::Modeling), "{target}");
        assert_eq!(block.risk == Risk::MAX, kept(LayerId::Safety), "{target}");
        assert_eq!(!block.raised.is_empty(), kept(LayerId::Safety), "{target}");
        assert_eq!(block.narrowing.read_only, kept(LayerId::Safety), "{target}");
        assert_eq!(block.approval.is_some(), kept(LayerId::Governance), "{target}");
        assert_eq!(block.approver.is_some(), kept(LayerId::Governance), "{target}");
        assert!(back.path.is_none() && block.template.is_none() && block.token.is_none());
        assert_eq!((block.mode, block.verdict), (SafetyMode::Normal, Verdict::Deny));
        let (last, before) = block.trace.split_last().unwrap();
        assert_eq!((last.layer, last.result), (target, StepResult::Backtracked), "on record");
        assert!(before.iter().all(|entry| kept(entry.layer)), "{target}");
        for layer in LayerId::ALL.into_iter().filter(|layer| !kept(*layer)) {
            assert_eq!(block.consensus.vote(layer), Vote::Abstain, "{target} {layer}");
        }
        assert_eq!(block.backtrack, Some(Digest::ZERO));
    }
}

/// Counts how often it was asked to execute.
#[derive(Default)]
struct Counting(Cell<u32>);

impl ExecutionEngine for Counting {
    fn admit(&self, _: &Admission<'_>) -> Result<(), Reason> {
        Ok(())
    }

    fn execute(&self, _: &Job<'_>) -> Execution {
        self.0.set(self.0.get() + 1);
        Execution::Failed(Reason::new(ReasonCode::ModuleFailed))
    }

    fn reconcile(&self, _: &crate::id::ModuleId, _: IdempotencyKey) -> Reconciled {
        Reconciled::Unknown
    }
}

/// D-23, IRM-4.8.3: evidence that names another Routing ID than the components give is not
/// executed.
#[test]
fn d_23_execution_compares_the_routing_id_once_more() {
    let engine = Counting::default();
    let execute = |core| {
        let route: Route<layers::Committed> = Route::at(core);
        let done = route.execute(&engine, State::Verified, NOW);
        done.outcome().reasons[0].code
    };
    assert_eq!(execute(learnt()), ReasonCode::ModuleFailed, "asked, and it answered");
    assert_eq!(engine.0.get(), 1);
    let mut other = learnt();
    let components = other.components().unwrap();
    let changed = RoutingComponents { flags: SafetyFlags::NONE, ..components };
    other.block.routing_id = Some(changed.id());
    assert_eq!(execute(other), ReasonCode::RoutingIdMismatch);
    assert_eq!(engine.0.get(), 1, "the module was not asked");
}

/// Plans nothing that anybody asked for, and counts how often it was asked.
#[derive(Default)]
struct Asked(Cell<u32>);

impl PipelineEngine for Asked {
    fn plan(&self, _: &PipelineInput<'_>) -> Result<ExecutionPath, Reason> {
        self.0.set(self.0.get() + 1);
        Err(Reason::new(ReasonCode::BranchUnresolved))
    }
}

/// D-23, IRM-4.7.1: Step 7 computes the Routing ID again. One that was changed since Step 2
/// gets no further, also under a token that was issued for the changed one.
#[test]
fn d_23_the_pipeline_computes_the_routing_id_again() {
    let mut core = learnt();
    let row = Row {
        id: "notes".parse().unwrap(),
        pattern: Pattern::default(),
        template: template(),
        escalation: Vec::new(),
    };
    let table = RoutingTable::build("1".parse().unwrap(), Vec::from([row])).unwrap();
    let mint = TokenMint::new([7; 32]);
    let engine = Asked::default();
    let plan = |core: Box<Core>| {
        let claims = TokenClaims {
            routing_id: core.block.routing_id.unwrap(),
            table: table.digest(),
            state: State::Verified,
            mode: core.block.mode,
            expires_at: NOW.plus_millis(1),
            nonce: [1; 16],
        };
        let route: Route<layers::Governance> = Route::at(core);
        let token = mint.issue(claims);
        let halt = route.plan(&engine, &table, State::Verified, token, &mint, NOW).unwrap_err();
        halt.evidence().trace.last().unwrap().reasons[0].code
    };
    assert_eq!(plan(learnt()), ReasonCode::BranchUnresolved, "the engine was asked");
    let components = core.components().unwrap();
    let changed = RoutingComponents { flags: SafetyFlags::NONE, ..components };
    core.block.routing_id = Some(changed.id());
    assert_eq!(plan(core), ReasonCode::TokenInvalid);
    assert_eq!(engine.0.get(), 1, "only the route whose Routing ID holds");
}
