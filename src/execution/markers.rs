//! Types that stand for audience states, capability tiers and safety modes where a
//! contract is checked by the compiler.
//!
//! One allowed pair is one explicit `impl`, so that a message lists those there are.
//! Each relation is also a run-time function, and tests compare the two.

use crate::audience::state::State;
use crate::verdict::{CapabilityTier, SafetyMode};

/// A state of an audience, as a type.
pub trait AudienceState: sealed::Sealed {
    /// The same at run time.
    const STATE: State;
}

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

/// An audience in this state may use a module that requires state `R`.
#[diagnostic::on_unimplemented(
    message = "an audience in state `{Self}` may not use a module that requires `{R}`",
    label = "state `{Self}` does not suffice for `{R}`"
)]
pub trait Suffices<R: AudienceState>: AudienceState {}

/// An intent of this tier may be served by a module of tier `T`.
#[diagnostic::on_unimplemented(
    message = "an intent of tier `{Self}` may not be served by a module of tier `{T}`",
    label = "tier `{T}` may do more than tier `{Self}`"
)]
pub trait Covers<T: Tier>: Tier {}

/// A path in this mode may run a module of tier `T`.
#[diagnostic::on_unimplemented(
    message = "a path in mode `{Self}` may not run a module of tier `{T}`",
    label = "mode `{Self}` does not permit tier `{T}`"
)]
pub trait Permits<T: Tier>: Mode {}

/// Whether an audience in `state` may use a module that requires `required`.
///
/// INIT < BASE < VERIFIED < PRIVILEGED. RESTRICTED suffices only where RESTRICTED is
/// required; there every classified state above it suffices too. HOLD and ESCALATED
/// suffice for nothing and cannot be required (D-10).
pub const fn suffices(state: State, required: State) -> bool {
    const fn rank(state: State) -> Option<u8> {
        match state {
            State::Init => Some(0),
            State::Base => Some(1),
            State::Verified => Some(2),
            State::Privileged => Some(3),
            State::Restricted | State::Hold | State::Escalated => None,
        }
    }
    match (state, required) {
        (
            State::Restricted | State::Base | State::Verified | State::Privileged,
            State::Restricted,
        ) => true,
        _ => match (rank(state), rank(required)) {
            (Some(state), Some(required)) => state >= required,
            _ => false,
        },
    }
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
    state, "Audience states", AudienceState::STATE: State,
    Init, Base, Verified, Privileged, Restricted, Hold, Escalated,
);
markers!(
    tier, "Capability tiers", Tier::TIER: CapabilityTier,
    Observe, Act, Commit, Privileged,
);
markers!(mode, "Safety modes", Mode::MODE: SafetyMode, Normal, Protected, ReadOnly,);

macro_rules! relation {
    ($relation:ident in $module:ident of $of:ident { $($name:ident: $($lesser:ident),*;)* }) => {
        $($(impl $relation<$of::$lesser> for $module::$name {})*)*
    };
}

relation!(Suffices in state of state {
    Init: Init;
    Base: Init, Base, Restricted;
    Verified: Init, Base, Verified, Restricted;
    Privileged: Init, Base, Verified, Privileged, Restricted;
    Restricted: Restricted;
});
relation!(Covers in tier of tier {
    Observe: Observe;
    Act: Observe, Act;
    Commit: Observe, Act, Commit;
    Privileged: Observe, Act, Commit, Privileged;
});
relation!(Permits in mode of tier {
    Normal: Observe, Act, Commit, Privileged;
    Protected: Observe, Act, Commit, Privileged;
    ReadOnly: Observe;
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
        agrees!(Suffices, suffices,
            Init => [Init] not [Base, Verified, Privileged, Restricted, Hold, Escalated];
            Base => [Init, Base, Restricted] not [Verified, Privileged, Hold, Escalated];
            Verified => [Init, Base, Verified, Restricted] not [Privileged, Hold, Escalated];
            Privileged => [Init, Base, Verified, Privileged, Restricted] not [Hold, Escalated];
            Restricted => [Restricted] not [Init, Base, Verified, Privileged, Hold, Escalated];
            Hold => [] not [Init, Base, Verified, Privileged, Restricted, Hold, Escalated];
            Escalated => [] not [Init, Base, Verified, Privileged, Restricted, Hold, Escalated];
        );
    }

    #[test]
    fn tiers_and_modes_are_those_of_the_functions() {
        assert_not_impl_any!(tier::Observe: Covers<tier::Act>);
        assert_not_impl_any!(tier::Commit: Covers<tier::Privileged>);
        assert_not_impl_any!(mode::ReadOnly: Permits<tier::Act>);
        assert!(permits(SafetyMode::ReadOnly, CapabilityTier::Observe));
        for tier in [CapabilityTier::Act, CapabilityTier::Commit, CapabilityTier::Privileged] {
            assert!(!permits(SafetyMode::ReadOnly, tier));
            assert!(permits(SafetyMode::Protected, tier) && permits(SafetyMode::Normal, tier));
        }
    }
}
