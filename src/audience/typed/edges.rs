//! The edges as traits: one explicit implementation for each way of each legal edge.
//!
//! A verb's bound names one of these traits, so that a call which the table does not
//! have fails to compile and says in the specification's words why. The traits are
//! sealed by [`AudienceState`] and agree with [`EDGES`](crate::audience::table::EDGES)
//! over every pair and way (tested).

use crate::audience::state::State;
use crate::audience::states::{
    AudienceState, Base, Escalated, Hold, Init, Privileged, Restricted, Verified,
};
use crate::audience::table::{self, Way};

/// A legal edge, in whatever way (D-1): fifteen implementations.
#[diagnostic::on_unimplemented(
    message = "`{Self}` → `{To}` is not an edge of the audience state machine",
    label = "`{Self}` may never become `{To}` in one step",
    note = "legal exits: INIT → BASE, ESCALATED; BASE → VERIFIED, RESTRICTED, ESCALATED; VERIFIED → PRIVILEGED, BASE, ESCALATED; PRIVILEGED → VERIFIED (governed downgrade), ESCALATED; RESTRICTED → HOLD, ESCALATED; HOLD → BASE, RESTRICTED (release); ESCALATED → HOLD (review)",
    note = "fifteen of the forty-two pairs are legal, no state moves to itself and nothing returns to INIT (D-1)"
)]
pub trait Edge<To: AudienceState>: AudienceState {
    /// The edge's row.
    const ROW: &'static table::Edge;
}

/// Compiles only when `From → To` is a legal edge: a contract to check in one's own tests.
///
/// ```
/// use prospera::audience::states::{Base, Verified};
/// use prospera::audience::typed::legal_edge;
/// const _: () = legal_edge::<Base, Verified>();
/// ```
///
/// ```compile_fail,E0277
/// use prospera::audience::states::{Init, Privileged};
/// use prospera::audience::typed::legal_edge;
/// const _: () = legal_edge::<Init, Privileged>();
/// ```
pub const fn legal_edge<From: Edge<To>, To: AudienceState>() {}

/// An edge taken with a clearance (D-4).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot advance to `{To}`: the audience state machine has no such edge",
    label = "no advance from `{Self}` to `{To}`",
    note = "only INIT → BASE, BASE → VERIFIED and VERIFIED → PRIVILEGED are advances (ASM2-4.1 to ASM2-4.3); whatever skips a state or leaves RESTRICTED, HOLD or ESCALATED upwards is prohibited (ASM2-5)",
    note = "legal exits: INIT → BASE, ESCALATED; BASE → VERIFIED, RESTRICTED, ESCALATED; VERIFIED → PRIVILEGED, BASE, ESCALATED; PRIVILEGED → VERIFIED (governed downgrade), ESCALATED; RESTRICTED → HOLD, ESCALATED; HOLD → BASE, RESTRICTED (release); ESCALATED → HOLD (review)"
)]
pub trait AdvanceTo<To: AudienceState>: Edge<To> {}

/// An edge taken voluntarily to less trust.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot step back to `{To}`: the audience state machine has no such edge",
    label = "no step back from `{Self}` to `{To}`",
    note = "only VERIFIED → BASE is a step back (ASM2-4.4); PRIVILEGED is left by a governed downgrade, HOLD and ESCALATED only through governance",
    note = "legal exits: INIT → BASE, ESCALATED; BASE → VERIFIED, RESTRICTED, ESCALATED; VERIFIED → PRIVILEGED, BASE, ESCALATED; PRIVILEGED → VERIFIED (governed downgrade), ESCALATED; RESTRICTED → HOLD, ESCALATED; HOLD → BASE, RESTRICTED (release); ESCALATED → HOLD (review)"
)]
pub trait StepBackTo<To: AudienceState>: Edge<To> {}

/// An edge taken for Class C or for risk above the threshold.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be restricted to `{To}`: the audience state machine has no such edge",
    label = "no restriction from `{Self}` to `{To}`",
    note = "only BASE → RESTRICTED is a restriction (ASM2-4.5); VERIFIED is downgraded to BASE first, HOLD is released to RESTRICTED by governance",
    note = "legal exits: INIT → BASE, ESCALATED; BASE → VERIFIED, RESTRICTED, ESCALATED; VERIFIED → PRIVILEGED, BASE, ESCALATED; PRIVILEGED → VERIFIED (governed downgrade), ESCALATED; RESTRICTED → HOLD, ESCALATED; HOLD → BASE, RESTRICTED (release); ESCALATED → HOLD (review)"
)]
pub trait RestrictTo<To: AudienceState>: Edge<To> {}

/// An edge taken for a hold trigger (ASM2-8).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be put on `{To}`: the audience state machine has no such edge",
    label = "no hold from `{Self}`",
    note = "only RESTRICTED → HOLD is a hold (ASM2-4.6); from VERIFIED and BASE the run-time `suspend` walks the legal path to HOLD (D-6), ESCALATED → HOLD needs governance's review",
    note = "legal exits: INIT → BASE, ESCALATED; BASE → VERIFIED, RESTRICTED, ESCALATED; VERIFIED → PRIVILEGED, BASE, ESCALATED; PRIVILEGED → VERIFIED (governed downgrade), ESCALATED; RESTRICTED → HOLD, ESCALATED; HOLD → BASE, RESTRICTED (release); ESCALATED → HOLD (review)"
)]
pub trait HoldTo<To: AudienceState>: Edge<To> {}

