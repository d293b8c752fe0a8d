//! Records, and what they are made from.

use std::vec::Vec;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::vocabulary::{digest, name, subsystem, timestamp};
use crate::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use crate::ssot::store::Batch;
use crate::testing::properties::Mutation;

/// Any stream.
pub fn stream() -> impl Strategy<Value = StreamId> + Clone {
    use StreamKind::{Audience, Governance, Memory, Policy, Routing, Session, Subject};
    let kind = select(&[Audience, Routing, Session, Memory, Governance, Subject, Policy][..]);
    (kind, name()).prop_map(|(kind, name)| StreamId::new(kind, name))
}

fn record_kind() -> impl Strategy<Value = RecordKind> + Clone {
    use RecordKind::{
        AudienceEvent, ConflictDetected, ConstitutionalCheck, EnvelopeBlock, EvidenceBlock, Fact,
        GovernanceDecision, IdentityScored, Outcome, PolicyPinned, SessionClosed, SessionOpened,
        Snapshot, TransitionRefused,
    };
    select(
        &[
            AudienceEvent,
            EnvelopeBlock,
            TransitionRefused,
            ConstitutionalCheck,
            SessionOpened,
            SessionClosed,
            EvidenceBlock,
            Outcome,
            Fact,
            GovernanceDecision,
            PolicyPinned,
            Snapshot,
            ConflictDetected,
            IdentityScored,
        ][..],
    )
}

/// A draft with any body: a store does not read bodies.
pub fn draft() -> impl Strategy<Value = Draft> + Clone {
    (stream(), record_kind(), subsystem(), vec(any::<u8>(), 0..48))
        .prop_map(|(stream, kind, source, body)| Draft::new(stream, kind, source, body))
}

/// Any head.
pub fn head() -> impl Strategy<Value = Head> + Clone {
    prop_oneof![
        1 => Just(Head::EMPTY),
        3 => (any::<u64>(), digest()).prop_map(|(length, digest)| Head::new(length, digest)),
    ]
}

/// A sealed record at any place.
pub fn sealed() -> impl Strategy<Value = Record> + Clone {
    (draft(), any::<u64>(), head(), timestamp())
        .prop_map(|(draft, index, after, time)| Record::seal(draft, index, after, time))
}

/// Drafts, to be appended one after another.
pub fn log() -> impl Strategy<Value = Vec<Draft>> + Clone {
    vec(draft(), 0..24)
}

/// A batch that a fresh store accepts: each of its streams is expected to be empty.
pub fn batch() -> impl Strategy<Value = Batch> + Clone {
    (timestamp(), vec(draft(), 1..6)).prop_map(|(time, drafts)| {
        let streams: std::collections::BTreeSet<StreamId> =
            drafts.iter().map(|draft| draft.stream().clone()).collect();
        let batch = streams
            .into_iter()
            .fold(Batch::new(time), |batch, stream| batch.expect(stream, Head::EMPTY));
        drafts.into_iter().fold(batch, Batch::append)
    })
}

/// One change of a log.
pub fn mutation() -> impl Strategy<Value = Mutation> + Clone {
    (any::<u32>(), any::<u32>(), 0..6).prop_map(|(record, bit, which)| match which {
        0 => Mutation::Flip { record, bit },
        1 => Mutation::FlipDigest { record, bit },
        2 => Mutation::Forge { record, bit },
        3 => Mutation::Swap { first: record, second: bit },
        4 => Mutation::Drop { record },
        _ => Mutation::Repeat { record },
    })
}
