//! The registry: each clause of a contract broken alone, and what a call is.

use alloc::string::{String, ToString as _};
use alloc::vec;
use alloc::vec::Vec;
use std::sync::Mutex;

use super::markers::{mode, state, tier};
use super::*;
use crate::digest::Domain;
use crate::id::LayerId;
use crate::intent::Kind;
use crate::intent::testing::{intent, kind};
use crate::provenance::Source;
use crate::verdict::{CapabilityTier, ReasonCode, Vote};

#[cfg(feature = "std")]
mod outbox;
#[cfg(all(feature = "process", unix))]
mod process;

pub(super) fn key(number: u64) -> IdempotencyKey {
    IdempotencyKey::from_evidence(Domain::Other.hash(&number.to_le_bytes()))
}

pub(super) fn contract(id: &str, tier: CapabilityTier) -> Contract {
    Contract::new(ContractParts {
        id: id.parse().unwrap(),
        version: "1.0".parse().unwrap(),
        required_state: State::Base,
        tier,
        layers: vec![],
        intents: vec!["k".parse().unwrap()],
    })
    .unwrap()
}

/// Runs `run` with a job for module `module` and the argument `a`.
pub(super) fn with_job<T>(
    module: &str,
    tier: CapabilityTier,
    key: IdempotencyKey,
    run: impl FnOnce(&Job<'_>) -> T,
) -> T {
    let intent = intent(kind("k", tier), &[("a", "one".into())]);
    run(&Job {
        module: &module.parse().unwrap(),
        intent: &intent,
        narrowing: &Narrowing::default(),
        mode: SafetyMode::Normal,
        state: State::Base,
        key,
        now: Timestamp::from_millis(7),
        permit: Permit::of_committed_route(),
    })
}

/// Writes down what it is called with; fails as it is told to.
#[derive(Default)]
struct Recorder {
    seen: Mutex<Vec<String>>,
}

struct Note;
impl IntentKind for Note {
    const ID: &'static str = "note.write";
    type Tier = tier::Commit;
}

impl Module for Recorder {
    const ID: &'static str = "recorder";
    const VERSION: &'static str = "1.0";
    const LAYERS: &'static [LayerId] = &[LayerId::Modeling, LayerId::Safety];
    const INTENTS: &'static [&'static str] = &["note.write"];
    type RequiredState = state::Verified;
    type Tier = tier::Act;
    type Input<'a> = Arguments<'a>;
    type Output = Value;

    fn run(&self, input: Arguments<'_>, call: &Call<'_>) -> Result<Value, ModuleError> {
        let seen = alloc::format!("{} {} {}", call.kind(), call.subject(), input.to_value());
        self.seen.lock().unwrap().push(seen);
        match input.optional::<&str>("fail") {
            Ok(None) => Ok(input.to_value()),
            Ok(Some("no effect")) => Err(ModuleError::NoEffect("nothing to do".into())),
            Ok(Some("unknown")) => Err(ModuleError::Unknown("line lost".into())),
            Ok(Some("large")) => Ok(Value::from("x".repeat(1 << 20).as_str())),
            _ => panic!("told to"),
        }
    }

    fn reconcile(&self, _: IdempotencyKey) -> Reconciled {
        Reconciled::Unknown
    }
}

crate::serves!(Recorder: Note);

fn registry() -> Registry {
    let mut registry = Registry::new();
    registry.register(Recorder::default()).unwrap();
    registry
}

struct Case {
    module: &'static str,
    kind: Kind,
    state: State,
    mode: SafetyMode,
    consensus: Consensus,
}

fn good() -> Case {
    Case {
        module: "recorder",
        kind: kind("note.write", CapabilityTier::Commit),
        state: State::Verified,
        mode: SafetyMode::Normal,
        consensus: Consensus::NONE
            .with(LayerId::Modeling, Vote::Agree)
            .with(LayerId::Safety, Vote::Agree),
    }
}

/// What admission and execution say to a case.
fn both(case: Case) -> (Result<(), Reason>, Execution) {
    let registry = registry();
    let intent = intent(case.kind, &[("a", "one".into())]);
    let module = case.module.parse().unwrap();
    let (state, mode, consensus) = (case.state, case.mode, case.consensus);
    let admitted =
        registry.admit(&Admission { module: &module, intent: &intent, state, mode, consensus });
    let executed = registry.execute(&Job {
        module: &module,
        intent: &intent,
        narrowing: &Narrowing::default(),
        mode,
        state,
        key: key(1),
        now: Timestamp::from_millis(7),
        permit: Permit::of_committed_route(),
    });
    (admitted, executed)
}

