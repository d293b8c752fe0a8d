//! Steps 6 and 7: Governance mints the token, the Pipeline consumes it.

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec::Vec;

use super::{Core, Route, intent_of, malformed};
use crate::audience::classifier::Class;
use crate::audience::state::State;
use crate::governance::{
    Approval, ApprovalRequest, ApprovalToken, Authority, Decision, Expectations, GovernanceEngine,
    GovernanceInput, KernelInput, Ruling, TokenClaims, TokenMint, kernel_rule,
};
use crate::id::{KindId, LayerId, Name, RuleId};
use crate::identity::Session;
use crate::intent::RoutingId;
use crate::pipeline::{ExecutionPath, PipelineEngine, PipelineInput};
use crate::provenance::Label;
use crate::routing::evidence::StepResult;
use crate::routing::layers::{self, Position, Precedes};
use crate::routing::table::{EscalationAction, RoutingTable, Row};
use crate::routing::terminal::{Deferred, Denied, GovernanceStop, PipelineHalt, SteppedUp};
use crate::safety::SafetyDecision;
use crate::time::Timestamp;
use crate::verdict::{KernelDecision, Reason, ReasonCode, SafetyMode, Verdict};

/// What Governance is shown beside the route.
#[derive(Debug, Clone, Copy)]
pub struct GovernanceView<'a> {
    /// The session.
    pub session: &'a Session,
    /// The audience's state.
    pub state: State,
    /// The audience's class.
    pub class: Class,
    /// Everything the session has read so far.
    pub context: &'a Label,
    /// How often each kind was executed in this session.
    pub history: &'a BTreeMap<KindId, u32>,
    /// A decision on exactly this intent that was not used yet.
    pub approval: Option<&'a Approval>,
    /// Whether the subject's lineage verified when it was restored.
    pub lineage_intact: bool,
    /// Whether the audience's matrix cell asks for a person (D-4).
    pub ask: bool,
    /// How long a token lives, in milliseconds.
    pub token_millis: u64,
    /// Sixteen bytes that no other token of this mint has.
    pub nonce: [u8; 16],
}

impl<'a> GovernanceView<'a> {
    fn authority(&self) -> Authority<'a> {
        Authority {
            principal: self.session.principal(),
            kind: self.session.kind().name(),
            scopes: self.session.scopes(),
            delegation: self.session.delegation().len(),
        }
    }
}

impl<P: Position> Route<P> {
    /// Step 6 (IRM-4.6): may it be done. Checks the Kernel Constitutional Rules,
    /// the rules in force, and the table row's escalation rules; then mints the
    /// Routing Approval Token, bound to this route.
    ///
    /// # Errors
    /// [`GovernanceStop`]: denied, stepped up to a person, or deferred.
    ///
    /// Requirements: IRM-3.4.3, IRM-4.6.4, IRM-4.6.5.
    pub fn govern<E>(
        mut self,
        engine: &E,
        view: &GovernanceView<'_>,
        table: &RoutingTable,
        mint: &TokenMint,
    ) -> Result<(Route<layers::Governance>, ApprovalToken), GovernanceStop>
    where
        P: Precedes<layers::Governance>,
        E: GovernanceEngine + ?Sized,
    {
        let core = &mut *self.core;
        let (Some(intent), Some(components), Some(routing_id)) =
            (core.submission.intent(), core.components(), core.block.routing_id)
        else {
            core.stop(LayerId::Governance, Verdict::Deny, malformed());
            return Err(GovernanceStop::Denied(Denied::new(self.core)));
        };
        let kernel = engine.kernel(&KernelInput {
            state: view.state,
            flags: core.flags(),
            tier: intent.kind().tier,
            authority: view.authority(),
            risk: core.block.risk,
            label: intent.label(),
            lineage_intact: view.lineage_intact,
        });
        if let KernelDecision::Violation(rule) = kernel.decision() {
            let reason = kernel_reason(rule);
            core.stop(LayerId::Governance, Verdict::Deny, alloc::vec![reason]);
            return Err(GovernanceStop::Denied(Denied::new(self.core)));
        }
        let held = core.safety.as_ref().is_some_and(|f| f.decision == SafetyDecision::Hold);
        let input = GovernanceInput {
            intent,
            routing_id,
            authority: view.authority(),
            state: view.state,
            class: letter(view.class),
            flags: core.flags(),
            risk: core.block.risk,
            drift: core.block.drift,
            safety_hold: held || view.ask,
            context: view.context,
            history: view.history,
            approval: view.approval,
            now: core.block.timestamp,
        };
        let row = table.find(&intent.kind().id, &components);
        let ruling = escalate(engine.rule(&input), row, &input);
        core.block.approval = used_approval(view.approval, &ruling);
        match ruling.decision {
            Decision::Allow => {
                core.block.verdict = Verdict::Allow;
                let reasons = named(ruling.reasons, ruling.rule, ReasonCode::RuleAllow);
                core.note(LayerId::Governance, StepResult::Passed, reasons);
            }
            Decision::Modify(narrowing) => {
                core.block.narrowing.absorb(narrowing);
                let reasons = named(ruling.reasons, ruling.rule, ReasonCode::RuleModify);
                core.note(LayerId::Governance, StepResult::Narrowed, reasons);
            }
            Decision::StepUp(request) => {
                core.block.approver = Some(request.role.clone());
                core.block.wait_until = Some(request.expires_at);
                core.stop(LayerId::Governance, Verdict::StepUp, ruling.reasons);
                return Err(GovernanceStop::SteppedUp(SteppedUp::new(self.core, request)));
            }
            Decision::Defer { missing, until } => {
                core.block.wait_until = Some(until);
                core.stop(LayerId::Governance, Verdict::Defer, ruling.reasons);
                let stop = Deferred::new(self.core, missing, until);
                return Err(GovernanceStop::Deferred(stop));
            }
            Decision::Deny => {
                core.stop(LayerId::Governance, Verdict::Deny, ruling.reasons);
                return Err(GovernanceStop::Denied(Denied::new(self.core)));
            }
        }
        core.block.verdict =
            if core.block.narrowing.is_empty() { Verdict::Allow } else { Verdict::Modify };
        core.block.mode = mode_of(core, row);
        let token = mint.issue(TokenClaims {
            routing_id,
            table: table.digest(),
            state: view.state,
            mode: core.block.mode,
            expires_at: core.block.timestamp.plus_millis(view.token_millis),
            nonce: view.nonce,
        });
        core.block.token = Some(token.evidence());
        Ok((Route::at(self.core), token))
    }

