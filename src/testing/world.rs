//! A small complete deployment, in memory and built in code: eight default engines, a
//! catalogue, a table, a policy and a module per kind of intent.
//!
//! ```
//! use prospera::testing::world::Setup;
//! use prospera::verdict::Verdict;
//!
//! let world = Setup::sample()?.build()?;
//! let mut desk = world.open("alice", "s-1")?;
//! let intent = world.intent("note.read", "Read my notes.", &[("name", "today".into())])?;
//! let routed = world.router.route(&mut desk, intent)?;
//! assert_eq!(routed.verdict, Verdict::Allow);
//! assert_eq!(world.calls.of("notes"), 1);
//! # Ok::<(), prospera::testing::world::Failure>(())
//! ```
//!
//! [`Setup`] has public parts: put your own catalogue, policy, modules or table in and
//! keep the rest. [`Setup::into_parts`] hands out engines and rules, for a router over
//! your own engines or store.

use std::boxed::Box;
use std::collections::BTreeMap;
use std::error::Error;
use std::string::ToString;
use std::sync::{Arc, Mutex, PoisonError};
use std::vec::Vec;

use crate::audience::causes::RestrictionThreshold;
use crate::audience::classifier::Classifier;
use crate::audience::gate::Gate;
use crate::audience::matrix::Matrix;
use crate::audience::state::State;
use crate::execution::{
    Call, Contract, ContractError, ContractParts, DynModule, Execution, IdempotencyKey, Output,
    Reconciled, Registry, Version,
};
use crate::governance::{
    DEFAULT_TIMEOUT_SECONDS, Governor, Kinds, Policy, PolicyParts, Rule, TokenMint, kernel_digest,
};
use crate::id::{KindId, LayerId, ModuleId, Name};
use crate::identity::{
    HostClaims, IdentityPolicy, IdentitySystem, PrincipalKind, Session, VerifiedClaims,
};
use crate::intent::package::CatalogueEngine;
use crate::intent::schema::{Shape, Shapes};
use crate::intent::{Argument, Catalogue, KindSpec, Objective, Request, Submission};
use crate::memory::MemorySystem;
use crate::modeling::{BehaviourModel, ModelingConfig};
use crate::pipeline::{Branch, PathPlanner, Template};
use crate::provenance::{Label, Source};
use crate::risk::Risk;
use crate::routing::desk::Desk;
use crate::routing::replay;
use crate::routing::router::Profile;
use crate::routing::table::{Pattern, Row};
use crate::routing::{EngineSet, Pins, PolicyFiles, Router, RoutingTable, Rules};
use crate::safety::{Envelope, SafetySystem};
use crate::ssot::memory::MemoryStore;
use crate::time::{Clock, FixedClock, Timestamp};
use crate::value::Value;
use crate::verdict::{CapabilityTier, SafetyFlags, SafetyMode, Verdict};

/// What can go wrong while a world is built: any room's own error.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The eight default engines.
pub type DefaultEngines = EngineSet<
    IdentitySystem,
    CatalogueEngine,
    BehaviourModel,
    MemorySystem,
    SafetySystem,
    Governor,
    PathPlanner,
    Registry,
>;

/// The router of a [`World`].
pub type WorldRouter = Router<DefaultEngines, MemoryStore, SharedClock>;

/// A clock that stands until it is moved, by whoever holds a clone.
#[derive(Debug, Clone)]
pub struct SharedClock(Arc<FixedClock>);

impl SharedClock {
    /// A clock that stands at `now`.
    pub fn new(now: Timestamp) -> Self {
        Self(Arc::new(FixedClock::new(now)))
    }

    /// Moves the clock forwards.
    pub fn advance_millis(&self, millis: u64) {
        self.0.advance_millis(millis);
    }
}

impl Clock for SharedClock {
    fn now(&self) -> Timestamp {
        self.0.now()
    }
}

/// How often each module of a world was run, and under which keys.
#[derive(Debug, Clone, Default)]
pub struct Calls(Arc<Mutex<Vec<(ModuleId, IdempotencyKey)>>>);

impl Calls {
    /// How often the module of this name was run.
    pub fn of(&self, module: &str) -> usize {
        self.list().iter().filter(|(id, _)| id.as_str() == module).count()
    }

    /// Every run, in order: the module and the effect's key.
    pub fn list(&self) -> Vec<(ModuleId, IdempotencyKey)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many runs there were.
    pub fn count(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Whether an effect with this key was carried out.
    pub fn contains(&self, key: IdempotencyKey) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).iter().any(|(_, k)| *k == key)
    }

    fn note(&self, module: ModuleId, key: IdempotencyKey) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((module, key));
    }
}

