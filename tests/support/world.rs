//! A small world for the tests of routing: the eight default engines, a catalogue, a
//! table, rules, two modules that record every run, and people to act in it.
//!
//! Every test file includes this one as a module; none uses all of it.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::unwrap_used,
    clippy::panic,
    clippy::unused_self,
    reason = "shared by several test crates, each of which uses a part of it"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use prospera::audience::causes::RestrictionThreshold;
use prospera::audience::classifier::{Classifier, Criteria, Thresholds};
use prospera::audience::gate::Gate;
use prospera::audience::matrix::Matrix;
use prospera::digest::Digest;
use prospera::execution::markers::{state, tier};
use prospera::execution::{
    Arguments, Call, FromArguments, IdempotencyKey, InputError, Module, ModuleError, Reconciled,
    Registry,
};
use prospera::governance::{Governor, Policy, TokenMint};
use prospera::id::{LayerId, Name, PrincipalId, SessionId};
use prospera::identity::{
    HostClaims, IdentityPolicy, IdentitySystem, PrincipalKind, Session, VerifiedClaims,
};
use prospera::intent::package::CatalogueEngine;
use prospera::intent::{Argument, Catalogue, Malformed, Objective, ReadFact, Request, Submission};
use prospera::memory::{MemorySystem, NewFact};
use prospera::modeling::{BehaviourModel, ModelingConfig, Profile};
use prospera::pipeline::PathPlanner;
use prospera::provenance::{Label, Source};
use prospera::risk::Risk;
use prospera::routing::{Desk, EngineSet, Engines, Pins, Router, RouterError, RoutingTable, Rules};
use prospera::safety::{Envelope, SafetySystem};
use prospera::ssot::record::{StreamId, StreamKind};
use prospera::ssot::store::Store;
use prospera::ssot::verify::verify_stream;
use prospera::time::{Clock, FixedClock, Timestamp};
use prospera::verdict::{Reason, ReasonCode, SafetyMode};

pub const CATALOGUE: &str = include_str!("world/catalogue.toml");
pub const TABLE: &str = include_str!("world/table.toml");
pub const GOVERNANCE: &str = include_str!("world/governance.toml");
pub const ENVELOPE: &str = include_str!("world/envelope.toml");
pub const MODELING: &str = include_str!("world/modeling.toml");

/// When everything begins.
pub const START: Timestamp = Timestamp::from_millis(1_800_000_000_000);

pub type TestEngines = EngineSet<
    IdentitySystem,
    CatalogueEngine,
    BehaviourModel,
    MemorySystem,
    SafetySystem,
    Governor,
    PathPlanner,
    Registry,
>;
pub type TestRouter<S> = Router<TestEngines, S, &'static FixedClock>;
pub type TestDesk = Desk<Profile>;

/// One run of a module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    pub module: &'static str,
    pub key: IdempotencyKey,
    pub kind: String,
    pub arguments: Vec<String>,
    pub mode: SafetyMode,
}

/// What modules do in this world, and what they did.
#[derive(Debug, Default)]
pub struct Effects {
    pub runs: Mutex<Vec<Run>>,
    /// What the next runs answer instead of success.
    pub fail: Mutex<Option<ModuleError>>,
    /// What a module says of an effect it does not know.
    pub forgetful: Mutex<bool>,
}

impl Effects {
    pub fn count(&self) -> usize {
        self.runs.lock().unwrap().len()
    }

    pub fn last(&self) -> Run {
        self.runs.lock().unwrap().last().unwrap().clone()
    }

    fn run(&self, module: &'static str, call: &Call<'_>) -> Result<String, ModuleError> {
        let arguments = call.arguments().iter().map(|(name, _)| name.to_owned()).collect();
        self.runs.lock().unwrap().push(Run {
            module,
            key: call.key(),
            kind: call.kind().as_str().to_owned(),
            arguments,
            mode: call.mode(),
        });
        match self.fail.lock().unwrap().clone() {
            Some(error) => Err(error),
            None => Ok(format!("{} done", call.kind())),
        }
    }

    fn reconcile(&self, key: IdempotencyKey) -> Reconciled {
        if *self.forgetful.lock().unwrap() {
            return Reconciled::Unknown;
        }
        let ran = self.runs.lock().unwrap().iter().any(|run| run.key == key);
        if ran { Reconciled::Happened(None) } else { Reconciled::NotHappened }
    }
}

/// Arguments as they come.
pub struct Anything;

impl<'a> FromArguments<'a> for Anything {
    fn from_arguments(_: &Arguments<'a>) -> Result<Self, InputError> {
        Ok(Self)
    }
}

