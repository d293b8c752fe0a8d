//! The audience's machine as somebody would write it by hand, on the same terms: the same
//! handle (subject, head, review), the same fifteen edges, the same event.

use std::sync::OnceLock;

use prospera::audience::any::AnyAudience;
use prospera::audience::causes::EscalationTrigger;
use prospera::audience::lineage::Cause;
use prospera::audience::state::State;
use prospera::audience::states::{Base, Escalated};
use prospera::audience::table::{self, Way};
use prospera::audience::typed::{Audience, Review, Transition};
use prospera::id::SubjectId;
use prospera::ssot::record::{Head, Record, StreamId, StreamKind};
use prospera::ssot::store::Store;
use prospera::testing::world::Setup;

/// What a handle holds.
pub(crate) struct Core {
    pub(crate) subject: SubjectId,
    pub(crate) head: Head,
    pub(crate) review: Review,
}

/// A handle as an enum by hand.
pub(crate) enum Hand {
    Init(Core),
    Base(Core),
    Verified(Core),
    Privileged(Core),
    Restricted(Core),
    Hold(Core),
    Escalated(Core),
}

/// What is to be recorded of a transition.
pub(crate) struct Event {
    pub(crate) way: Way,
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) cause: Cause,
}

/// A transition by hand that waits for its record.
pub(crate) struct Pending {
    pub(crate) core: Core,
    pub(crate) event: Event,
}

/// A request that was refused, with the handle in it.
pub(crate) struct Refused {
    pub(crate) audience: Hand,
    pub(crate) from: State,
    pub(crate) to: State,
    pub(crate) way: Way,
}

impl Hand {
    fn state(&self) -> State {
        match self {
            Self::Init(_) => State::Init,
            Self::Base(_) => State::Base,
            Self::Verified(_) => State::Verified,
            Self::Privileged(_) => State::Privileged,
            Self::Restricted(_) => State::Restricted,
            Self::Hold(_) => State::Hold,
            Self::Escalated(_) => State::Escalated,
        }
    }
}

/// The typed verb.
#[inline(never)]
pub(crate) fn escalate_typed(
    audience: Audience<Base>,
    trigger: EscalationTrigger,
) -> Transition<Base, Escalated> {
    audience.escalate(trigger)
}

/// The same by hand: the state is found out, then the event is made.
#[inline(never)]
pub(crate) fn escalate_enum(audience: Hand, trigger: EscalationTrigger) -> Result<Pending, Hand> {
    let (from, core) = match audience {
        Hand::Base(core) => (State::Base, core),
        Hand::Verified(core) => (State::Verified, core),
        Hand::Privileged(core) => (State::Privileged, core),
        Hand::Restricted(core) => (State::Restricted, core),
        other => return Err(other),
    };
    let cause = Cause::Escalation(trigger);
    Ok(Pending { core, event: Event { way: Way::Escalate, from, to: State::Escalated, cause } })
}

/// The least that can be written by hand: it takes the caller's word for the state.
#[inline(never)]
pub(crate) fn escalate_trusting(core: Core, trigger: EscalationTrigger) -> Pending {
    let cause = Cause::Escalation(trigger);
    let event = Event { way: Way::Escalate, from: State::Base, to: State::Escalated, cause };
    Pending { core, event }
}

/// Asks the run-time machine for an edge.
#[inline(never)]
pub(crate) fn request_ours(
    audience: AnyAudience,
    to: State,
    way: Way,
) -> Result<(AnyAudience, &'static table::Edge), prospera::audience::any::Refused> {
    audience.request(to, way)
}

/// The same by hand: one `match` over state, target and way gives what the edge needs.
#[inline(never)]
pub(crate) fn request_hand(
    audience: Hand,
    to: State,
    way: Way,
) -> Result<(Hand, &'static str), Refused> {
    let from = audience.state();
    match needs(from, to, way) {
        Some(needs) => Ok((audience, needs)),
        None => Err(Refused { audience, from, to, way }),
    }
}

/// The fifteen edges with their ways.
fn needs(from: State, to: State, way: Way) -> Option<&'static str> {
    use State::{Base, Escalated, Hold, Init, Privileged, Restricted, Verified};
    Some(match (from, to, way) {
        (Init, Base, Way::Advance) | (Base, Verified, Way::Advance) => "a clearance",
        (Verified, Privileged, Way::Advance) => "a clearance with constitutional clearance",
        (Verified, Base, Way::StepBack) => "nothing",
        (Verified, Base, Way::Downgrade)
        | (Base, Restricted, Way::Downgrade)
        | (Restricted, Hold, Way::Downgrade) => "a downgrade cause",
        (Base, Restricted, Way::Restrict) => "Class C or risk above the threshold",
        (Restricted, Hold, Way::Hold) => "a hold trigger",
        (Privileged, Verified, Way::GovernedDowngrade) => "a cause and an authorization",
        (Hold, Base | Restricted, Way::Release) => "governance approval",
        (Escalated, Hold, Way::Review) => "governance review",
        (Init, Escalated, Way::ConstitutionalEscalate) => "a constitutional violation",
        (Base | Verified | Privileged | Restricted, Escalated, Way::Escalate) => {
            "an escalation trigger"
        }
        _ => return None,
    })
}

/// The bare question whether an edge is legal, asked of the table.
#[inline(never)]
pub(crate) fn edge_by_table(from: State, to: State, way: Way) -> bool {
    table::edge(from, to).is_some_and(|edge| edge.allows(way))
}

/// The same by hand.
#[inline(never)]
pub(crate) fn edge_by_hand(from: State, to: State, way: Way) -> bool {
    needs(from, to, way).is_some()
}

/// Whether machine and hand agree on every state, target and way.
pub(crate) fn agree() -> bool {
    State::ALL.into_iter().all(|from| {
        State::ALL.into_iter().all(|to| {
            Way::ALL
                .into_iter()
                .all(|way| edge_by_table(from, to, way) == edge_by_hand(from, to, way))
        })
    })
}

/// The record of INIT → BASE, from a world whose desk was opened.
fn admission() -> &'static Record {
    static RECORD: OnceLock<Record> = OnceLock::new();
    RECORD.get_or_init(|| {
        let world = Setup::sample().unwrap().build().unwrap();
        let _desk = world.open("alice", "s-1").unwrap();
        let stream = StreamId::new(StreamKind::Audience, "alice".parse().unwrap());
        let first = world.router.store().read_stream(&stream, 0, 1).unwrap().remove(0);
        Record::decode_sealed(&first.bytes).unwrap()
    })
}

/// An audience in BASE that was restored, as a run-time handle.
pub(crate) fn any() -> AnyAudience {
    AnyAudience::replay("alice".parse().unwrap(), std::slice::from_ref(admission())).unwrap()
}

/// An audience in BASE that was restored; its handle is spent by each transition.
pub(crate) fn base() -> Audience<Base> {
    any().try_into().unwrap()
}

/// The same handle by hand.
pub(crate) fn core() -> Core {
    let audience = base();
    let (head, review) = (audience.head(), audience.review_open());
    Core { subject: audience.subject().clone(), head, review }
}

/// The same handle as an enum by hand.
pub(crate) fn hand() -> Hand {
    Hand::Base(core())
}
