//! Each error has a bundle that deserves it: a log in which one thing is wrong, whose
//! proofs and signature hold all the same.

use std::collections::BTreeMap;

use super::*;
use crate::audience::state::State;
use crate::commitment::Part;
use crate::digest::Domain;
use crate::governance::{Authority, Matter, Sitting};
use crate::id::{LayerId, Subsystem};
use crate::intent::Submission;
use crate::routing::{EvidenceBlock, Outcome, Pins, PolicyPinned, StepResult};
use crate::ssot::checkpoint::{Checkpoint, Origin, Policy};
use crate::ssot::merkle::{Sha256, naive};
use crate::ssot::note::{Algorithm, Signer};
use crate::ssot::record::{Draft, Head, RecordKind, StreamId};
use crate::ssot::store::Store as _;
use crate::testing::world::{Setup, World};
use crate::time::Timestamp;
use crate::verdict::Verdict;

const ORIGIN: &str = "example.com/log/shard/0";

fn signer() -> Signer {
    Signer::from_seed(ORIGIN.parse().unwrap(), Algorithm::Ed25519, &[7; 32]).unwrap()
}

fn trust() -> Policy {
    Policy::of_log(signer().verifier().unwrap())
}

/// What is changed of a record while a log is written again.
type Change<'a> = &'a dyn Fn(&Record) -> Option<Vec<u8>>;

/// A log of alice's, of which the bundle is that of the approved payment.
struct Log {
    records: Vec<Record>,
    bundle: Bundle,
}

impl Log {
    fn new() -> Self {
        let world = Setup::sample().unwrap().build().unwrap();
        let mut desk = world.open("alice", "s-1").unwrap();
        let pay = |world: &World| -> Submission {
            let arguments = [("to", "bob".into()), ("amount", 70.into())];
            world.intent("payment.send", "Pay Bob.", &arguments).unwrap()
        };
        world.clock.advance_millis(1000);
        let asked = world.router.route(&mut desk, pay(&world)).unwrap();
        assert_eq!(asked.verdict, Verdict::StepUp);
        let boss = world.governor("boss", "g-1").unwrap();
        let session = "s-1".parse().unwrap();
        world.router.approve(&boss, &session, asked.record, true, "").unwrap();
        world.clock.advance_millis(1000);
        let paid = world.router.route(&mut desk, pay(&world)).unwrap();
        assert_eq!(paid.verdict, Verdict::Allow);
        let store = world.router.store();
        let stored = store.read(0, 100).unwrap();
        let records: Vec<Record> =
            stored.iter().map(|s| Record::decode_sealed(&s.bytes).unwrap()).collect();
        let bundle = Bundle::gather(store, paid.index, &note(&records)).unwrap();
        Self { records, bundle }
    }

    /// The log written again with changes: digests that records name are those of the
    /// changed records.
    fn rewritten(&self, change: Change<'_>) -> Vec<Record> {
        let mut heads: BTreeMap<StreamId, Head> = BTreeMap::new();
        let mut new: Vec<([u8; 32], [u8; 32])> = Vec::new();
        let mut out = Vec::new();
        for record in &self.records {
            let mut body = record.body().to_vec();
            for (old, new) in &new {
                for at in 0..body.len().saturating_sub(31) {
                    if body[at..at + 32] == *old {
                        body[at..at + 32].copy_from_slice(new);
                    }
                }
            }
            let stream = record.stream().clone();
            let draft = |body| Draft::new(stream.clone(), record.kind(), record.source(), body);
            let head = heads.get(&stream).copied().unwrap_or(Head::EMPTY);
            let (index, time) = (record.index(), record.timestamp());
            let sealed = Record::seal(draft(body), index, head, time);
            let body = change(&sealed).unwrap_or_else(|| sealed.body().to_vec());
            let sealed = Record::seal(draft(body), index, head, time);
            new.push((*record.digest().as_bytes(), *sealed.digest().as_bytes()));
            heads.insert(stream.clone(), sealed.head());
            out.push(sealed);
        }
        out
    }

    /// The bundle of the same records of a log that was written again.
    fn bundle_of(&self, records: &[Record]) -> Bundle {
        let digests: Vec<Digest> = records.iter().map(Record::digest).collect();
        let leaves: Vec<&[u8]> = digests.iter().map(|d| &d.as_bytes()[..]).collect();
        let proven = self.bundle.records.iter().map(|proven| {
            let index = usize::try_from(proven.record.index()).unwrap();
            let path = naive::inclusion::<Sha256>(index, &leaves);
            Proven { record: records[index].clone(), path }
        });
        let route = self.records.iter().position(|r| r.digest() == self.bundle.route).unwrap();
        Bundle {
            route: records[route].digest(),
            checkpoint: note(records),
            records: proven.collect(),
            payloads: self.bundle.payloads.clone(),
        }
    }

