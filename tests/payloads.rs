//! What is kept beside the chain is held against its digest before it is believed.

#![cfg(feature = "std")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use prospera::digest::Digest;
use prospera::routing::payloads::{PayloadError, intent, objective, output, verify_payloads};
use prospera::routing::{EvidenceBlock, Outcome};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Head, RecordKind, StreamId};
use prospera::ssot::store::{AppendError, Batch, Committed, Durability, Store, StoreError, Stored};
use prospera::testing::world::{Setup, request};

/// A store whose payload under one digest was changed or erased.
struct Tampered {
    store: MemoryStore,
    at: Digest,
    erased: bool,
}

impl Store for Tampered {
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
        self.store.append(batch)
    }
    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        self.store.head(stream)
    }
    fn len(&self) -> Result<u64, StoreError> {
        self.store.len()
    }
    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.store.read(from, limit)
    }
    fn read_stream(&self, s: &StreamId, from: u64, n: usize) -> Result<Vec<Stored>, StoreError> {
        self.store.read_stream(s, from, n)
    }
    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        self.store.streams(after, limit)
    }
    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        let kept = self.store.payload(digest)?;
        Ok(kept.filter(|_| !self.erased || *digest != self.at).map(|bytes| {
            let mut bytes = bytes.to_vec();
            if *digest == self.at {
                bytes.push(b'!');
            }
            bytes.into()
        }))
    }
    fn durability(&self) -> Durability {
        self.store.durability()
    }
}

fn routed() -> (MemoryStore, u64, EvidenceBlock, Outcome) {
    let world = Setup::sample().unwrap().build().unwrap();
    let mut desk = world.open("alice", "s-1").unwrap();
    let asked = request("note.read", &[("name", "groceries".into())]).unwrap();
    let submission = world.catalogue.intent(asked).unwrap().into();
    let routed = world.router.route(&mut desk, submission).unwrap();
    let outcome = routed.outcome.unwrap();
    (world.router.into_store(), routed.index, *routed.evidence, outcome)
}

#[test]
fn a_changed_payload_is_named_and_not_given_out() {
    let (store, index, block, outcome) = routed();
    let report = verify_payloads(&store).unwrap();
    assert_eq!((report.sound, report.erased), (3, 0), "intent, objective, output");
    let named = [("intent", block.intent), ("objective", block.objective.unwrap())];
    let mut tampered = Tampered { store, at: Digest::ZERO, erased: false };
    for (name, digest) in named.into_iter().chain([("output", outcome.output.unwrap())]) {
        tampered.at = digest;
        let found =
            [intent(&tampered, &block), objective(&tampered, &block), output(&tampered, &outcome)];
        for (result, of) in found.iter().zip(["intent", "objective", "output"]) {
            match result {
                Err(PayloadError::Changed { what, expected, .. }) => {
                    assert_eq!((*what, of, *expected), (name, name, digest));
                }
                other => assert!(other.as_ref().unwrap().is_some() && of != name),
            }
        }
        let (at, error) = verify_payloads(&tampered).unwrap_err();
        assert!(at >= index && error.to_string().contains(name), "{at}: {error}");
    }
}

#[test]
fn an_erased_payload_breaks_nothing_and_is_counted() {
    let (store, _, block, _) = routed();
    let tampered = Tampered { store, at: block.intent, erased: true };
    assert_eq!(intent(&tampered, &block).unwrap(), None);
    let report = verify_payloads(&tampered).unwrap();
    assert_eq!((report.sound, report.erased), (2, 1));
    let verified = prospera::ssot::verify::verify(&tampered, |_| {}).unwrap();
    assert!(verified.records > 0);
    let blocks = tampered.store.read(0, 64).unwrap();
    let kinds = blocks
        .iter()
        .map(|s| prospera::ssot::record::Record::decode_sealed(&s.bytes).unwrap().kind());
    assert_eq!(kinds.filter(|kind| *kind == RecordKind::EvidenceBlock).count(), 1);
}
