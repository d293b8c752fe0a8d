//! A module of one's own: typed input, typed output, a contract.
//!
//! A module states what it is for (the kinds of intent), what it may do (its tier), whom
//! it serves (the audience's state) and which layers must have agreed. Most of that is
//! checked when it is compiled; the rest when it is registered and again on each route.
//! [`Registry`] runs it behind a committed route; [`TypedJob`] ties a job to a kind, a
//! state and a mode, so that the compiler refuses a module that does not fit.
//!
//! Run it with `cargo run --example own_module`.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use prospera::execution::markers::{mode, state, tier};
use prospera::execution::{
    Admission, Arguments, Call, Execution, ExecutionEngine, FromArguments, IdempotencyKey,
    InputError, IntentKind, IntoOutput, Job, Module, ModuleError, Output, Reconciled, Registry,
    TypedJob, TypedJobError,
};
use prospera::id::{LayerId, ModuleId};
use prospera::intent::schema::{Shape, Shapes};
use prospera::intent::{Catalogue, KindSpec};
use prospera::provenance::Label;
use prospera::routing::{EngineSet, Router};
use prospera::ssot::memory::MemoryStore;
use prospera::testing::world::{
    BEGIN, Calls, Failure, Setup, SharedClock, request, row, rule, session,
};
use prospera::value::Value;
use prospera::verdict::{CapabilityTier, Reason, ReasonCode, SafetyFlags, Verdict};

/// The kind of intent, as a type.
struct Reserve;

impl IntentKind for Reserve {
    const ID: &'static str = "room.reserve";
    type Tier = tier::Act;
}

/// What the module reads. It may borrow from the intent.
struct Wish<'a> {
    room: &'a str,
    seats: i64,
}

impl<'a> FromArguments<'a> for Wish<'a> {
    fn from_arguments(arguments: &Arguments<'a>) -> Result<Self, InputError> {
        let seats: i64 = arguments.optional("seats")?.unwrap_or(1);
        if seats < 1 {
            let message = "expected at least one seat".into();
            return Err(InputError::Invalid { name: "seats", message });
        }
        Ok(Self { room: arguments.required("room")?, seats })
    }
}

/// What it gives back.
struct Reservation {
    number: i64,
}

impl IntoOutput for Reservation {
    fn into_output(self) -> Output {
        let entries = [("reservation".into(), Value::from(self.number))];
        Output { value: Value::Map(entries.into()), label: Label::empty() }
    }
}

/// Reserves rooms. Each effect is kept under its key, so that it happens once and can be
/// found again after a crash.
#[derive(Default)]
struct Rooms {
    taken: Mutex<BTreeMap<IdempotencyKey, (String, i64)>>,
}

impl Module for Rooms {
    const ID: &'static str = "rooms";
    const VERSION: &'static str = "1.0";
    const LAYERS: &'static [LayerId] = &[LayerId::Safety, LayerId::Governance];
    const INTENTS: &'static [&'static str] = &["room.reserve"];
    type RequiredState = state::Base;
    type Tier = tier::Act;
    type Input<'a> = Wish<'a>;
    type Output = Reservation;

    fn run(&self, wish: Wish<'_>, call: &Call<'_>) -> Result<Reservation, ModuleError> {
        let mut taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.values().any(|(room, _)| room == wish.room) {
            return Err(ModuleError::NoEffect(format!("room `{}` is taken", wish.room)));
        }
        taken.insert(call.key(), (wish.room.into(), wish.seats));
        Ok(Reservation { number: i64::try_from(taken.len()).unwrap_or(i64::MAX) })
    }

    fn reconcile(&self, key: IdempotencyKey) -> Reconciled {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        if taken.contains_key(&key) { Reconciled::Happened(None) } else { Reconciled::NotHappened }
    }
}
// Does not compile when kinds and tiers are not those of the contract.
prospera::serves!(Rooms: Reserve);

/// An execution engine for this one module, all of whose calls the compiler checks. For
/// modules whose contracts come from configuration there is [`Registry`].
#[derive(Default)]
struct OnlyRooms(Rooms);

