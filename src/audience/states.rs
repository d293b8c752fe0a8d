//! The seven states as types (ASM2-3.8): markers that no value has.
//!
//! ```
//! use prospera::audience::state::State;
//! use prospera::audience::states::{AudienceState, Verified};
//! assert_eq!(Verified::STATE, State::Verified);
//! ```

use crate::audience::state::State;

/// Pre-classification (ASM2-3.1).
#[derive(Debug)]
pub enum Init {}
/// Stable, without privileges (ASM2-3.2).
#[derive(Debug)]
pub enum Base {}
/// Identity, context and envelope validated (ASM2-3.3).
#[derive(Debug)]
pub enum Verified {}
/// High trust, for what needs constitutional clearance (ASM2-3.4).
#[derive(Debug)]
pub enum Privileged {}
/// Limited access (ASM2-3.5).
#[derive(Debug)]
pub enum Restricted {}
/// Suspended until governance validates (ASM2-3.6).
#[derive(Debug)]
pub enum Hold {}
/// Emergency (ASM2-3.7).
#[derive(Debug)]
pub enum Escalated {}

/// One of the seven states. Sealed: there is no eighth.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not one of the seven audience states",
    note = "the states are INIT, BASE, VERIFIED, PRIVILEGED, RESTRICTED, HOLD and ESCALATED (ASM2-3)"
)]
pub trait AudienceState: sealed::Sealed + 'static {
    /// The state as a run-time value.
    const STATE: State;
    /// The specification's name.
    const NAME: &'static str = Self::STATE.name();
}

/// An audience in this state may use what requires `Required`: a Module Contract's state.
///
/// Trust rises INIT, BASE, VERIFIED, PRIVILEGED; RESTRICTED satisfies only RESTRICTED;
/// HOLD and ESCALATED satisfy nothing (D-10). Agrees with
/// [`satisfies`](crate::audience::table::satisfies) over every pair.
#[diagnostic::on_unimplemented(
    message = "an audience in `{Self}` does not satisfy a contract that requires `{Required}`",
    label = "the contract requires `{Required}`, the audience is in `{Self}`",
    note = "trust rises INIT, BASE, VERIFIED, PRIVILEGED; RESTRICTED satisfies only what asks for RESTRICTED",
    note = "HOLD and ESCALATED satisfy nothing: an escalated audience carries out no operation (D-10)"
)]
pub trait Satisfies<Required: AudienceState>: AudienceState {}

macro_rules! satisfies {
    ($($state:ident: $($required:ident)*;)*) => {$($(impl Satisfies<$required> for $state {})*)*};
}

satisfies! {
    Init: Init;
    Base: Init Restricted Base;
    Verified: Init Restricted Base Verified;
    Privileged: Init Restricted Base Verified Privileged;
    Restricted: Restricted;
}

macro_rules! states {
    ($($name:ident)*) => {$(
        impl sealed::Sealed for $name {}
        impl AudienceState for $name {
            const STATE: State = State::$name;
        }
    )*};
}

states!(Init Base Verified Privileged Restricted Hold Escalated);

mod sealed {
    pub trait Sealed {}
}

#[cfg(test)]
mod tests {
    use static_assertions::{assert_impl_all, assert_not_impl_any};

    use super::*;
    use crate::audience::table::satisfies;

    macro_rules! agrees {
        ($($state:ident)*) => {$(agrees!(@row $state: Init Base Verified Privileged Restricted Hold Escalated);)*};
        (@row $state:ident: $($required:ident)*) => {$(
            assert_eq!(
                does::<$state, $required>(&Probe::<$state, $required>::new()),
                satisfies(State::$state, State::$required),
                "{} for {}", $state::NAME, $required::NAME,
            );
        )*};
    }

    // The typed relation is probed by the compiler: a macro arm per pair below.
    struct Probe<S, R>(core::marker::PhantomData<fn() -> (S, R)>);
    impl<S, R> Probe<S, R> {
        fn new() -> Self {
            Self(core::marker::PhantomData)
        }
    }
    fn does<S: AudienceState, R: AudienceState>(_: &Probe<S, R>) -> bool {
        TYPED.contains(&(S::STATE, R::STATE))
    }

    macro_rules! typed {
        ($($state:ident: $($required:ident)*;)*) => {
            const TYPED: &[(State, State)] = &[$($((State::$state, State::$required),)*)*];
            $($(assert_impl_all!($state: Satisfies<$required>);)*)*
        };
    }
    typed! {
        Init: Init;
        Base: Init Restricted Base;
        Verified: Init Restricted Base Verified;
        Privileged: Init Restricted Base Verified Privileged;
        Restricted: Restricted;
    }
    assert_not_impl_any!(Init: Satisfies<Base>, Satisfies<Verified>, Satisfies<Privileged>,
        Satisfies<Restricted>, Satisfies<Hold>, Satisfies<Escalated>);
    assert_not_impl_any!(Base: Satisfies<Verified>, Satisfies<Privileged>, Satisfies<Hold>,
        Satisfies<Escalated>);
    assert_not_impl_any!(Verified: Satisfies<Privileged>, Satisfies<Hold>, Satisfies<Escalated>);
    assert_not_impl_any!(Privileged: Satisfies<Hold>, Satisfies<Escalated>);
    assert_not_impl_any!(Restricted: Satisfies<Init>, Satisfies<Base>, Satisfies<Verified>,
        Satisfies<Privileged>, Satisfies<Hold>, Satisfies<Escalated>);
    assert_not_impl_any!(Hold: Satisfies<Init>, Satisfies<Base>, Satisfies<Verified>,
        Satisfies<Privileged>, Satisfies<Restricted>, Satisfies<Hold>, Satisfies<Escalated>);
    assert_not_impl_any!(Escalated: Satisfies<Init>, Satisfies<Base>, Satisfies<Verified>,
        Satisfies<Privileged>, Satisfies<Restricted>, Satisfies<Hold>, Satisfies<Escalated>);

    #[test]
    fn the_typed_and_the_run_time_relation_agree() {
        agrees!(Init Base Verified Privileged Restricted Hold Escalated);
    }

    #[test]
    fn asm2_3_8_the_markers_are_the_states() {
        assert_eq!(Init::NAME, "INIT");
        assert_eq!(Escalated::STATE, State::Escalated);
    }
}