/// PLAN-3.6: what the contract allows passes, and each clause broken alone does not,
/// neither at admission nor at execution.
///
/// IRM-4.8.2, PLAN-4.9.1.
#[test]
fn each_clause_of_the_contract_is_kept() {
    let (admitted, executed) = both(good());
    assert_eq!(admitted, Ok(()));
    assert!(matches!(executed, Execution::Done(_)));
    let unknown = Case { module: "other", ..good() };
    let broken = [
        (unknown, ReasonCode::ModuleUnknown, "no module `other`"),
        (
            Case { state: State::Base, ..good() },
            ReasonCode::ContractViolated,
            "expected an audience in state VERIFIED, found BASE",
        ),
        (
            Case { state: State::Escalated, ..good() },
            ReasonCode::ContractViolated,
            "expected an audience in state VERIFIED, found ESCALATED",
        ),
        (
            Case { kind: kind("note.write", CapabilityTier::Observe), ..good() },
            ReasonCode::ContractViolated,
            "expected a tier of Observe or below for kind `note.write`, found Act",
        ),
        (
            Case { mode: SafetyMode::ReadOnly, ..good() },
            ReasonCode::ContractViolated,
            "tier Act may not run in read-only mode",
        ),
        (
            Case { kind: kind("note.read", CapabilityTier::Commit), ..good() },
            ReasonCode::ContractViolated,
            "the module does not serve kind `note.read`",
        ),
    ];
    for (case, code, detail) in broken {
        let (admitted, executed) = both(case);
        let reason = admitted.unwrap_err();
        assert_eq!((reason.code, &*reason.detail), (code, detail));
        assert_eq!(executed, Execution::Failed(reason), "nothing was done");
    }
    let layers = Case { consensus: Consensus::NONE.with(LayerId::Safety, Vote::Agree), ..good() };
    let reason = both(layers).0.unwrap_err();
    assert_eq!(&*reason.detail, "Modeling must agree, votes are ....+...");
}

fn execute(arguments: &[(&str, Value)], narrowing: &Narrowing) -> Execution {
    let intent = intent(
        Kind {
            reads_outside: Some("web".parse().unwrap()),
            ..kind("note.write", CapabilityTier::Commit)
        },
        arguments,
    );
    registry().execute(&Job {
        module: &"recorder".parse().unwrap(),
        intent: &intent,
        narrowing,
        mode: SafetyMode::Protected,
        state: State::Privileged,
        key: key(1),
        now: Timestamp::from_millis(7),
        permit: Permit::of_committed_route(),
    })
}