    /// Step 7 (IRM-4.7): consumes the token, resolves the one table row, eliminates
    /// branches until one path is left. The Routing ID is recomputed and compared.
    ///
    /// # Errors
    /// [`PipelineHalt`]: halt and re-evaluation (IRM-5.1). The token is spent.
    ///
    /// Requirements: IRM-3.4.1, IRM-3.4.4, IRM-4.7.1, IRM-7.3.
    pub fn plan<E>(
        mut self,
        engine: &E,
        table: &RoutingTable,
        state: State,
        token: ApprovalToken,
        mint: &TokenMint,
        now: Timestamp,
    ) -> Result<Route<layers::Pipeline>, PipelineHalt>
    where
        P: Precedes<layers::Pipeline>,
        E: PipelineEngine + ?Sized,
    {
        let core = &mut *self.core;
        // Recomputed once at this step (D-23), for the token and for the table.
        let recomputed = core.components().map(|components| components.id());
        let planned = recomputed.ok_or(Reason::new(ReasonCode::IntentMalformed)).and_then(|id| {
            redeem(core, table, id, state, token, mint, now)?;
            plan(core, engine, table, id, state)
        });
        match planned {
            Ok((path, row)) => {
                core.block.template = Some(path.template().clone());
                core.block.branch = Some(path.branch().clone());
                core.block.module = Some(path.module().clone());
                core.block.mode = path.mode();
                core.path = Some(path);
                let reason = Reason::new(ReasonCode::PathResolved).by(row);
                core.note(LayerId::Pipeline, StepResult::Passed, alloc::vec![reason]);
                Ok(Route::at(self.core))
            }
            Err(reason) => {
                core.stop(LayerId::Pipeline, Verdict::Deny, alloc::vec![reason]);
                Err(PipelineHalt::new(self.core))
            }
        }
    }
}

fn plan<E: PipelineEngine + ?Sized>(
    core: &Core,
    engine: &E,
    table: &RoutingTable,
    recomputed: RoutingId,
    state: State,
) -> Result<(ExecutionPath, RuleId), Reason> {
    let (Some(intent), Some(components), Some(id)) =
        (intent_of(core), core.components(), core.block.routing_id)
    else {
        return Err(Reason::new(ReasonCode::IntentMalformed));
    };
    let row = table
        .resolve_as(&intent.kind().id, &components, recomputed, id)
        .map_err(|error| Reason::new(error.code()).detail(error.detail()))?;
    let input = PipelineInput {
        intent,
        template: &row.template,
        flags: core.flags(),
        state,
        narrowing: &core.block.narrowing,
        consensus: core.settled(),
    };
    // No engine can override what the row allows (IRM-3.4): its path is checked.
    let path = engine.plan(&input).and_then(|path| path.fits(&input).map(|()| path));
    path.map(|path| (path, row.id.clone())).map_err(|reason| match reason.rule {
        None => reason.by(row.id.clone()),
        Some(_) => reason,
    })
}