macro_rules! module {
    ($type:ident $id:literal $tier:ident $state:ident $intents:expr) => {
        pub struct $type(pub Arc<Effects>);

        impl Module for $type {
            const ID: &'static str = $id;
            const VERSION: &'static str = "1.0";
            const LAYERS: &'static [LayerId] = &[LayerId::Memory, LayerId::Safety];
            const INTENTS: &'static [&'static str] = $intents;
            type RequiredState = state::$state;
            type Tier = tier::$tier;
            type Input<'a> = Anything;
            type Output = String;

            fn run(&self, _: Anything, call: &Call<'_>) -> Result<String, ModuleError> {
                self.0.run($id, call)
            }

            fn reconcile(&self, key: IdempotencyKey) -> Reconciled {
                self.0.reconcile(key)
            }
        }
    };
}

module!(Look "look" Observe Base &["note.read", "note.odd", "note.soft", "note.ruled"]);
module!(Act "act" Act Base &[
    "note.add", "note.share", "mail.send", "mail.wait", "mail.chief", "pay.small", "note.mismatch",
    "note.guarded", "leak.all", "note.cautious",
]);
module!(Root "root" Privileged Privileged &["root.reset"]);

/// How a world differs from the usual one.
#[derive(Debug, Clone)]
pub struct Setup {
    pub table: String,
    pub governance: String,
    pub envelope: String,
    pub modeling: String,
    /// Class A from the first moment on: such an audience becomes PRIVILEGED.
    pub class_a: bool,
    pub token_millis: u64,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            table: TABLE.into(),
            governance: GOVERNANCE.into(),
            envelope: ENVELOPE.into(),
            modeling: MODELING.into(),
            class_a: false,
            token_millis: 1000,
        }
    }
}

/// Everything beside the store.
#[derive(Clone)]
pub struct World {
    pub clock: &'static FixedClock,
    pub effects: Arc<Effects>,
    pub catalogue: Arc<Catalogue>,
    pub setup: Setup,
}

pub fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

impl World {
    pub fn new() -> Self {
        Self::with(Setup::default())
    }

    pub fn with(setup: Setup) -> Self {
        let catalogue = Catalogue::from_toml("catalogue.toml", CATALOGUE, |path| {
            Err(format!("no file {path}"))
        });
        Self {
            clock: Box::leak(Box::new(FixedClock::new(START))),
            effects: Arc::default(),
            catalogue: Arc::new(catalogue.unwrap()),
            setup,
        }
    }

    /// The same world under other rules.
    pub fn changed(&self, change: impl FnOnce(&mut Setup)) -> Self {
        let mut world = self.clone();
        change(&mut world.setup);
        world
    }

    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    pub fn identity(&self) -> IdentityPolicy {
        IdentityPolicy::builder(name("issuer"), name("prospera")).build()
    }

    pub fn engines(&self) -> TestEngines {
        let modeling = ModelingConfig::from_toml("modeling.toml", &self.setup.modeling).unwrap();
        let policy = Policy::from_toml("governance.toml", &self.setup.governance).unwrap();
        let envelope = Envelope::from_toml("envelope.toml", &self.setup.envelope).unwrap();
        let mut registry = Registry::new();
        registry.register(Look(Arc::clone(&self.effects))).unwrap();
        registry.register(Act(Arc::clone(&self.effects))).unwrap();
        registry.register(Root(Arc::clone(&self.effects))).unwrap();
        EngineSet {
            identity: IdentitySystem::new(self.identity()),
            intent: CatalogueEngine,
            modeling: BehaviourModel::new(modeling).unwrap(),
            memory: MemorySystem::default(),
            safety: SafetySystem::new(envelope),
            governance: Governor::new(policy),
            pipeline: PathPlanner,
            execution: registry,
        }
    }

    pub fn rules(&self) -> Rules {
        let engines = self.engines();
        let table = RoutingTable::from_toml("table.toml", &self.setup.table).unwrap();
        let mut thresholds = Thresholds::default();
        if self.setup.class_a {
            thresholds.a = Criteria {
                min_identity_strength: Risk::saturating(600_000),
                min_good_outcomes: 0,
                min_age_days: 0,
                max_risk: Risk::saturating(500_000),
                ..thresholds.a
            };
        }
        let classifier = Classifier::new(&thresholds).unwrap();
        let matrix = Matrix::default();
        let pins = Pins::new([
            (name("catalogue"), self.catalogue.digest()),
            (name("table"), table.digest()),
            (name("matrix"), matrix.digest()),
            (name("governance"), engines.governance.rules().digest()),
            (name("envelope"), engines.safety.envelope().digest()),
            (name("modeling"), engines.modeling.digest()),
        ]);
        Rules {
            catalogue: self.catalogue.digest(),
            table,
            classifier,
            matrix,
            threshold: RestrictionThreshold::default(),
            validated_strength: Risk::saturating(500_000),
            gate: Gate::new(60_000),
            mint: TokenMint::new([7; 32]),
            token_millis: self.setup.token_millis,
            governor: name("governor"),
            decision_millis: 600_000,
            pins,
            files: prospera::routing::PolicyFiles::default(),
        }
    }

    pub fn router<S: Store>(&self, store: S) -> TestRouter<S> {
        self.try_router(store).unwrap()
    }