/// D-52: what was taken away does not reach the module, the rest does.
#[test]
fn dropped_arguments_do_not_reach_the_module() {
    let narrowing = Narrowing { drop_arguments: vec!["b".into()], ..Narrowing::default() };
    let Execution::Done(output) = execute(&[("a", 1.into()), ("b", 2.into())], &narrowing) else {
        panic!("not done")
    };
    assert_eq!(output.value.to_string(), r#"{"a":1}"#);
}

/// What flowed into an output is on its label.
#[test]
fn an_output_is_labelled_with_all_it_came_from() {
    let Execution::Done(output) = execute(&[("a", 1.into())], &Narrowing::default()) else {
        panic!("not done")
    };
    let sources: Vec<_> = output.label.sources().cloned().collect();
    let module = Source::Module("recorder".parse().unwrap());
    assert_eq!(sources, [Source::User, module, Source::Outside("web".parse().unwrap())]);
}

/// D-27: a module that failed, one that does not know, and one that broke down.
// A module that panics is caught only where there is `std` to catch it.
#[cfg(feature = "std")]
#[test]
fn failures_say_whether_something_was_done() {
    let fail = |how: &str| execute(&[("fail", how.into())], &Narrowing::default());
    let code = |execution| match execution {
        Execution::Done(_) => panic!("done"),
        Execution::Failed(reason) => ("failed", reason.code),
        Execution::Unknown(reason) => ("unknown", reason.code),
    };
    assert_eq!(code(fail("no effect")), ("failed", ReasonCode::ModuleFailed));
    assert_eq!(code(fail("unknown")), ("unknown", ReasonCode::OutcomeUnknown));
    assert_eq!(code(fail("large")), ("unknown", ReasonCode::OutputInvalid));
    assert_eq!(code(fail("panic")), ("unknown", ReasonCode::OutcomeUnknown));
}

#[test]
fn a_name_is_registered_once() {
    let mut registry = registry();
    let error = registry.register(Recorder::default()).unwrap_err();
    assert_eq!(error.to_string(), "module `recorder` is registered already");
}

/// The bytes and the digest of a contract are fixed.
#[test]
fn a_contract_has_known_bytes() {
    let contract = Contract::of::<Recorder>().unwrap();
    let bytes = b"\x01\0\x02\0\x08\0\0\0recorder\x01\0\0\0\x03\x01\
                  \x02\0\0\0\x03\x05\x01\0\0\0\x0a\0\0\0note.write";
    assert_eq!(contract.to_canonical(), bytes);
    let digest = blake3::derive_key("prospera 2026 module contract v1", bytes);
    assert_eq!(contract.digest().as_bytes(), &digest);
}

#[test]
fn what_is_no_contract_is_refused() {
    let parts = |change: fn(&mut ContractParts)| {
        let mut parts = ContractParts {
            id: "m".parse().unwrap(),
            version: "1.0".parse().unwrap(),
            required_state: State::Base,
            tier: CapabilityTier::Act,
            layers: vec![LayerId::Memory],
            intents: vec!["k".parse().unwrap()],
        };
        change(&mut parts);
        Contract::new(parts).map(|_| ())
    };
    assert_eq!(parts(|_| ()), Ok(()));
    assert!(matches!(parts(|p| p.intents.clear()), Err(ContractError::NoIntents)));
    let twice: fn(&mut ContractParts) = |p| p.intents.push("k".parse().unwrap());
    assert!(matches!(parts(twice), Err(ContractError::DuplicateIntent { .. })));
    for layer in [LayerId::Memory, LayerId::Identity, LayerId::Execution] {
        let mut bad = ContractParts {
            id: "m".parse().unwrap(),
            version: "1.0".parse().unwrap(),
            required_state: State::Base,
            tier: CapabilityTier::Act,
            layers: vec![LayerId::Memory, layer],
            intents: vec!["k".parse().unwrap()],
        };
        assert_eq!(Contract::new(bad.clone()), Err(ContractError::Layers { found: layer }));
        bad.layers.pop();
        assert!(Contract::new(bad).is_ok());
    }
    let hold: fn(&mut ContractParts) = |p| p.required_state = State::Hold;
    assert!(matches!(parts(hold), Err(ContractError::State { .. })));
    for version in ["", "1", "1.", ".1", "01.0", "1.00", "1.0.0", "a.b", "1.-1", "99999.0"] {
        assert!(Version::parse(version).is_none(), "{version}");
    }
    assert_eq!(Version::parse("10.203"), Some(Version { major: 10, minor: 203 }));
}

/// The typed face: a job is tied to its types by what it is.
#[test]
fn a_typed_job_is_what_its_types_say() {
    let intent = intent(kind("note.write", CapabilityTier::Commit), &[("a", 1.into())]);
    let job = Job {
        module: &"recorder".parse().unwrap(),
        intent: &intent,
        narrowing: &Narrowing::default(),
        mode: SafetyMode::Normal,
        state: State::Verified,
        key: key(1),
        now: Timestamp::from_millis(7),
        permit: Permit::of_committed_route(),
    };
    let module = Recorder::default();
    let typed = TypedJob::<Note, state::Verified, mode::Normal>::new(&job).unwrap();
    assert_eq!(typed.run(&module).unwrap().to_string(), r#"{"a":1}"#);
    assert_eq!(module.seen.lock().unwrap().len(), 1);
    let permit = Permit::of_committed_route;
    let other = Job { module: &"other".parse().unwrap(), permit: permit(), ..job };
    let typed = TypedJob::<Note, state::Verified, mode::Normal>::new(&other).unwrap();
    assert!(matches!(typed.run(&module), Err(TypedJobError::Module { .. })));
    let base = Job { state: State::Base, permit: permit(), ..job };
    let state = TypedJob::<Note, state::Verified, mode::Normal>::new(&base).unwrap_err();
    assert_eq!(state.to_string(), "expected an audience in state VERIFIED, found BASE");
    let mode = TypedJob::<Note, state::Verified, mode::ReadOnly>::new(&job).unwrap_err();
    assert!(matches!(mode, TypedJobError::Mode { .. }));
    assert_eq!(module.seen.lock().unwrap().len(), 1, "nothing else ran");
}
