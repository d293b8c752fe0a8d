//! Types that stand for audience states, capability tiers and safety modes where a
//! contract is checked by the compiler.
//!
//! One allowed pair is one explicit `impl`, so that a message lists those there are.
//! Each relation is also a run-time function, and tests compare the two.

use crate::audience::state::State;
use crate::audience::table;

pub use crate::audience::states::{self as state, AudienceState};
use crate::verdict::{CapabilityTier, SafetyMode};

/// A capability tier, as a type.
pub trait Tier: sealed::Sealed {
    /// The same at run time.
    const TIER: CapabilityTier;
}

/// A safety mode, as a type.
pub trait Mode: sealed::Sealed {
    /// The same at run time.
    const MODE: SafetyMode;
}

/// A module that requires this state may be used by an audience in state `S`.
///
/// The required state is the implementing side of each relation here: a message then
/// names both sides, also where nothing suffices.
#[diagnostic::on_unimplemented(
    message = "a module that requires state `{Self}` may not be used by an audience in `{S}`",
    label = "state `{S}` does not suffice for `{Self}`"
)]
pub trait SatisfiedBy<S: AudienceState>: AudienceState {}

/// A module of this tier may serve an intent of tier `T`.
#[diagnostic::on_unimplemented(
    message = "a module of tier `{Self}` may not serve an intent of tier `{T}`",
    label = "tier `{Self}` may do more than tier `{T}`"
)]
pub trait Within<T: Tier>: Tier {}

/// A module of this tier may run in mode `X`.
#[diagnostic::on_unimplemented(
    message = "a module of tier `{Self}` may not run in mode `{X}`",
    label = "mode `{X}` does not permit tier `{Self}`"
)]
pub trait RunsIn<X: Mode>: Tier {}

/// Whether an audience in `state` may use a module that requires `required`.
///
/// INIT < BASE < VERIFIED < PRIVILEGED. RESTRICTED suffices only where RESTRICTED is
/// required; there every classified state above it suffices too. HOLD and ESCALATED
/// suffice for nothing and cannot be required (D-10).
pub const fn suffices(state: State, required: State) -> bool {
    table::satisfies(state, required)
}

/// Whether a path in `mode` may run a module of `tier`: read-only permits
/// [`CapabilityTier::Observe`] alone.
pub const fn permits(mode: SafetyMode, tier: CapabilityTier) -> bool {
    !matches!(mode, SafetyMode::ReadOnly) || matches!(tier, CapabilityTier::Observe)
}

macro_rules! markers {
    ($module:ident, $what:literal, $trait:ident::$const:ident: $value:ident, $($name:ident,)*) => {
        #[doc = concat!($what, ", as types.")]
        pub mod $module {
            $(
                #[doc = concat!($what, ": ", stringify!($name), ".")]
                #[derive(Debug)]
                pub enum $name {}
                impl super::sealed::Sealed for $name {}
                impl super::$trait for $name {
                    const $const: super::$value = super::$value::$name;
                }
            )*
        }
    };
}

markers!(
    tier, "Capability tiers", Tier::TIER: CapabilityTier,
    Observe, Act, Commit, Privileged,
);
markers!(mode, "Safety modes", Mode::MODE: SafetyMode, Normal, Protected, ReadOnly,);

macro_rules! relation {
    ($relation:ident in $module:ident of $of:ident { $($name:ident: $($with:ident),*;)* }) => {
        $($(impl $relation<$of::$with> for $module::$name {})*)*
    };
}

relation!(SatisfiedBy in state of state {
    Init: Init, Base, Verified, Privileged;
    Base: Base, Verified, Privileged;
    Verified: Verified, Privileged;
    Privileged: Privileged;
    Restricted: Restricted, Base, Verified, Privileged;
});
relation!(Within in tier of tier {
    Observe: Observe, Act, Commit, Privileged;
    Act: Act, Commit, Privileged;
    Commit: Commit, Privileged;
    Privileged: Privileged;
});
relation!(RunsIn in tier of mode {
    Observe: Normal, Protected, ReadOnly;
    Act: Normal, Protected;
    Commit: Normal, Protected;
    Privileged: Normal, Protected;
});

mod sealed {
    pub trait Sealed {}
}

#[cfg(test)]
mod tests {
    use static_assertions::{assert_impl_all, assert_not_impl_any};

    use super::*;

    macro_rules! agrees {
        ($relation:ident, $run_time:expr, $($self:ty => [$($yes:ty),*] not [$($no:ty),*];)*) => {
            $(
                $(
                    assert_impl_all!($self: $relation<$yes>);
                    assert!($run_time(<$self>::default_of(), <$yes>::default_of()));
                )*
                $(
                    assert_not_impl_any!($self: $relation<$no>);
                    assert!(!$run_time(<$self>::default_of(), <$no>::default_of()));
                )*
            )*
        };
    }

    trait StateOf {
        fn default_of() -> State;
    }
    impl<S: AudienceState> StateOf for S {
        fn default_of() -> State {
            S::STATE
        }
    }

    /// The types and the function say the same of all 49 pairs.
    #[test]
    fn states_suffice_as_the_function_says() {
        use state::{Base, Escalated, Hold, Init, Privileged, Restricted, Verified};
        let sufficient = |required, state| suffices(state, required);
        agrees!(SatisfiedBy, sufficient,
            Init => [Init, Base, Verified, Privileged] not [Restricted, Hold, Escalated];
            Base => [Base, Verified, Privileged] not [Init, Restricted, Hold, Escalated];
            Verified => [Verified, Privileged] not [Init, Base, Restricted, Hold, Escalated];
            Privileged => [Privileged] not [Init, Base, Verified, Restricted, Hold, Escalated];
            Restricted => [Restricted, Base, Verified, Privileged] not [Init, Hold, Escalated];
            Hold => [] not [Init, Base, Verified, Privileged, Restricted, Hold, Escalated];
            Escalated => [] not [Init, Base, Verified, Privileged, Restricted, Hold, Escalated];
        );
    }

    #[test]
    fn tiers_and_modes_are_those_of_the_functions() {
        assert_not_impl_any!(tier::Act: Within<tier::Observe>);
        assert_not_impl_any!(tier::Commit: Within<tier::Observe>, Within<tier::Act>);
        assert_not_impl_any!(tier::Privileged: Within<tier::Commit>);
        assert_impl_all!(tier::Observe: RunsIn<mode::ReadOnly>);
        assert_not_impl_any!(tier::Act: RunsIn<mode::ReadOnly>);
        assert_not_impl_any!(tier::Commit: RunsIn<mode::ReadOnly>);
        assert_not_impl_any!(tier::Privileged: RunsIn<mode::ReadOnly>);
        assert!(permits(SafetyMode::ReadOnly, CapabilityTier::Observe));
        for tier in [CapabilityTier::Act, CapabilityTier::Commit, CapabilityTier::Privileged] {
            assert!(!permits(SafetyMode::ReadOnly, tier));
            assert!(permits(SafetyMode::Protected, tier) && permits(SafetyMode::Normal, tier));
        }
    }
}
