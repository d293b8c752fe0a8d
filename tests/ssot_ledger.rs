//! Receipts come from honest answers only.

#![cfg(feature = "std")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests, too, may end a test"
)]

use std::sync::Arc;

use prospera::digest::{Digest, Domain};
use prospera::id::Subsystem;
use prospera::ssot::ledger::{Field, Ledger, LedgerError, Receipt, check};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use prospera::ssot::store::{AppendError, Batch, Committed, Durability, Store, StoreError, Stored};
use prospera::time::Timestamp;
use static_assertions::assert_not_impl_any;

assert_not_impl_any!(Receipt: Clone, Default, serde::de::DeserializeOwned);

fn stream(name: &str) -> StreamId {
    StreamId::new(StreamKind::Audience, name.parse().unwrap())
}

fn draft(name: &str, body: &[u8]) -> Draft {
    Draft::new(stream(name), RecordKind::AudienceEvent, Subsystem::Audience, body.to_vec())
}

const TIME: Timestamp = Timestamp::from_millis(77);

fn batch() -> Batch {
    Batch::new(TIME)
        .expect(stream("a"), Head::EMPTY)
        .expect(stream("b"), Head::EMPTY)
        .append(draft("a", b"1"))
        .append(draft("b", b"2"))
        .append(draft("a", b"3"))
}

fn honest() -> Vec<Record> {
    MemoryStore::new().append(&batch()).unwrap().records
}

#[test]
fn a_receipt_says_what_was_committed() {
    let ledger = Ledger::new(MemoryStore::new());
    let receipt = ledger.commit(batch()).unwrap();
    assert_eq!(receipt.records(), honest());
    assert_eq!(receipt.first_index(), 0);
    assert_eq!(receipt.durability(), Durability::Volatile);
    assert_eq!(receipt.head(&stream("a")), Some(honest()[2].head()));
    assert_eq!(receipt.head(&stream("b")), Some(honest()[1].head()));
    assert_eq!(receipt.head(&stream("c")), None);
    assert!(receipt.digests().eq(honest().iter().map(Record::digest)));
    assert!(receipt.covers(&honest()[1].digest()));
    assert!(!receipt.covers(&Digest::ZERO));
    let head = receipt.head(&stream("a")).unwrap();
    let next = Batch::new(TIME).expect(stream("a"), head).append(draft("a", b"4"));
    assert_eq!(ledger.commit(next).unwrap().first_index(), 3);
    let again = ledger.commit(batch()).unwrap_err();
    assert!(matches!(again, LedgerError::Append(AppendError::Conflict { .. })));
    assert!(!again.is_unknown());
}

/// A store that writes what it is told and answers with something else.
struct Liar<F>(MemoryStore, F);

impl<F: Fn(Vec<Record>) -> Vec<Record>> Store for Liar<F> {
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
        let committed = self.0.append(batch)?;
        Ok(Committed { records: (self.1)(committed.records) })
    }
    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        self.0.head(stream)
    }
    fn len(&self) -> Result<u64, StoreError> {
        self.0.len()
    }
    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        self.0.read(from, limit)
    }
    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        self.0.read_stream(stream, from, limit)
    }
    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        self.0.streams(after, limit)
    }
    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        self.0.payload(digest)
    }
    fn durability(&self) -> Durability {
        Durability::Durable
    }
}

fn caught(lie: impl Fn(Vec<Record>) -> Vec<Record>) -> (usize, Field, String) {
    let error = Ledger::new(Liar(MemoryStore::new(), lie)).commit(batch()).unwrap_err();
    assert!(error.is_unknown(), "nothing may be concluded from a lie");
    let text = error.to_string();
    match error {
        LedgerError::Dishonest { position, field, .. } => (position, field, text),
        other => panic!("expected a lie to be caught, found {other}"),
    }
}

/// The honest answer with one record replaced.
fn with(position: usize, record: Record) -> impl Fn(Vec<Record>) -> Vec<Record> {
    move |mut records| {
        records[position] = record.clone();
        records
    }
}