/// A module that notes its calls and gives back their arguments.
#[derive(Debug)]
pub struct Recorder {
    contract: Contract,
    calls: Calls,
}

impl Recorder {
    /// A recorder with this contract.
    pub const fn new(contract: Contract, calls: Calls) -> Self {
        Self { contract, calls }
    }
}

impl DynModule for Recorder {
    fn contract(&self) -> Result<Contract, ContractError> {
        Ok(self.contract.clone())
    }

    fn run(&self, call: &Call<'_>) -> Execution {
        self.calls.note(self.contract.id().clone(), call.key());
        Execution::Done(Output { value: call.arguments().to_value(), label: Label::empty() })
    }

    fn reconcile(&self, key: IdempotencyKey) -> Reconciled {
        if self.calls.contains(key) { Reconciled::Happened(None) } else { Reconciled::NotHappened }
    }
}

/// Everything a deployment decides under. Replace what you want to try.
#[derive(Debug)]
pub struct Setup {
    /// The kinds of intent.
    pub catalogue: Catalogue,
    /// Who may do what.
    pub policy: Policy,
    /// Which template an intent gets.
    pub table: RoutingTable,
    /// The modules.
    pub registry: Registry,
    /// Whose claims are believed.
    pub identity: IdentityPolicy,
    /// The Safety Envelope.
    pub envelope: Envelope,
    /// What counts as drift.
    pub modeling: ModelingConfig,
    /// The runs of the sample's modules.
    pub calls: Calls,
}

/// One kind of the sample and the module that serves it.
struct Sample {
    kind: &'static str,
    module: &'static str,
    tier: CapabilityTier,
    state: State,
    flags: SafetyFlags,
    argument: (&'static str, Shape),
    further: &'static [(&'static str, Shape)],
    outside: Option<&'static str>,
}

const SAMPLES: [Sample; 5] = [
    Sample {
        kind: "note.read",
        module: "notes",
        tier: CapabilityTier::Observe,
        state: State::Base,
        flags: SafetyFlags::NONE,
        argument: ("name", Shape::Text),
        further: &[],
        outside: None,
    },
    Sample {
        kind: "note.write",
        module: "notebook",
        tier: CapabilityTier::Act,
        state: State::Base,
        flags: SafetyFlags::EFFECT,
        argument: ("name", Shape::Text),
        further: &[("text", Shape::Text)],
        outside: None,
    },
    Sample {
        kind: "web.read",
        module: "browser",
        tier: CapabilityTier::Observe,
        state: State::Base,
        flags: SafetyFlags::NONE,
        argument: ("address", Shape::Text),
        further: &[],
        outside: Some("web"),
    },
    Sample {
        kind: "payment.send",
        module: "bank",
        tier: CapabilityTier::Commit,
        state: State::Verified,
        flags: SafetyFlags::EFFECT.union(SafetyFlags::FINANCIAL),
        argument: ("to", Shape::Text),
        further: &[("amount", Shape::Number)],
        outside: None,
    },
    Sample {
        kind: "key.rotate",
        module: "vault",
        tier: CapabilityTier::Privileged,
        state: State::Privileged,
        flags: SafetyFlags::EFFECT.union(SafetyFlags::PRIVILEGED),
        argument: ("key", Shape::Text),
        further: &[],
        outside: None,
    },
];

/// The role that approves and governs in a [`World`].
pub const GOVERNOR: &str = "governor";

/// The time at which a [`World`] begins.
pub const BEGIN: Timestamp = Timestamp::from_secs(1_700_000_000);

const DAY_MILLIS: u64 = 86_400_000;

/// A row that sends a kind to one module, whatever the flags and votes.
///
/// # Errors
/// When a name is no name.
pub fn row(kind: &str, module: &str) -> Result<Row, Failure> {
    let module: ModuleId = module.parse()?;
    Ok(Row {
        id: kind.parse()?,
        pattern: Pattern { kind: Some(kind.parse()?), ..Pattern::default() },
        template: Template {
            id: kind.parse()?,
            mode: SafetyMode::Normal,
            engines: Vec::new(),
            modules: [module.clone()].into(),
            branches: [Branch {
                id: "only".parse()?,
                all_flags: SafetyFlags::NONE,
                no_flags: SafetyFlags::NONE,
                modes: Vec::new(),
                states: Vec::new(),
                module,
            }]
            .into(),
        },
        escalation: Vec::new(),
    })
}

