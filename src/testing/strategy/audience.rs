//! Walks of an audience through its states.

use std::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::vocabulary::{digest, named};
use crate::audience::causes::{DowngradeCause, EscalationTrigger, Ground, HoldTrigger};
use crate::audience::classifier::Class;
use crate::audience::evidence::Approver;
use crate::audience::lineage::{Cause, Cleared, LineageEvent, Why};
use crate::audience::state::State;
use crate::audience::table::{self, Way};
use crate::digest::Digest;
use crate::encode::Encode as _;
use crate::id::{PrincipalId, SubjectId, Subsystem};
use crate::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use crate::time::Timestamp;

/// Any state.
pub fn state() -> impl Strategy<Value = State> + Clone {
    select(&State::ALL[..])
}

/// What the causes of one event are made from.
#[derive(Debug, Clone)]
struct Seed {
    edge: prop::sample::Index,
    way: prop::sample::Index,
    cause: prop::sample::Index,
    digest: Digest,
    class: Class,
    principal: PrincipalId,
    rule: u8,
}

fn seed() -> impl Strategy<Value = Seed> + Clone {
    let class = select(&Class::ALL[..]);
    let index = any::<prop::sample::Index>();
    (index.clone(), index.clone(), index, digest(), class, named(), 0..11_u8).prop_map(
        |(edge, way, cause, digest, class, principal, rule)| Seed {
            edge,
            way,
            cause,
            digest,
            class,
            principal,
            rule,
        },
    )
}

impl Seed {
    /// An event along one of the edges that lead out of `from`; none where none does.
    fn event(&self, from: State) -> Option<LineageEvent> {
        let edges: Vec<_> = table::legal_exits(from).collect();
        let edge = edges.get(self.edge.index(edges.len().max(1)))?;
        let way = edge.ways.get(self.way.index(edge.ways.len().max(1)))?;
        LineageEvent::new(from, edge.to, self.cause(*way)).ok()
    }

    fn cause(&self, way: Way) -> Cause {
        fn one<T: Copy>(index: prop::sample::Index, all: &[T]) -> T {
            *index.get(all)
        }
        let approver = || Approver { principal: self.principal.clone(), record: self.digest };
        let downgrade = || Why::Downgrade(one(self.cause, DowngradeCause::ALL));
        match way {
            Way::Advance => Cause::Clearance(Cleared {
                class: self.class,
                envelope: self.digest,
                classifier: self.digest,
                matrix: self.digest,
                kernel: self.digest,
                snapshot: self.digest,
            }),
            Way::StepBack => Cause::StepBack,
            Way::Restrict => Cause::Restriction(Ground::ClassC { classifier: self.digest }),
            Way::Hold => Cause::Hold(one(self.cause, HoldTrigger::ALL)),
            Way::Downgrade => Cause::Downgrade(downgrade()),
            Way::GovernedDowngrade => Cause::Governed { why: downgrade(), approver: approver() },
            Way::Release => Cause::Approval(approver()),
            Way::Review => Cause::Review(approver()),
            Way::Escalate => Cause::Escalation(one(self.cause, EscalationTrigger::ALL)),
            Way::ConstitutionalEscalate => {
                Cause::Violation { rule: self.rule, kernel: self.digest }
            }
        }
    }
}

/// One legal event from any state.
pub fn lineage_event() -> impl Strategy<Value = LineageEvent> + Clone {
    (state(), seed()).prop_filter_map("an edge", |(from, seed)| seed.event(from))
}

/// A legal walk from INIT: each event begins where the one before it ended.
pub fn walk() -> impl Strategy<Value = Vec<LineageEvent>> + Clone {
    vec(seed(), 0..16).prop_map(|seeds| {
        let mut state = State::Init;
        let mut events = Vec::new();
        for event in seeds {
            if let Some(event) = event.event(state) {
                state = event.to();
                events.push(event);
            }
        }
        events
    })
}

/// A legal walk as the sealed records of `subject`'s stream.
pub fn history(subject: SubjectId) -> impl Strategy<Value = Vec<Record>> + Clone {
    walk().prop_map(move |events| {
        let mut head = Head::EMPTY;
        let mut records = Vec::new();
        for (event, index) in events.iter().zip(0..) {
            let stream = StreamId::new(StreamKind::Audience, subject.name().clone());
            let body = event.to_canonical();
            let draft = Draft::new(stream, RecordKind::AudienceEvent, Subsystem::Audience, body);
            let record = Record::seal(draft, index, head, Timestamp::from_millis(index));
            head = record.head();
            records.push(record);
        }
        records
    })
}