/// Every verdict names its rule, also the one that lets pass.
fn named(mut reasons: Vec<Reason>, rule: Option<RuleId>, code: ReasonCode) -> Vec<Reason> {
    if reasons.is_empty() {
        return rule.map(|rule| alloc::vec![Reason::new(code).by(rule)]).unwrap_or_default();
    }
    if let Some(rule) = rule
        && !reasons.iter().any(|reason| reason.rule.as_ref() == Some(&rule))
    {
        reasons.push(Reason::new(code).by(rule));
    }
    reasons
}

/// Spends the token against what is known of the route (D-28): the Routing ID is
/// computed again from its components, not taken from the token.
fn redeem(
    core: &Core,
    table: &RoutingTable,
    recomputed: RoutingId,
    state: State,
    token: ApprovalToken,
    mint: &TokenMint,
    now: Timestamp,
) -> Result<(), Reason> {
    let expected = Expectations {
        routing_id: recomputed,
        table: table.digest(),
        state,
        mode: core.block.mode,
        now,
    };
    match token.redeem(mint, &expected) {
        Ok(_) => Ok(()),
        Err(error) => Err(Reason::new(ReasonCode::TokenInvalid).detail(error.to_string())),
    }
}

/// The class's letter, as rules name it.
const fn letter(class: Class) -> char {
    match class {
        Class::A => 'A',
        Class::B => 'B',
        Class::C => 'C',
    }
}

/// The kernel rule that was violated, as a reason.
fn kernel_reason(number: u8) -> Reason {
    let reason = Reason::new(ReasonCode::KernelViolation);
    match kernel_rule(number) {
        None => reason,
        Some(rule) => match RuleId::new(rule.id) {
            Ok(id) => reason.by(id).detail(rule.statement),
            Err(_) => reason.detail(rule.statement),
        },
    }
}

/// The mode the token is bound to: what was taken away, and never looser than the row's.
fn mode_of(core: &Core, row: Option<&Row>) -> SafetyMode {
    let narrowing = &core.block.narrowing;
    let narrowed = if narrowing.read_only {
        SafetyMode::ReadOnly
    } else if narrowing.is_empty() {
        SafetyMode::Normal
    } else {
        SafetyMode::Protected
    };
    row.map_or(narrowed, |row| row.template.mode.max(narrowed))
}

/// Applies the row's escalation rules (IRM-3.2.5) to a ruling: they can only make it
/// stricter. A role asked here covers no other: it must be the approval's own.
fn escalate(ruling: Ruling, row: Option<&Row>, input: &GovernanceInput<'_>) -> Ruling {
    let Some(row) = row else { return ruling };
    if ruling.decision == Decision::Deny {
        return ruling;
    }
    let passes = matches!(ruling.decision, Decision::Allow | Decision::Modify(_));
    let strictest = (row.escalation.iter())
        .filter(|rule| rule.holds(input.risk, input.drift, input.flags))
        .map(|rule| &rule.then)
        .max();
    let reason = |code| alloc::vec![Reason::new(code).by(row.id.clone())];
    let (decision, reasons) = match strictest {
        None => return ruling,
        Some(EscalationAction::StepUp { .. }) if !passes => return ruling,
        Some(EscalationAction::StepUp { role, timeout_millis }) => {
            match input.approval.map(|approval| standing(approval, role, input)) {
                Some(Standing::Holds) => return ruling,
                Some(Standing::Denies(code)) => {
                    let (decision, rule) = (Decision::Deny, Some(row.id.clone()));
                    return Ruling { decision, rule, reasons: reason(code) };
                }
                Some(Standing::OtherRole) | None => {}
            }
            let reasons = reason(ReasonCode::RuleStepUp);
            let until = input.now.plus_millis(*timeout_millis);
            let request = ApprovalRequest::new(input, role.clone(), until, &reasons);
            (Decision::StepUp(request), reasons)
        }
        Some(EscalationAction::Deny) => (Decision::Deny, reason(ReasonCode::RuleDeny)),
    };
    Ruling { decision, rule: Some(row.id.clone()), reasons }
}

/// What an approval is worth where a row asks for one.
enum Standing {
    Holds,
    OtherRole,
    Denies(ReasonCode),
}

fn standing(approval: &Approval, role: &Name, input: &GovernanceInput<'_>) -> Standing {
    if approval.intent != input.intent.hash() {
        Standing::OtherRole
    } else if !approval.granted {
        Standing::Denies(ReasonCode::ApprovalRefused)
    } else if approval.approver == *input.authority.principal {
        Standing::Denies(ReasonCode::KernelViolation)
    } else if input.now >= approval.expires_at {
        Standing::Denies(ReasonCode::ApprovalExpired)
    } else if approval.role == *role {
        Standing::Holds
    } else {
        Standing::OtherRole
    }
}

/// The approval a ruling rests on: it is used up by any ruling that lets pass.
fn used_approval(approval: Option<&Approval>, ruling: &Ruling) -> Option<crate::digest::Digest> {
    let passes = matches!(ruling.decision, Decision::Allow | Decision::Modify(_));
    approval.filter(|a| passes && a.granted).map(|a| a.record)
}