/// A rule without conditions for one kind.
///
/// # Errors
/// When a name is no name.
pub fn rule(id: &str, effect: Verdict, kind: &str) -> Result<Rule, Failure> {
    let kind: KindId = kind.parse()?;
    let mut rule = Rule::new(id.parse()?, effect, Kinds::Named([kind].into()));
    rule.rules_on_drift = true;
    if effect == Verdict::StepUp {
        rule.then.approver = Some(GOVERNOR.parse()?);
        rule.then.timeout_seconds = Some(DEFAULT_TIMEOUT_SECONDS);
    }
    Ok(rule)
}

impl Setup {
    /// Five kinds of intent. Reading and writing notes and reading the web are allowed,
    /// a payment waits for a person's approval, and nothing allows rotating a key.
    ///
    /// # Errors
    /// None that depends on an input.
    pub fn sample() -> Result<Self, Failure> {
        let calls = Calls::default();
        let mut catalogue = Catalogue::builder("sample-1".parse()?);
        let mut registry = Registry::new();
        let mut rows = Vec::new();
        for sample in &SAMPLES {
            let mut shapes = Shapes::new().required(sample.argument.0, sample.argument.1);
            for (name, shape) in sample.further {
                shapes = shapes.optional(name, *shape);
            }
            let mut kind = KindSpec::new(sample.kind.parse()?, "work".parse()?)
                .tier(sample.tier)
                .flags(sample.flags)
                .check(shapes);
            if let Some(source) = sample.outside {
                kind = kind.reads_outside(source.parse()?);
            }
            catalogue = catalogue.kind(kind);
            let contract = Contract::new(ContractParts {
                id: sample.module.parse()?,
                version: Version { major: 1, minor: 0 },
                required_state: sample.state,
                tier: sample.tier,
                layers: [LayerId::Safety, LayerId::Governance].into(),
                intents: [sample.kind.parse()?].into(),
            })?;
            registry.register(Recorder::new(contract, calls.clone()))?;
            rows.push(row(sample.kind, sample.module)?);
        }
        let rules = [
            rule("read-notes", Verdict::Allow, "note.read")?,
            rule("write-notes", Verdict::Allow, "note.write")?,
            rule("read-web", Verdict::Allow, "web.read")?,
            rule("pay-asked", Verdict::StepUp, "payment.send")?,
        ];
        Self::of(catalogue.build()?, rules.into(), rows, registry, calls)
    }

    /// Your own kinds, rules, rows and modules; everything else as in the sample.
    ///
    /// # Errors
    /// What the policy's or the table's own check finds.
    pub fn of(
        catalogue: Catalogue,
        rules: Vec<Rule>,
        rows: Vec<Row>,
        registry: Registry,
        calls: Calls,
    ) -> Result<Self, Failure> {
        let governor: Name = GOVERNOR.parse()?;
        let identity = IdentityPolicy::builder("https://id.example".parse()?, "prospera".parse()?)
            .max_session_ms(DAY_MILLIS)
            .role(governor.clone(), [governor.clone(), "work".parse()?])
            .build();
        let policy = Policy::new(PolicyParts {
            version: "sample-1".into(),
            approvers: [governor].into(),
            rules,
            ..PolicyParts::default()
        })?;
        Ok(Self {
            catalogue,
            policy,
            table: RoutingTable::build("sample-1".parse()?, rows)?,
            registry,
            identity,
            envelope: Envelope::default(),
            modeling: ModelingConfig::new("sample-1".parse()?),
            calls,
        })
    }

    /// All of it as a policy version, for a replay of what was routed under it.
    ///
    /// # Errors
    /// When the modeling configuration contradicts itself.
    pub fn version(self) -> Result<replay::Version<DefaultEngines>, Failure> {
        let identity = Arc::new(self.identity.clone());
        let (engines, rules, catalogue) = self.into_parts()?;
        Ok(replay::Version { engines, rules, catalogue: Arc::new(catalogue), identity })
    }

    /// The engines and the rules, for a router of your own.
    ///
    /// # Errors
    /// When the modeling configuration contradicts itself.
    pub fn into_parts(self) -> Result<(DefaultEngines, Rules, Catalogue), Failure> {
        let identity = Arc::new(self.identity);
        let (classifier, matrix) = (Classifier::default(), Matrix::default());
        let pins = Pins::new([
            ("catalogue".parse()?, self.catalogue.digest()),
            ("table".parse()?, self.table.digest()),
            ("governance".parse()?, self.policy.digest()),
            ("identity".parse()?, identity.digest()),
            ("modules".parse()?, self.registry.digest()),
            ("matrix".parse()?, matrix.digest()),
            ("classifier".parse()?, classifier.digest()),
            ("envelope".parse()?, self.envelope.digest()),
            ("modeling".parse()?, self.modeling.digest()),
            ("kernel".parse()?, kernel_digest()),
        ]);
        let rules = Rules {
            catalogue: self.catalogue.digest(),
            table: self.table,
            classifier,
            matrix,
            threshold: RestrictionThreshold::default(),
            validated_strength: Risk::saturating(500_000),
            gate: Gate::new(60_000),
            mint: TokenMint::new([7; 32]),
            token_millis: 60_000,
            governor: GOVERNOR.parse()?,
            decision_millis: DAY_MILLIS,
            pins,
            files: PolicyFiles::default(),
        };
        let engines = EngineSet {
            identity: IdentitySystem::new(identity),
            intent: CatalogueEngine,
            modeling: BehaviourModel::new(self.modeling)?,
            memory: MemorySystem::default(),
            safety: SafetySystem::new(self.envelope),
            governance: Governor::new(self.policy),
            pipeline: PathPlanner,
            execution: self.registry,
        };
        Ok((engines, rules, self.catalogue))
    }