#[test]
fn every_lie_about_a_batch_is_caught_and_named() {
    let seal = |draft, index, head, time| Record::seal(draft, index, head, time);
    let of = |kind, source, body: &[u8]| Draft::new(stream("b"), kind, source, body.to_vec());
    let (kind, source) = (RecordKind::AudienceEvent, Subsystem::Audience);
    let other = Head::new(0, Domain::Other.hash(b"x"));
    let lies: Vec<(Record, usize, Field)> = vec![
        (seal(draft("c", b"2"), 1, Head::EMPTY, TIME), 1, Field::Stream),
        (seal(of(RecordKind::Fact, source, b"2"), 1, Head::EMPTY, TIME), 1, Field::Kind),
        (seal(of(kind, Subsystem::Safety, b"2"), 1, Head::EMPTY, TIME), 1, Field::Source),
        (seal(of(kind, source, b"X"), 1, Head::EMPTY, TIME), 1, Field::Body),
        (seal(of(kind, source, b"2"), 1, Head::EMPTY, Timestamp::default()), 1, Field::Timestamp),
        (seal(of(kind, source, b"2"), 1, Head::new(1, Digest::ZERO), TIME), 1, Field::Sequence),
        (seal(of(kind, source, b"2"), 1, other, TIME), 1, Field::Previous),
        (seal(of(kind, source, b"2"), 2, Head::EMPTY, TIME), 1, Field::Index),
        // The third must follow the first, not just anything.
        (seal(draft("a", b"3"), 2, Head::new(1, other.digest()), TIME), 2, Field::Previous),
        (seal(draft("a", b"3"), 2, Head::EMPTY, TIME), 2, Field::Sequence),
    ];
    for (record, position, field) in lies {
        let (at, named, text) = caught(with(position, record));
        assert_eq!((at, named), (position, field), "{text}");
        assert!(text.contains(&format!("record {position}: expected {field}")), "{text}");
    }
    assert_eq!(caught(|_| Vec::new()).1, Field::Count);
    assert_eq!(caught(|records| records[..2].to_vec()).1, Field::Count);
    assert_eq!(caught(|records| [&records[..], &records[2..]].concat()).1, Field::Count);
    assert_eq!(
        caught(|mut records| {
            records.swap(0, 1);
            records
        })
        .1,
        Field::Stream
    );
    assert_eq!(
        caught(|mut records| {
            records.swap(0, 2);
            records
        })
        .1,
        Field::Body
    );
}

#[test]
fn a_flipped_bit_in_an_answer_is_no_receipt() {
    let honest = honest();
    let bytes = honest[1].bytes();
    let mut tried = 0;
    for bit in 0..bytes.len() * 8 {
        let mut bytes = bytes.to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let Ok(record) = Record::decode_sealed(&bytes) else { continue };
        let mut records = honest.clone();
        records[1] = record;
        let answer = check(&batch(), Committed { records }, Durability::Durable);
        assert!(matches!(answer, Err(LedgerError::Dishonest { .. })), "bit {bit}");
        tried += 1;
    }
    assert!(tried > 300, "{tried}");
}

#[test]
fn a_batch_no_store_may_accept_gets_no_receipt() {
    let draft = || draft("a", b"1");
    let records = vec![Record::seal(draft(), 0, Head::EMPTY, TIME)];
    let answer =
        |batch: &Batch| check(batch, Committed { records: records.clone() }, Durability::Durable);
    assert!(answer(&Batch::new(TIME).expect(stream("a"), Head::EMPTY).append(draft())).is_ok());
    for batch in [
        Batch::new(TIME).append(draft()),
        Batch::new(TIME)
            .expect(stream("a"), Head::EMPTY)
            .expect(stream("a"), Head::EMPTY)
            .append(draft()),
        Batch::new(TIME).expect(stream("a"), Head::EMPTY),
    ] {
        assert!(matches!(answer(&batch), Err(LedgerError::Dishonest { .. })));
    }
    let empty = Batch::new(TIME).expect(stream("a"), Head::EMPTY);
    let nothing = Committed { records: Vec::new() };
    assert!(check(&empty, nothing, Durability::Durable).is_err(), "nothing was committed");
}

#[test]
fn an_index_before_what_the_batch_itself_expects_is_a_lie() {
    let head = Head::new(5, Domain::Other.hash(b"fifth"));
    let batch = Batch::new(TIME).expect(stream("a"), head).append(draft("a", b""));
    let at = |index| {
        let records = vec![Record::seal(draft("a", b""), index, head, TIME)];
        check(&batch, Committed { records }, Durability::Durable)
    };
    assert!(matches!(at(4), Err(LedgerError::Dishonest { field: Field::Index, .. })));
    assert!(at(5).is_ok());
}