    fn changed(&self, change: Change<'_>) -> Result<Verified, BundleError> {
        self.bundle_of(&self.rewritten(change)).verify(&trust())
    }

    /// With another evidence in the place of the route's own.
    fn evidence(&self, change: impl Fn(&mut EvidenceBlock)) -> BundleError {
        let route = self.index_of_route();
        self.changed(&|record| {
            if record.index() != route {
                return None;
            }
            let mut block: EvidenceBlock = record.read().unwrap();
            change(&mut block);
            Some(block.to_canonical())
        })
        .unwrap_err()
    }

    fn index_of_route(&self) -> u64 {
        let own = |proven: &&Proven| proven.record.digest() == self.bundle.route;
        self.bundle.records.iter().find(own).unwrap().record.index()
    }

    fn place(&self, kind: RecordKind) -> usize {
        let found = self.bundle.records.iter().rposition(|proven| proven.record.kind() == kind);
        found.unwrap()
    }

    fn without(&self, place: usize) -> BundleError {
        let mut bundle = self.bundle.clone();
        bundle.records.remove(place);
        bundle.verify(&trust()).unwrap_err()
    }
}

fn note(records: &[Record]) -> Note {
    let digests: Vec<Digest> = records.iter().map(Record::digest).collect();
    let leaves: Vec<&[u8]> = digests.iter().map(|d| &d.as_bytes()[..]).collect();
    let root = naive::root::<Sha256>(&leaves);
    let checkpoint = Checkpoint::new(Origin::new(ORIGIN).unwrap(), records.len() as u64, root);
    checkpoint.sign(&[&signer()], Timestamp::from_secs(1)).unwrap()
}

fn digest(byte: u8) -> Digest {
    Digest::from_bytes([byte; 32])
}

#[test]
fn a_log_that_is_written_again_unchanged_verifies() {
    let log = Log::new();
    let seen = log.changed(&|_| None).unwrap();
    assert_eq!(seen.evidence.verdict, Verdict::Allow);
    assert_eq!(log.bundle_of(&log.records), log.bundle);
}

#[test]
fn proofs_order_and_links() {
    let log = Log::new();
    let mut bundle = log.bundle.clone();
    bundle.records[0].path.pop();
    assert!(matches!(bundle.verify(&trust()), Err(BundleError::Proof { .. })));
    let mut bundle = log.bundle.clone();
    let (one, other) = (bundle.records[0].path.clone(), bundle.records[1].path.clone());
    (bundle.records[0].path, bundle.records[1].path) = (other, one);
    assert!(matches!(bundle.verify(&trust()), Err(BundleError::Proof { .. })));
    let mut bundle = log.bundle.clone();
    bundle.records.swap(0, 1);
    assert!(matches!(bundle.verify(&trust()), Err(BundleError::Order { .. })));
    assert!(Bundle::from_bytes(&bundle.to_bytes()).is_err());
    let mut bundle = log.bundle.clone();
    bundle.payloads.reverse();
    assert!(matches!(bundle.verify(&trust()), Err(BundleError::Order { .. })));
    // The outcome stands in the log, but follows on another record than the evidence.
    let mut records = log.records.clone();
    let at = usize::try_from(log.index_of_route()).unwrap() + 1;
    let outcome = &records[at];
    let draft = Draft::new(
        outcome.stream().clone(),
        RecordKind::Outcome,
        Subsystem::Execution,
        outcome.body().to_vec(),
    );
    let head = Head::new(outcome.sequence(), digest(9));
    records[at] = Record::seal(draft, outcome.index(), head, outcome.timestamp());
    let error = log.bundle_of(&records).verify(&trust()).unwrap_err();
    assert!(matches!(error, BundleError::Link { .. }), "{error}");
}