    /// The whole deployment over a fresh log in memory.
    ///
    /// # Errors
    /// What [`Setup::into_parts`] and [`Router::new`] find.
    pub fn build(self) -> Result<World, Failure> {
        let (clock, calls) = (SharedClock::new(BEGIN), self.calls.clone());
        let (engines, rules, catalogue) = self.into_parts()?;
        let operator = "operator".parse()?;
        let router = Router::new(engines, rules, MemoryStore::new(), clock.clone(), operator)?;
        Ok(World { router, catalogue, clock, calls })
    }
}

/// A deployment that runs.
#[derive(Debug)]
pub struct World {
    /// The router.
    pub router: WorldRouter,
    /// The kinds of intent.
    pub catalogue: Catalogue,
    /// The time; it stands until it is moved.
    pub clock: SharedClock,
    /// The runs of the sample's modules.
    pub calls: Calls,
}

/// A desk of a [`World`].
pub type WorldDesk = Desk<Profile<DefaultEngines>>;

/// A person's session, vouched for by the program: scopes `work` and `governor` where
/// `role` says so.
///
/// # Errors
/// When a name is no name, or the claims do not hold at `now`.
pub fn session(
    policy: &IdentityPolicy,
    subject: &str,
    session: &str,
    role: Option<&str>,
    now: Timestamp,
) -> Result<Session, Failure> {
    let roles = match role {
        Some(role) => [role.parse()?].into(),
        None => [].into(),
    };
    let claims = VerifiedClaims::vouched_by_host(HostClaims {
        principal: subject.parse()?,
        kind: PrincipalKind::Human,
        subject: subject.parse()?,
        session: session.parse()?,
        roles,
        scopes: ["work".parse()?].into(),
        delegation: Vec::new(),
        consent: true,
        strength: Risk::MAX,
        issued_at: now,
        expires_at: now.plus_millis(DAY_MILLIS),
    });
    Ok(Session::open(claims, now, policy)?)
}

/// A request of alice's session `s-1`, every argument typed by her.
///
/// # Errors
/// None that depends on an input.
pub fn request(kind: &str, arguments: &[(&str, Value)]) -> Result<Request, Failure> {
    let label = Label::from(Source::User);
    let arguments = arguments.iter().map(|(name, value)| {
        ((*name).into(), Argument { value: value.clone(), label: label.clone() })
    });
    Ok(Request {
        kind: kind.into(),
        subject: "alice".parse()?,
        session: "s-1".parse()?,
        request: None,
        objective: Objective::new("Do what I asked for."),
        arguments: arguments.collect::<BTreeMap<_, _>>(),
        reads: Vec::new(),
        snapshot: None,
    })
}

impl World {
    /// Opens a person's session.
    ///
    /// # Errors
    /// When a name is no name, or the session exists.
    pub fn open(&self, subject: &str, name: &str) -> Result<WorldDesk, Failure> {
        let policy = self.router.engines().identity.policy();
        Ok(self.router.open(session(policy, subject, name, None, self.clock.now())?)?)
    }

    /// A governor's session, to approve and release.
    ///
    /// # Errors
    /// As [`session`].
    pub fn governor(&self, subject: &str, name: &str) -> Result<Session, Failure> {
        let policy = self.router.engines().identity.policy();
        session(policy, subject, name, Some(GOVERNOR), self.clock.now())
    }

    /// A submission of alice's session `s-1`, every argument typed by her.
    ///
    /// # Errors
    /// When the catalogue refuses it.
    pub fn intent(
        &self,
        kind: &str,
        objective: &str,
        arguments: &[(&str, Value)],
    ) -> Result<Submission, Failure> {
        let mut request = request(kind, arguments)?;
        request.objective = Objective::new(objective);
        self.catalogue.intent(request).map(Submission::Intent).map_err(|e| e.to_string().into())
    }
}