/// An edge taken for a downgrade cause with governance's authorization (D-2).
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no governed downgrade to `{To}`: the audience state machine has no such edge",
    label = "no governed downgrade from `{Self}` to `{To}`",
    note = "only PRIVILEGED → VERIFIED is a governed downgrade (D-2, ASM2-6.6); other downgrades need a cause and no authorization",
    note = "legal exits: INIT → BASE, ESCALATED; BASE → VERIFIED, RESTRICTED, ESCALATED; VERIFIED → PRIVILEGED, BASE, ESCALATED; PRIVILEGED → VERIFIED (governed downgrade), ESCALATED; RESTRICTED → HOLD, ESCALATED; HOLD → BASE, RESTRICTED (release); ESCALATED → HOLD (review)"
)]
pub trait GovernedDowngradeTo<To: AudienceState>: Edge<To> {}

/// An edge taken with governance's approval (ASM2-8.5, ASM2-8.6).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be released to `{To}`: the audience state machine has no such edge",
    label = "no release from `{Self}` to `{To}`",
    note = "only HOLD → BASE and HOLD → RESTRICTED are releases (ASM2-8.5, ASM2-8.6); ESCALATED is reviewed into HOLD first",
    note = "legal exits: INIT → BASE, ESCALATED; BASE → VERIFIED, RESTRICTED, ESCALATED; VERIFIED → PRIVILEGED, BASE, ESCALATED; PRIVILEGED → VERIFIED (governed downgrade), ESCALATED; RESTRICTED → HOLD, ESCALATED; HOLD → BASE, RESTRICTED (release); ESCALATED → HOLD (review)"
)]
pub trait ReleaseTo<To: AudienceState>: Edge<To> {}

/// An edge taken by governance's review.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be reviewed into `{To}`: the audience state machine has no such edge",
    label = "no review from `{Self}` to `{To}`",
    note = "only ESCALATED → HOLD is a review (ASM2-4.9)",
    note = "legal exits: INIT → BASE, ESCALATED; BASE → VERIFIED, RESTRICTED, ESCALATED; VERIFIED → PRIVILEGED, BASE, ESCALATED; PRIVILEGED → VERIFIED (governed downgrade), ESCALATED; RESTRICTED → HOLD, ESCALATED; HOLD → BASE, RESTRICTED (release); ESCALATED → HOLD (review)"
)]
pub trait ReviewTo<To: AudienceState>: Edge<To> {}

/// An edge taken for an escalation trigger (ASM2-7).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot escalate to `{To}`: the audience state machine has no such edge",
    label = "no escalation from `{Self}` for a mere trigger",
    note = "BASE, VERIFIED, PRIVILEGED and RESTRICTED escalate for any trigger (ASM2-7.7 to ASM2-7.9, ASM2-4.8); INIT only for a constitutional violation (ASM2-7.6); HOLD stays in HOLD and its review becomes urgent (D-3)",
    note = "legal exits: INIT → BASE, ESCALATED; BASE → VERIFIED, RESTRICTED, ESCALATED; VERIFIED → PRIVILEGED, BASE, ESCALATED; PRIVILEGED → VERIFIED (governed downgrade), ESCALATED; RESTRICTED → HOLD, ESCALATED; HOLD → BASE, RESTRICTED (release); ESCALATED → HOLD (review)"
)]
pub trait EscalateTo<To: AudienceState>: Edge<To> {}

/// An edge taken for a constitutional violation (ASM2-7.6).
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no constitutional escalation to `{To}`: the audience state machine has no such edge",
    label = "no constitutional escalation from `{Self}`",
    note = "only INIT needs this way to ESCALATED (ASM2-7.6); other states escalate with a trigger",
    note = "legal exits: INIT → BASE, ESCALATED; BASE → VERIFIED, RESTRICTED, ESCALATED; VERIFIED → PRIVILEGED, BASE, ESCALATED; PRIVILEGED → VERIFIED (governed downgrade), ESCALATED; RESTRICTED → HOLD, ESCALATED; HOLD → BASE, RESTRICTED (release); ESCALATED → HOLD (review)"
)]
pub trait ConstitutionalEscalateTo<To: AudienceState>: Edge<To> {}