    pub fn try_router<S: Store>(&self, store: S) -> Result<TestRouter<S>, RouterError> {
        Router::new(self.engines(), self.rules(), store, self.clock, operator())
    }

    /// A session of a person of this name, with these scopes.
    pub fn session(&self, session: &str, person: &str, scopes: &[&str]) -> Session {
        self.session_of(session, person, PrincipalKind::Human, scopes)
    }

    pub fn session_of(
        &self,
        session: &str,
        person: &str,
        kind: PrincipalKind,
        scopes: &[&str],
    ) -> Session {
        self.session_as(session, person, kind, scopes, 700_000)
    }

    pub fn session_as(
        &self,
        session: &str,
        person: &str,
        kind: PrincipalKind,
        scopes: &[&str],
        strength: u64,
    ) -> Session {
        let claims = VerifiedClaims::vouched_by_host(HostClaims {
            principal: person.parse().unwrap(),
            kind,
            subject: person.parse().unwrap(),
            session: session.parse().unwrap(),
            roles: BTreeSet::new(),
            scopes: scopes.iter().map(|scope| name(scope)).collect(),
            delegation: Vec::new(),
            consent: true,
            strength: Risk::saturating(strength),
            issued_at: START,
            expires_at: START.plus_millis(8 * 3_600_000),
        });
        Session::open(claims, self.now(), &self.identity()).unwrap()
    }

    /// A session taken up from its own stream.
    pub fn resumed<S: Store>(&self, store: &S, session: &str) -> Session {
        let stream = StreamId::new(StreamKind::Session, name(session));
        let records = verify_stream(store, &stream).unwrap();
        Session::resume(&sid(session), &records, self.now(), &self.identity()).unwrap()
    }

    /// The usual user.
    pub fn alice(&self, session: &str) -> Session {
        self.session(session, "alice", &["work", "admin"])
    }

    /// Who holds all roles that decide.
    pub fn governor(&self) -> Session {
        self.session("gov-1", "grace", &["governor", "manager", "security"])
    }

    pub fn request(&self, session: &str, kind: &str) -> Request {
        Request {
            kind: kind.into(),
            subject: "alice".parse().unwrap(),
            session: session.parse().unwrap(),
            request: None,
            objective: Objective::new("keep my notes"),
            arguments: BTreeMap::from([("text".into(), user("milk"))]),
            reads: Vec::new(),
            snapshot: None,
        }
    }

    pub fn build(&self, request: Request) -> Submission {
        Submission::Intent(self.catalogue.intent(request).unwrap())
    }

    /// An intent of alice's.
    pub fn intent(&self, session: &str, kind: &str) -> Submission {
        self.build(self.request(session, kind))
    }

    /// The same, told apart by a number.
    pub fn numbered(&self, session: &str, kind: &str, number: usize) -> Submission {
        let mut request = self.request(session, kind);
        request.arguments.insert("text".into(), user(&format!("milk {number}")));
        self.build(request)
    }

    /// An intent that relies on a fact.
    pub fn reading(
        &self,
        desk: &TestDesk,
        session: &str,
        kind: &str,
        key: &str,
        version: u64,
    ) -> Submission {
        let mut request = self.request(session, kind);
        request.snapshot = desk.snapshot();
        request.reads.push(ReadFact { key: key.parse().unwrap(), version });
        self.build(request)
    }
}

pub fn operator() -> PrincipalId {
    "operator".parse().unwrap()
}

pub fn user(text: &str) -> Argument {
    Argument { value: text.into(), label: Label::from(Source::User) }
}

pub fn fact(key: &str, value: &str) -> NewFact {
    NewFact::new(key.parse().unwrap(), value.into(), Label::from(Source::User))
}

pub fn malformed() -> Submission {
    Submission::Malformed(Malformed {
        digest: prospera::intent::intake::digest(b"{ not an intent"),
        subject: None,
        session: None,
        reason: Reason::new(ReasonCode::IntentMalformed).detail("expected a value"),
    })
}

pub fn sid(text: &str) -> SessionId {
    text.parse().unwrap()
}

/// All records, decoded.
pub fn records<S: Store + ?Sized>(store: &S) -> Vec<prospera::ssot::record::Record> {
    let stored = store.read(0, usize::MAX).unwrap();
    stored
        .iter()
        .map(|s| prospera::ssot::record::Record::decode_sealed(&s.bytes).unwrap())
        .collect()
}

/// The codes of the last line of a trace.
pub fn why(block: &prospera::routing::EvidenceBlock) -> Vec<ReasonCode> {
    block.trace.last().unwrap().reasons.iter().map(|reason| reason.code).collect()
}

/// Nothing but a digest to compare.
pub fn last<S: Store + ?Sized>(store: &S) -> Option<Digest> {
    prospera::ssot::verify::verify(store, |_| {}).unwrap().last
}

/// Keeps an unused bound in one place.
pub fn is_engines<E: Engines>(_: &E) {}