#[test]
fn every_part_must_be_there_and_nothing_else() {
    let log = Log::new();
    let missing = |place| match log.without(place) {
        BundleError::Missing(missing) => Some(missing),
        _ => None,
    };
    for (kind, expected) in [
        (RecordKind::EvidenceBlock, Missing::Evidence),
        (RecordKind::SessionOpened, Missing::Session),
        (RecordKind::PolicyPinned, Missing::Policy),
        (RecordKind::GovernanceDecision, Missing::Approval),
        (RecordKind::AudienceEvent, Missing::Audience),
    ] {
        let found = missing(log.place(kind));
        // Without its last change the audience is in another state.
        let state = kind == RecordKind::AudienceEvent && found.is_none();
        assert!(state || found == Some(expected), "{kind:?}: {found:?}");
    }
    let mut outcome = log.bundle.clone();
    outcome.records.remove(log.place(RecordKind::Outcome));
    let output = outcome.verify(&trust()).unwrap_err();
    assert!(matches!(output, BundleError::PayloadUnnamed { .. }), "{output}");
    outcome.withhold("output").unwrap_err();
    outcome.payloads = log.bundle.payloads.clone();
    let named = outcome.named();
    outcome.payloads.retain(|p| named.iter().any(|named| named.digest == p.digest));
    assert_eq!(outcome.verify(&trust()).unwrap().outcome, None, "it says that it holds none");
    // The first question of the same payment has nothing to do with the second.
    let shown = |r: &&Record| log.bundle.records.iter().any(|p| p.record.digest() == r.digest());
    let other = log.records.iter().find(|r| !shown(r)).unwrap();
    let mut more = log.bundle.clone();
    let digests: Vec<Digest> = log.records.iter().map(Record::digest).collect();
    let leaves: Vec<&[u8]> = digests.iter().map(|d| &d.as_bytes()[..]).collect();
    let index = usize::try_from(other.index()).unwrap();
    let path = naive::inclusion::<Sha256>(index, &leaves);
    more.records.push(Proven { record: other.clone(), path });
    more.records.sort_by_key(|proven| proven.record.index());
    let error = more.verify(&trust()).unwrap_err();
    assert!(matches!(error, BundleError::Unneeded { .. }), "{error}");
}

#[test]
fn the_evidence_agrees_with_itself_and_the_log() {
    use BundleError as E;
    type Case = (fn(&mut EvidenceBlock), fn(&BundleError) -> bool);
    let log = Log::new();
    let of = |change: fn(&mut EvidenceBlock)| log.evidence(change);
    let cases: [Case; 22] = [
        (|b| b.intent = digest(9), |e| matches!(e, E::RoutingId { .. })),
        (|b| b.objective = Some(digest(9)), |e| matches!(e, E::RoutingId { .. })),
        (|b| b.objective = None, |e| matches!(e, E::RoutingId { .. })),
        (
            |b| b.snapshot = crate::id::SnapshotId::new(digest(9)),
            |e| matches!(e, E::RoutingId { .. }),
        ),
        (
            |b| b.flags = b.flags.union(crate::verdict::SafetyFlags::BULK),
            |e| matches!(e, E::RoutingId { .. }),
        ),
        (|b| b.verdict = Verdict::Deny, |e| matches!(e, E::Verdict { .. })),
        (|b| b.verdict = Verdict::Modify, |e| matches!(e, E::Verdict { .. })),
        (|b| b.verdict = Verdict::StepUp, |e| matches!(e, E::Verdict { .. })),
        (|b| b.narrowing.read_only = true, |e| matches!(e, E::Verdict { .. })),
        (|b| b.token = None, |e| matches!(e, E::Verdict { .. })),
        (|b| b.module = None, |e| matches!(e, E::Verdict { .. })),
        (|b| b.trace.clear(), |e| matches!(e, E::Verdict { .. } | E::RoutingId { .. })),
        (|b| b.trace.swap(0, 1), |e| matches!(e, E::Verdict { .. })),
        (|b| b.trace[1].result = StepResult::Stopped, |e| matches!(e, E::Verdict { .. })),
        (
            |b| b.trace.retain(|entry| entry.layer != LayerId::Governance),
            |e| matches!(e, E::Verdict { .. } | E::RoutingId { .. }),
        ),
        (|b| b.principal = "mallory".parse().unwrap(), |e| matches!(e, E::Session { .. })),
        (|b| b.pins = digest(9), |e| matches!(e, E::Pins { .. })),
        (|b| b.state = State::Privileged, |e| matches!(e, E::Audience { .. })),
        (|b| b.approval = Some(digest(9)), |e| matches!(e, E::Missing(Missing::Approval))),
        (|b| b.approval = None, |e| matches!(e, E::Unneeded { .. })),
        (|b| b.kind = Some("note.read".parse().unwrap()), |e| matches!(e, E::Field { .. })),
        (|b| b.salted = true, |e| matches!(e, E::PayloadForm { .. })),
    ];
    for (number, (change, expected)) in cases.into_iter().enumerate() {
        let error = of(change);
        assert!(expected(&error), "case {number}: {error}");
    }
    // An approval that the evidence takes for an authorization to go back.
    let error = of(|b| b.backtrack = b.approval.take());
    assert!(matches!(error, E::Decision { .. }), "{error}");
}