/// An edge taken for a downgrade cause (ASM2-6.7..ASM2-6.9); each state has
/// one target, so the compiler finds it.
#[diagnostic::on_unimplemented(
    message = "`{Self}` has no downgrade that a cause alone justifies",
    label = "no downgrade from `{Self}`",
    note = "the downgrade mapping is VERIFIED → BASE, BASE → RESTRICTED, RESTRICTED → HOLD (ASM2-6.7 to ASM2-6.9); PRIVILEGED → VERIFIED needs governance's authorization as well (D-2); INIT, HOLD and ESCALATED have none",
    note = "legal exits: INIT → BASE, ESCALATED; BASE → VERIFIED, RESTRICTED, ESCALATED; VERIFIED → PRIVILEGED, BASE, ESCALATED; PRIVILEGED → VERIFIED (governed downgrade), ESCALATED; RESTRICTED → HOLD, ESCALATED; HOLD → BASE, RESTRICTED (release); ESCALATED → HOLD (review)"
)]
pub trait DowngradeTo<To: AudienceState>: Edge<To> {}

macro_rules! edges {
    ($($from:ident => $to:ident;)*) => {
        $(impl Edge<$to> for $from {
            const ROW: &'static table::Edge = proved(State::$from, State::$to);
        })*
        /// The pairs that have an `Edge` implementation, for the comparison with the table.
        #[cfg(test)]
        const TYPED_EDGES: [(State, State); 15] = [$((State::$from, State::$to),)*];
    };
}

/// The row of a pair; a pair without one does not compile.
const fn proved(from: State, to: State) -> &'static table::Edge {
    match table::edge(from, to) {
        Some(row) => row,
        None => panic_at_compile_time(),
    }
}

#[expect(
    clippy::panic,
    reason = "evaluated by the compiler only: an `Edge` without a row must not compile"
)]
const fn panic_at_compile_time() -> ! {
    panic!("an `Edge` implementation names a pair that is not in the table")
}

edges! {
    Init => Base;
    Base => Verified;
    Verified => Privileged;
    Verified => Base;
    Base => Restricted;
    Restricted => Hold;
    Privileged => Verified;
    Hold => Base;
    Hold => Restricted;
    Escalated => Hold;
    Restricted => Escalated;
    Init => Escalated;
    Base => Escalated;
    Verified => Escalated;
    Privileged => Escalated;
}

impl AdvanceTo<Base> for Init {}
impl AdvanceTo<Verified> for Base {}
impl AdvanceTo<Privileged> for Verified {}
impl StepBackTo<Base> for Verified {}
impl RestrictTo<Restricted> for Base {}
impl HoldTo<Hold> for Restricted {}
impl GovernedDowngradeTo<Verified> for Privileged {}
impl ReleaseTo<Base> for Hold {}
impl ReleaseTo<Restricted> for Hold {}
impl ReviewTo<Hold> for Escalated {}
impl EscalateTo<Escalated> for Restricted {}
impl EscalateTo<Escalated> for Base {}
impl EscalateTo<Escalated> for Verified {}
impl EscalateTo<Escalated> for Privileged {}
impl ConstitutionalEscalateTo<Escalated> for Init {}
impl DowngradeTo<Base> for Verified {}
impl DowngradeTo<Restricted> for Base {}
impl DowngradeTo<Hold> for Restricted {}

/// Each way of each row has its trait, and no trait has more: the compiler compares.
const _: () = {
    assert!(<Init as Edge<Base>>::ROW.allows(Way::Advance));
    assert!(<Base as Edge<Verified>>::ROW.allows(Way::Advance));
    assert!(<Verified as Edge<Privileged>>::ROW.allows(Way::Advance));
    assert!(<Verified as Edge<Base>>::ROW.allows(Way::StepBack));
    assert!(<Base as Edge<Restricted>>::ROW.allows(Way::Restrict));
    assert!(<Restricted as Edge<Hold>>::ROW.allows(Way::Hold));
    assert!(<Privileged as Edge<Verified>>::ROW.allows(Way::GovernedDowngrade));
    assert!(<Hold as Edge<Base>>::ROW.allows(Way::Release));
    assert!(<Hold as Edge<Restricted>>::ROW.allows(Way::Release));
    assert!(<Escalated as Edge<Hold>>::ROW.allows(Way::Review));
    assert!(<Restricted as Edge<Escalated>>::ROW.allows(Way::Escalate));
    assert!(<Base as Edge<Escalated>>::ROW.allows(Way::Escalate));
    assert!(<Verified as Edge<Escalated>>::ROW.allows(Way::Escalate));
    assert!(<Privileged as Edge<Escalated>>::ROW.allows(Way::Escalate));
    assert!(<Init as Edge<Escalated>>::ROW.allows(Way::ConstitutionalEscalate));
    assert!(<Verified as Edge<Base>>::ROW.allows(Way::Downgrade));
    assert!(<Base as Edge<Restricted>>::ROW.allows(Way::Downgrade));
    assert!(<Restricted as Edge<Hold>>::ROW.allows(Way::Downgrade));
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn d_1_types_and_table_are_one_relation() {
        for from in State::ALL {
            for to in State::ALL {
                assert_eq!(
                    TYPED_EDGES.contains(&(from, to)),
                    table::edge(from, to).is_some(),
                    "{from} {to}"
                );
            }
        }
        // The constant block above names 18 ways of typed verbs; the table has as many.
        assert_eq!(table::EDGES.iter().map(|e| e.ways.len()).sum::<usize>(), 18);
    }
}