impl ExecutionEngine for OnlyRooms {
    fn admit(&self, job: &Admission<'_>) -> Result<(), Reason> {
        let known =
            job.module.as_str() == Rooms::ID && job.intent.kind().id.as_str() == Reserve::ID;
        if known { Ok(()) } else { Err(ReasonCode::ModuleUnknown.into()) }
    }

    fn execute(&self, job: &Job<'_>) -> Execution {
        // An audience in BASE or VERIFIED, in the normal mode: everything else fails here.
        let run = || match TypedJob::<Reserve, state::Verified, mode::Normal>::new(job) {
            Ok(job) => job.run(&self.0),
            Err(_) => TypedJob::<Reserve, state::Base, mode::Normal>::new(job)?.run(&self.0),
        };
        match run() {
            Ok(reservation) => Execution::Done(reservation.into_output()),
            Err(TypedJobError::Run(ModuleError::Unknown(why))) => {
                Execution::Unknown(Reason::new(ReasonCode::OutcomeUnknown).detail(why))
            }
            Err(error) => {
                Execution::Failed(Reason::new(ReasonCode::ModuleFailed).detail(error.to_string()))
            }
        }
    }

    fn reconcile(&self, _: &ModuleId, key: IdempotencyKey) -> Reconciled {
        Module::reconcile(&self.0, key)
    }
}

/// One kind, one rule that allows it, one row that leads to the module.
fn setup(registry: Registry) -> Result<Setup, Failure> {
    let shapes = Shapes::new().required("room", Shape::Text).optional("seats", Shape::Integer);
    let kind = KindSpec::new(Reserve::ID.parse()?, "work".parse()?)
        .tier(CapabilityTier::Act)
        .flags(SafetyFlags::EFFECT)
        .check(shapes);
    let catalogue = Catalogue::builder("1".parse()?).kind(kind).build()?;
    let rules = vec![rule("reserve", Verdict::Allow, Reserve::ID)?];
    Setup::of(catalogue, rules, vec![row(Reserve::ID, Rooms::ID)?], registry, Calls::default())
}

fn main() -> Result<(), Failure> {
    let mut registry = Registry::new();
    registry.register(Rooms::default())?;
    let world = setup(registry)?.build()?;
    let mut desk = world.open("alice", "s-1")?;
    for (room, seats) in [("blue", 4), ("blue", 2), ("green", 0)] {
        let wish = [("room", room.into()), ("seats", Value::from(seats))];
        let intent = world.catalogue.intent(request(Reserve::ID, &wish)?)?;
        let routed = world.router.route(&mut desk, intent.into())?;
        let outcome = routed.outcome.map(|o| o.reasons.iter().map(ToString::to_string).collect());
        let why: Vec<String> = outcome.unwrap_or_default();
        match routed.output {
            Some(output) => println!("{room}: {} {}", routed.verdict, output.value),
            None => println!("{room}: {} but {}", routed.verdict, why.join(", ")),
        }
    }

    // The same under the engine whose calls are typed.
    let (engines, rules, catalogue) = setup(Registry::new())?.into_parts()?;
    let engines = EngineSet {
        identity: engines.identity,
        intent: engines.intent,
        modeling: engines.modeling,
        memory: engines.memory,
        safety: engines.safety,
        governance: engines.governance,
        pipeline: engines.pipeline,
        execution: OnlyRooms::default(),
    };
    let alice = session(engines.identity.policy(), "alice", "s-1", None, BEGIN)?;
    let clock = SharedClock::new(BEGIN);
    let router = Router::new(engines, rules, MemoryStore::new(), clock, "operator".parse()?)?;
    let mut desk = router.open(alice)?;
    let intent = catalogue.intent(request(Reserve::ID, &[("room", "red".into())])?)?;
    let done = router.route(&mut desk, intent.into())?;
    println!("typed: {} {}", done.verdict, done.output.map_or(Value::Null, |o| o.value));
    Ok(())
}