#[test]
fn other_records_agree_with_the_evidence() {
    use BundleError as E;
    let log = Log::new();
    let error = log.changed(&|record| {
        let mut outcome: Outcome =
            (record.kind() == RecordKind::Outcome).then(|| record.read().unwrap())?;
        outcome.evidence = digest(9);
        Some(outcome.to_canonical())
    });
    let error = error.unwrap_err();
    assert!(matches!(error, E::Outcome { .. }), "{error}");
    // A body that is none.
    for kind in [RecordKind::Outcome, RecordKind::PolicyPinned, RecordKind::SessionOpened] {
        let error = log.changed(&|record| (record.kind() == kind).then(|| alloc::vec![1]));
        assert!(matches!(error.unwrap_err(), E::Body { .. }), "{kind:?}");
    }
    // A policy set with another catalogue than the one the intent was checked by.
    let pins = |record: &Record| -> PolicyPinned { record.read().unwrap() };
    let forged = |old: &PolicyPinned| {
        let parts = old.pins.parts().map(|(name, d)| {
            (name.clone(), if name.as_str() == "catalogue" { digest(9) } else { *d })
        });
        Pins::new(parts)
    };
    let own = pins(log.records.iter().find(|r| r.kind() == RecordKind::PolicyPinned).unwrap());
    let error = log.changed(&|record| match record.kind() {
        RecordKind::PolicyPinned => {
            let files = own.files.clone();
            let pinned = PolicyPinned { by: own.by.clone(), pins: forged(&own), files };
            Some(pinned.to_canonical())
        }
        RecordKind::EvidenceBlock => {
            let mut block: EvidenceBlock = record.read().unwrap();
            block.pins = forged(&own).digest();
            Some(block.to_canonical())
        }
        _ => None,
    });
    let error = error.unwrap_err();
    assert!(matches!(error, E::PolicyPart { .. }), "{error}");
    // A decision on another intent, refused, or ended.
    for (intent, granted, ended) in
        [(Some(digest(9)), true, false), (None, false, false), (None, true, true)]
    {
        let error = log.changed(&|record| {
            if record.kind() != RecordKind::GovernanceDecision {
                return None;
            }
            let old: crate::governance::GovernanceDecision = record.read().unwrap();
            let Matter::Approval { intent: own, requester } = old.matter().clone() else {
                return None;
            };
            let scopes = [old.role().clone()].into();
            let authority = Authority {
                principal: old.decider(),
                kind: "human",
                scopes: &scopes,
                delegation: 0,
            };
            let valid_millis = if ended { 0 } else { 86_400_000 };
            let sitting = Sitting {
                requester: &requester,
                role: old.role(),
                policy: old.policy(),
                now: old.decided_at(),
                valid_millis,
            };
            let requester = requester.clone();
            let matter = Matter::Approval { intent: intent.unwrap_or(own), requester };
            Some(sitting.decide(matter, &authority, granted, "").unwrap().to_canonical())
        });
        let error = error.unwrap_err();
        assert!(matches!(error, E::Decision { .. }), "{error}");
    }
}

#[test]
fn payloads_are_what_the_evidence_names() {
    use BundleError as E;
    let log = Log::new();
    for place in 0..log.bundle.payloads.len() {
        let mut bundle = log.bundle.clone();
        let Content::Plain(bytes) = &bundle.payloads[place].content else { panic!("plain") };
        let mut bytes = bytes.to_vec();
        bytes[0] ^= 1;
        bundle.payloads[place].content = Content::Plain(bytes.into());
        assert!(matches!(bundle.verify(&trust()), Err(E::Payload { .. })));
    }
    let mut stray = log.bundle.clone();
    stray.payloads.push(Payload { digest: digest(0xff), content: Content::Plain((*b"x").into()) });
    assert!(matches!(stray.verify(&trust()), Err(E::PayloadUnnamed { .. })));
    // Bytes that are named and are no output.
    let garbage: Arc<[u8]> = (*b"garbage").into();
    let name = Domain::Output.hash(&garbage);
    let records = log.rewritten(&|record| {
        let mut outcome: Outcome =
            (record.kind() == RecordKind::Outcome).then(|| record.read().unwrap())?;
        outcome.output = Some(name);
        Some(outcome.to_canonical())
    });
    let mut bundle = log.bundle_of(&records);
    let output = log.bundle.named().into_iter().find(|named| named.part == Part::Output).unwrap();
    bundle.payloads.retain(|payload| payload.digest != output.digest);
    bundle.payloads.push(Payload { digest: name, content: Content::Plain(garbage) });
    bundle.payloads.sort_by_key(|payload| payload.digest);
    assert!(matches!(bundle.verify(&trust()), Err(E::PayloadBody { .. })));
}
