//! One typed layer step, and the same by hand on the same terms: an engine is asked, its
//! finding kept, a vote cast and an entry added to the trace.

use prospera::audience::state::State;
use prospera::digest::Digest;
use prospera::id::{LayerId, SnapshotId};
use prospera::identity::{IdentityEngine, IdentityFinding, IdentityInput, Session};
use prospera::intent::Intent;
use prospera::risk::Risk;
use prospera::routing::evidence::StepResult;
use prospera::routing::{Reception, Route, layers};
use prospera::testing::world::{self, BEGIN};
use prospera::time::Timestamp;
use prospera::verdict::{Consensus, Reason, Vote};

use super::routes::Routes;

/// An engine that finds nothing: what is left is the step.
pub(crate) struct Silent;

impl IdentityEngine for Silent {
    #[inline(never)]
    fn identify(&self, _: &IdentityInput<'_>) -> Result<IdentityFinding, Reason> {
        Ok(IdentityFinding { strength: Risk::MAX, anomaly: Risk::ZERO, because: Vec::new() })
    }
}

/// A route by hand: an enum that says where it stands.
pub(crate) enum Hand {
    Received(Box<Walked>),
    Identity(Box<Walked>),
}

/// What a route by hand has learnt.
pub(crate) struct Walked {
    intent: Intent,
    now: Timestamp,
    identity: IdentityFinding,
    consensus: Consensus,
    trace: Vec<Entry>,
}

struct Entry {
    layer: LayerId,
    result: StepResult,
    reasons: Vec<Reason>,
}

fn session() -> Session {
    let routes = Routes::new();
    let policy = routes.world.router.engines().identity.policy();
    world::session(policy, "alice", "s-1", None, BEGIN).unwrap()
}

fn intent() -> Intent {
    Routes::new().intents(1).remove(0)
}

/// A typed route that was received, and the session it is of.
pub(crate) fn received() -> (Route<layers::Received>, &'static Session) {
    let session: &'static Session = Box::leak(Box::new(session()));
    let reception = Reception {
        session,
        state: State::Base,
        class: 1,
        snapshot: SnapshotId::new(Digest::ZERO),
        pins: Digest::ZERO,
        standing: Consensus::NONE,
        now: BEGIN,
        wait_until: BEGIN,
    };
    (Route::receive(intent().into(), &reception), session)
}

/// A route by hand that was received.
pub(crate) fn received_by_hand() -> (Hand, &'static Session) {
    let identity =
        IdentityFinding { strength: Risk::ZERO, anomaly: Risk::ZERO, because: Vec::new() };
    let trace = Vec::with_capacity(LayerId::ALL.len());
    let walked =
        Walked { intent: intent(), now: BEGIN, identity, consensus: Consensus::NONE, trace };
    (Hand::Received(Box::new(walked)), Box::leak(Box::new(session())))
}

/// The typed step.
#[inline(never)]
pub(crate) fn typed(
    route: Route<layers::Received>,
    session: &Session,
) -> Option<Route<layers::Identity>> {
    route.identify(&Silent, session).ok()
}

/// The step by hand.
#[inline(never)]
pub(crate) fn by_hand(route: Hand, session: &Session) -> Option<Hand> {
    let Hand::Received(mut walked) = route else { return None };
    if walked.intent.session() != session.id() {
        return None;
    }
    let mut finding = Silent
        .identify(&IdentityInput {
            session,
            subject: walked.intent.subject(),
            scope: Some(&walked.intent.kind().scope),
            now: walked.now,
        })
        .ok()?;
    let reasons = std::mem::take(&mut finding.because);
    walked.identity = finding;
    walked.consensus = walked.consensus.with(LayerId::Identity, Vote::Agree);
    walked.trace.push(Entry { layer: LayerId::Identity, result: StepResult::Passed, reasons });
    Some(Hand::Identity(walked))
}
