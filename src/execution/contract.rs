//! Module Contract v1.2: what a module states about itself, in types and at run time.
//!
//! ```
//! use prospera::execution::markers::{state, tier};
//! use prospera::execution::*;
//! use prospera::id::LayerId;
//!
//! /// Looks a word up.
//! struct Dictionary;
//!
//! struct Lookup;
//! impl IntentKind for Lookup {
//!     const ID: &'static str = "word.lookup";
//!     type Tier = tier::Observe;
//! }
//!
//! struct Word<'a>(&'a str);
//! impl<'a> FromArguments<'a> for Word<'a> {
//!     fn from_arguments(arguments: &Arguments<'a>) -> Result<Self, InputError> {
//!         arguments.required("word").map(Word)
//!     }
//! }
//!
//! impl Module for Dictionary {
//!     const ID: &'static str = "dictionary";
//!     const VERSION: &'static str = "1.0";
//!     const LAYERS: &'static [LayerId] = &[LayerId::Memory, LayerId::Safety];
//!     const INTENTS: &'static [&'static str] = &["word.lookup"];
//!     type RequiredState = state::Base;
//!     type Tier = tier::Observe;
//!     type Input<'a> = Word<'a>;
//!     type Output = String;
//!
//!     fn run(&self, input: Word<'_>, _: &Call<'_>) -> Result<String, ModuleError> {
//!         Ok(input.0.to_uppercase())
//!     }
//!
//!     fn reconcile(&self, _: IdempotencyKey) -> Reconciled {
//!         Reconciled::NotHappened // it only reads: there is no effect to look for
//!     }
//! }
//! prospera::serves!(Dictionary: Lookup);
//!
//! let mut registry = Registry::new();
//! registry.register(Dictionary)?;
//! # Ok::<(), RegistryError>(())
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use super::markers::{AudienceState, Tier};
use super::version::Version;
use super::{Arguments, FromArguments, IdempotencyKey, IntoOutput, Job, Reconciled};
use crate::audience::state::State;
use crate::digest::{Digest, Domain};
use crate::encode::{Encode, Writer};
use crate::id::{KindId, LayerId, ModuleId, NameError, SessionId, SubjectId};
use crate::intent::Intent;
use crate::time::Timestamp;
use crate::verdict::{CapabilityTier, SafetyMode};

/// The version of the Module Contract that is kept here (PLAN-3.6).
pub const CONTRACT_VERSION: Version = Version { major: 1, minor: 2 };

/// Code that carries out effects, with what it may be used for.
///
/// The constants are checked when the module is compiled into a program: an empty id,
/// a version that is not `major.minor`, no intent, layers out of order or a required
/// state of HOLD or ESCALATED stop the build.
pub trait Module: Send + Sync {
    /// The module's name.
    const ID: &'static str;
    /// The module's own version, `major.minor`.
    const VERSION: &'static str;
    /// The layers that must have agreed, in routing order; of those before Execution.
    const LAYERS: &'static [LayerId];
    /// The kinds of intent it serves.
    const INTENTS: &'static [&'static str];
    /// The audience state that must suffice ([`super::markers::suffices`]).
    type RequiredState: AudienceState;
    /// What it may do to the world.
    type Tier: Tier;
    /// What it reads from the arguments. It may borrow from the intent.
    type Input<'a>: FromArguments<'a>;
    /// What it gives back.
    type Output: IntoOutput;

    /// Carries out the effect, at most once for the call's key.
    ///
    /// # Errors
    /// [`ModuleError`], which says whether the effect may have taken place.
    fn run(&self, input: Self::Input<'_>, call: &Call<'_>) -> Result<Self::Output, ModuleError>;

    /// Whether the effect with this key took place, asked after a crash.
    fn reconcile(&self, key: IdempotencyKey) -> Reconciled;
}

/// Why a module did not report success.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModuleError {
    /// The effect did not take place, for sure.
    #[error("nothing was done: {0}")]
    NoEffect(String),
    /// The effect may have taken place.
    #[error("not known whether it was done: {0}")]
    Unknown(String),
}

/// One call of a module: what it may know of the route.
///
/// INVARIANT (no direct call): made in this room alone.
#[derive(Debug)]
pub struct Call<'a> {
    job: &'a Job<'a>,
}

impl<'a> Call<'a> {
    pub(super) const fn new(job: &'a Job<'a>) -> Self {
        Self { job }
    }

    /// The effect's key.
    pub const fn key(&self) -> IdempotencyKey {
        self.job.key
    }

    /// The arguments that were not taken away.
    pub fn arguments(&self) -> Arguments<'a> {
        Arguments::new(self.job.intent.arguments(), &self.job.narrowing.drop_arguments)
    }

    /// The intent's kind.
    pub fn kind(&self) -> &'a KindId {
        &self.job.intent.kind().id
    }

    /// Whom it is done for.
    pub fn subject(&self) -> &'a SubjectId {
        self.intent().subject()
    }

    /// The session it belongs to.
    pub fn session(&self) -> &'a SessionId {
        self.intent().session()
    }

    const fn intent(&self) -> &'a Intent {
        self.job.intent
    }

    /// The Intent Hash.
    pub fn intent_hash(&self) -> Digest {
        self.intent().hash()
    }

    /// The mode it runs in.
    pub const fn mode(&self) -> SafetyMode {
        self.job.mode
    }

    /// The audience's state.
    pub const fn state(&self) -> State {
        self.job.state
    }

    /// The time now.
    pub const fn now(&self) -> Timestamp {
        self.job.now
    }
}

