//! Calls the compiler checks: a module's contract as bounds at the call site.
//!
//! [`TypedJob`] ties a job to an intent kind, an audience state and a safety mode, by
//! checking once that the job is of them. From then on the compiler knows, and
//! [`TypedJob::run`] takes only a module that serves the kind, is content with the
//! state, does no more than the kind's tier, and may run in the mode.
//!
//! It gives back the module's own output type. Labels, the output limit and the layers
//! that must have agreed are the [`super::Registry`]'s: a route uses that.

use alloc::string::String;
use core::fmt;
use core::marker::PhantomData;

use super::contract::assert_constants;
use super::markers::{AudienceState, Mode, RunsIn, SatisfiedBy, Tier, Within};
use super::{Call, FromArguments, InputError, Job, Module, ModuleError};
use crate::audience::state::State;
use crate::verdict::SafetyMode;

/// A kind of intent, as a type: the catalogue's name for it and its tier.
pub trait IntentKind {
    /// The catalogue's name.
    const ID: &'static str;
    /// What a module that serves it may do.
    type Tier: Tier;
}

/// Module `Self` serves intents of kind `K`. Written by [`crate::serves!`].
#[diagnostic::on_unimplemented(
    message = "module `{Self}` does not serve intent `{K}`",
    label = "`{K}` is not among the intents of this module's contract",
    note = "a module names the intents it serves with `serves!(module: intent, ..)`"
)]
pub trait Serves<K: IntentKind>: Module {}

/// States which intents a module serves, as types: `serves!(Module: KindA, KindB);`.
///
/// The names must be exactly those of [`Module::INTENTS`]; otherwise it does not
/// compile. Types given by name only, without generic parameters.
#[macro_export]
macro_rules! serves {
    ($module:ty: $($kind:ty),+ $(,)?) => {
        $(impl $crate::execution::Serves<$kind> for $module {})+
        const _: () = $crate::execution::contract_lists::<$module>(&[
            $((
                <$kind as $crate::execution::IntentKind>::ID,
                <<$kind as $crate::execution::IntentKind>::Tier
                    as $crate::execution::markers::Tier>::TIER,
            )),+
        ]);
    };
}

/// Why a job is not of the types it was to be tied to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TypedJobError {
    /// The intent is of another kind.
    #[error("expected an intent of kind `{expected}`, found `{found}`")]
    Kind {
        /// The kind of the type.
        expected: &'static str,
        /// The kind of the intent.
        found: String,
    },
    /// The intent's kind has another tier in the catalogue.
    #[error("the catalogue gives kind `{kind}` another tier than the program")]
    Tier {
        /// The kind.
        kind: &'static str,
    },
    /// The audience is in another state.
    #[error("expected an audience in state {expected}, found {found}")]
    State {
        /// The state of the type.
        expected: State,
        /// The audience's.
        found: State,
    },
    /// The path runs in another mode.
    #[error("expected safety mode {expected:?}, found {found:?}")]
    Mode {
        /// The mode of the type.
        expected: SafetyMode,
        /// The path's.
        found: SafetyMode,
    },
    /// The path names another module.
    #[error("expected module `{expected}`, found `{found}`")]
    Module {
        /// The module called.
        expected: &'static str,
        /// The module of the path.
        found: String,
    },
    /// The arguments are not the module's input; it did not run.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The module ran and did not report success.
    #[error(transparent)]
    Run(#[from] ModuleError),
}

type Types<K, S, X> = PhantomData<fn() -> (K, S, X)>;

/// A job whose intent is of kind `K`, whose audience is in state `S`, and which runs
/// in mode `X`. Consumed by running it.
#[must_use = "a job that is not run has no effect"]
pub struct TypedJob<'a, K, S, X> {
    job: &'a Job<'a>,
    types: Types<K, S, X>,
}

impl<'a, K: IntentKind, S: AudienceState, X: Mode> TypedJob<'a, K, S, X> {
    /// Ties a job to its types.
    ///
    /// # Errors
    /// [`TypedJobError`] when the job is of another kind, tier, state or mode.
    pub fn new(job: &'a Job<'a>) -> Result<Self, TypedJobError> {
        let kind = job.intent.kind();
        if kind.id.as_str() != K::ID {
            let found = kind.id.as_str().into();
            return Err(TypedJobError::Kind { expected: K::ID, found });
        }
        if kind.tier != K::Tier::TIER {
            return Err(TypedJobError::Tier { kind: K::ID });
        }
        if job.state != S::STATE {
            return Err(TypedJobError::State { expected: S::STATE, found: job.state });
        }
        if job.mode != X::MODE {
            return Err(TypedJobError::Mode { expected: X::MODE, found: job.mode });
        }
        Ok(Self { job, types: PhantomData })
    }

    /// Runs the module the path names. A module whose contract these types break does
    /// not compile here.
    ///
    /// # Errors
    /// [`TypedJobError::Module`] and [`TypedJobError::Input`] before it runs,
    /// [`TypedJobError::Run`] when it did not report success.
    pub fn run<M>(self, module: &M) -> Result<M::Output, TypedJobError>
    where
        M: Serves<K>,
        M::RequiredState: SatisfiedBy<S>,
        M::Tier: Within<K::Tier> + RunsIn<X>,
    {
        const { assert_constants::<M>() };
        if self.job.module.as_str() != M::ID {
            let found = self.job.module.as_str().into();
            return Err(TypedJobError::Module { expected: M::ID, found });
        }
        let call = Call::new(self.job);
        let input = M::Input::from_arguments(&call.arguments())?;
        Ok(module.run(input, &call)?)
    }
}

impl<K, S, X> fmt::Debug for TypedJob<'_, K, S, X> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("TypedJob").field(self.job).finish()
    }
}

/// What [`crate::serves!`] checks when it is compiled: the kinds named are exactly
/// those of the contract, each of a tier that covers the module's.
#[doc(hidden)]
pub const fn contract_lists<M: Module>(kinds: &[(&str, crate::verdict::CapabilityTier)]) {
    assert_constants::<M>();
    assert!(kinds.len() == M::INTENTS.len(), "`serves!` must name exactly the kinds in INTENTS");
    let mut rest = kinds;
    while let Some(((kind, tier), tail)) = rest.split_first() {
        assert!(contains(M::INTENTS, kind), "`serves!` names a kind that is not in INTENTS");
        assert!(
            *tier as u8 >= M::Tier::TIER as u8,
            "the module's tier is above that of an intent it serves"
        );
        rest = tail;
    }
}

const fn contains(names: &[&str], name: &str) -> bool {
    let mut rest = names;
    while let Some((first, tail)) = rest.split_first() {
        if same(first.as_bytes(), name.as_bytes()) {
            return true;
        }
        rest = tail;
    }
    false
}

const fn same(mut a: &[u8], mut b: &[u8]) -> bool {
    while let (Some((x, left)), Some((y, right))) = (a.split_first(), b.split_first()) {
        if *x != *y {
            return false;
        }
        (a, b) = (left, right);
    }
    a.is_empty() && b.is_empty()
}