/// Why a contract is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ContractError {
    /// A name is no name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The version is not `major.minor`.
    #[error("expected a version such as `1.0`, found `{found}`")]
    Version {
        /// The text.
        found: String,
    },
    /// It serves nothing.
    #[error("expected at least one intent kind, found none")]
    NoIntents,
    /// A kind stands twice.
    #[error("intent kind `{found}` stands twice")]
    DuplicateIntent {
        /// The kind.
        found: KindId,
    },
    /// Layers are out of order, stand twice, or do not come before Execution.
    #[error("expected layers before Execution in routing order, each once, found {found}")]
    Layers {
        /// The first layer out of place.
        found: LayerId,
    },
    /// No audience in this state may use anything.
    #[error("expected a required state other than HOLD and ESCALATED, found {found}")]
    State {
        /// The state.
        found: State,
    },
}

/// What a contract is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractParts {
    /// The module's name.
    pub id: ModuleId,
    /// The module's own version.
    pub version: Version,
    /// The audience state that must suffice.
    pub required_state: State,
    /// What it may do to the world.
    pub tier: CapabilityTier,
    /// The layers that must have agreed.
    pub layers: Vec<LayerId>,
    /// The kinds of intent it serves.
    pub intents: Vec<KindId>,
}

/// A module's contract at run time, checked; its bytes and digest are fixed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Contract {
    parts: ContractParts,
    digest: Digest,
}

impl Contract {
    /// Checks a contract that comes from configuration.
    ///
    /// # Errors
    /// [`ContractError`].
    pub fn new(mut parts: ContractParts) -> Result<Self, ContractError> {
        if matches!(parts.required_state, State::Hold | State::Escalated) {
            return Err(ContractError::State { found: parts.required_state });
        }
        if let Some(found) = misplaced_layer(&parts.layers) {
            return Err(ContractError::Layers { found });
        }
        if parts.intents.is_empty() {
            return Err(ContractError::NoIntents);
        }
        parts.intents.sort_unstable();
        let mut pairs = parts.intents.iter().zip(parts.intents.iter().skip(1));
        if let Some((twice, _)) = pairs.find(|(a, b)| a == b) {
            return Err(ContractError::DuplicateIntent { found: twice.clone() });
        }
        let mut contract = Self { parts, digest: Digest::ZERO };
        contract.digest = Domain::Contract.hash(&contract.to_canonical());
        Ok(contract)
    }

    /// The run-time mirror of a module's types and constants.
    ///
    /// # Errors
    /// [`ContractError`] for what the compiler cannot check: control characters or
    /// length of names, and a kind that stands twice.
    pub fn of<M: Module>() -> Result<Self, ContractError> {
        const { assert_constants::<M>() };
        Self::new(ContractParts {
            id: M::ID.parse()?,
            version: M::VERSION.parse()?,
            required_state: M::RequiredState::STATE,
            tier: M::Tier::TIER,
            layers: M::LAYERS.to_vec(),
            intents: M::INTENTS.iter().map(|kind| kind.parse()).collect::<Result<_, _>>()?,
        })
    }

    /// The module's name.
    pub const fn id(&self) -> &ModuleId {
        &self.parts.id
    }

    /// The module's own version.
    pub const fn version(&self) -> Version {
        self.parts.version
    }

    /// The audience state that must suffice.
    pub const fn required_state(&self) -> State {
        self.parts.required_state
    }

    /// What it may do to the world.
    pub const fn tier(&self) -> CapabilityTier {
        self.parts.tier
    }

    /// The layers that must have agreed.
    pub fn layers(&self) -> &[LayerId] {
        &self.parts.layers
    }

    /// The kinds of intent it serves, in order.
    pub fn intents(&self) -> &[KindId] {
        &self.parts.intents
    }

    /// BLAKE3 of its canonical bytes in [`Domain::Contract`].
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

impl Encode for Contract {
    /// Contract version (two `u16`), id, module version (two `u16`), required state,
    /// tier, list of layers, list of intents in order.
    fn encode(&self, out: &mut Writer) {
        out.value(&CONTRACT_VERSION)
            .value(&self.parts.id)
            .value(&self.parts.version)
            .value(&self.parts.required_state)
            .value(&self.parts.tier)
            .list(&self.parts.layers)
            .list(&self.parts.intents);
    }
}

fn misplaced_layer(layers: &[LayerId]) -> Option<LayerId> {
    let late = layers.iter().copied().find(|layer| *layer >= LayerId::Execution);
    let mut pairs = layers.iter().zip(layers.iter().skip(1));
    let unordered = pairs.find(|(a, b)| a >= b).map(|(_, b)| *b);
    late.or(unordered)
}

/// Stops the build of a program that uses a module whose constants break the contract.
pub(super) const fn assert_constants<M: Module>() {
    assert!(!M::ID.is_empty(), "a module's ID must not be empty");
    assert!(Version::parse(M::VERSION).is_some(), "a module's VERSION must be `major.minor`");
    assert!(!M::INTENTS.is_empty(), "a module must serve at least one intent");
    assert!(
        !matches!(M::RequiredState::STATE, State::Hold | State::Escalated),
        "no audience in HOLD or ESCALATED may use a module"
    );
    let mut rest = M::LAYERS;
    let mut last = 0;
    while let Some((layer, tail)) = rest.split_first() {
        assert!(
            layer.step() > last && layer.step() < LayerId::Execution.step(),
            "a module's LAYERS must stand in routing order, each once, before Execution"
        );
        last = layer.step();
        rest = tail;
    }
}
