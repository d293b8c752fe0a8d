//! The conformance suite: both stores keep every rule, and a store that breaks one is
//! caught by it.

#![cfg(feature = "std")]
#![expect(
    clippy::unwrap_used,
    clippy::cast_possible_truncation,
    reason = "the helpers of tests, too, may end a test"
)]

#[cfg(feature = "redb")]
use std::cell::Cell;
use std::sync::{Arc, Mutex};

use prospera::digest::Digest;
use prospera::ssot::conformance::{ConformanceFailure, conformance, durability};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::merkle::{Hash, KeptTree, NodeId, TreeHead, naive};
use prospera::ssot::record::{Draft, Head, StreamId};
use prospera::ssot::store::{
    AppendError, Batch, Committed, Durability, Store, StoreError, Stored, Stretch,
};
use prospera::time::Timestamp;

#[test]
fn the_memory_store_conforms() {
    assert_eq!(conformance(MemoryStore::new).unwrap().len(), 15);
}

#[cfg(feature = "redb")]
#[test]
fn the_redb_store_conforms() {
    use prospera::ssot::redb::RedbStore;
    let folder = tempfile::tempdir().unwrap();
    let count = Cell::new(0);
    let make = || {
        count.set(count.get() + 1);
        RedbStore::create(folder.path().join(format!("{}.redb", count.get()))).unwrap()
    };
    conformance(make).unwrap();
    let path = folder.path().join("lasting.redb");
    durability(RedbStore::create(&path).unwrap(), |store| {
        drop(store);
        RedbStore::open(&path).unwrap()
    })
    .unwrap();
}

/// One way for a store to be wrong, and the rules that may be the first to catch it.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Defect {
    NoComparison,
    ComparesLengthOnly,
    ComparesDigestOnly,
    IgnoresStreamsOnlyRead,
    LeavesPartOfConflict,
    KeepsPayloadOfConflict,
    ConflictWithoutTheHead,
    RefusesNothing,
    AcceptsTheUnexpected,
    AnswersInReverse,
    AnswersOnlyTheFirst,
    LengthOffByOne,
    ReadsFromTheStart,
    ReadsWithoutLimit,
    ReadsBackwards,
    StreamFromTheStart,
    StreamWithoutLimit,
    StreamByNameAlone,
    ListsBackwards,
    ListsAfterInclusive,
    ListsWithoutLimit,
    ListsStaleHeads,
    LosesPayloads,
    MixesUpPayloads,
    ReplacesPayloads,
    CorruptsBytes,
    StoresAnotherDigest,
    RacesBetweenCompareAndAppend,
    StartsWithARecord,
    ScansOneTooMany,
    TracesFromTheStart,
    ShowsPayloadsByTheNextNumber,
    TreeOneCommitBehind,
    TreeOfAnotherHash,
    TreeNodesInOrderOfLevel,
    TreeWithAnotherNode,
    TreeAnswersForWhatIsNotThere,
}

use Defect::*;

const DEFECTS: &[(Defect, &str)] = &[
    (NoComparison, "compare_and_append"),
    (ComparesLengthOnly, "compare_and_append"),
    (ComparesDigestOnly, "compare_and_append"),
    (IgnoresStreamsOnlyRead, "read_only_expectations"),
    (LeavesPartOfConflict, "atomicity"),
    (KeepsPayloadOfConflict, "atomicity"),
    (ConflictWithoutTheHead, "compare_and_append"),
    (RefusesNothing, "refusals"),
    (AcceptsTheUnexpected, "refusals"),
    (AnswersInReverse, "sealing"),
    (AnswersOnlyTheFirst, "sealing"),
    (LengthOffByOne, "global_order"),
    (ReadsFromTheStart, "global_order"),
    (ReadsWithoutLimit, "global_order"),
    (ReadsBackwards, "global_order"),
    (StreamFromTheStart, "stream_order"),
    (StreamWithoutLimit, "stream_order"),
    (StreamByNameAlone, "stream_order"),
    (ListsBackwards, "stream_listing"),
    (ListsAfterInclusive, "stream_listing"),
    (ListsWithoutLimit, "stream_listing"),
    (ListsStaleHeads, "read_only_expectations"),
    (LosesPayloads, "payloads"),
    (MixesUpPayloads, "payloads"),
    (ReplacesPayloads, "payloads"),
    (CorruptsBytes, "global_order"),
    (StoresAnotherDigest, "global_order"),
    (RacesBetweenCompareAndAppend, "concurrent_writers"),
    (StartsWithARecord, "starts_empty"),
    (ScansOneTooMany, "showing"),
    (TracesFromTheStart, "showing"),
    (ShowsPayloadsByTheNextNumber, "showing"),
    (TreeOneCommitBehind, "tree"),
    (TreeOfAnotherHash, "tree"),
    (TreeNodesInOrderOfLevel, "tree"),
    (TreeWithAnotherNode, "tree"),
    (TreeAnswersForWhatIsNotThere, "tree"),
];

#[test]
fn every_defect_is_caught_by_the_rule_it_breaks() {
    for &(defect, rule) in DEFECTS {
        let caught: ConformanceFailure =
            conformance(|| Broken::new(defect)).expect_err(&format!("{defect:?} must be caught"));
        assert_eq!(caught.rule(), rule, "{defect:?}: {caught}");
        assert!(!caught.what().is_empty());
    }
}

#[test]
fn pointers_to_a_store_are_stores() {
    assert!(conformance(|| Box::new(MemoryStore::new()) as Box<dyn Store + Sync>).is_ok());
    assert!(conformance(|| Arc::new(MemoryStore::new())).is_ok());
}

/// Answers what no default would.
struct Odd;

impl Store for Odd {
    fn append(&self, _: &Batch) -> Result<Committed, AppendError> {
        Err(AppendError::Refused { reason: "odd" })
    }
    fn head(&self, _: &StreamId) -> Result<Head, StoreError> {
        Ok(Head::new(7, Digest::ZERO))
    }
    fn len(&self) -> Result<u64, StoreError> {
        Ok(5)
    }
    fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(true)
    }
    fn read(&self, _: u64, _: usize) -> Result<Vec<Stored>, StoreError> {
        Ok(Vec::new())
    }
    fn read_stream(&self, _: &StreamId, _: u64, _: usize) -> Result<Vec<Stored>, StoreError> {
        Ok(Vec::new())
    }
    fn scan(
        &self,
        _: u64,
        _: usize,
        visit: &mut dyn FnMut(&[u8], &Digest),
    ) -> Result<(), StoreError> {
        visit(b"odd", &Digest::ZERO);
        Ok(())
    }
    fn trace(
        &self,
        _: &[Stretch<'_>],
        visit: &mut dyn FnMut(usize, u64),
    ) -> Result<(), StoreError> {
        visit(3, 9);
        Ok(())
    }
    fn streams(&self, _: Option<&StreamId>, _: usize) -> Result<Vec<(StreamId, Head)>, StoreError> {
        Ok(Vec::new())
    }
    fn payload(&self, _: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        Ok(None)
    }
    fn payloads(
        &self,
        _: &[Digest],
        visit: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<(), StoreError> {
        visit(4, b"odd");
        Ok(())
    }
    fn kept_tree(&self) -> Option<&dyn KeptTree> {
        Some(self)
    }
    fn tree_head(&self) -> Result<TreeHead, StoreError> {
        Ok(TreeHead { size: 8, root: Hash::ZERO })
    }
    fn tree_nodes(&self, _: &[NodeId]) -> Result<Vec<Hash>, StoreError> {
        Ok(vec![Hash::ZERO; 2])
    }
    fn durability(&self) -> Durability {
        Durability::Durable
    }
}

impl KeptTree for Odd {
    fn kept_head(&self) -> Result<TreeHead, StoreError> {
        Ok(TreeHead { size: 9, root: Hash::ZERO })
    }
    fn kept_nodes(&self, _: &[NodeId]) -> Result<Vec<Hash>, StoreError> {
        Ok(vec![Hash::ZERO; 3])
    }
}

/// What a store does in its own way is done so behind a pointer, too.
#[test]
fn pointers_pass_on_what_has_a_default() {
    fn passes_on(store: impl Store) {
        assert!(store.is_empty().unwrap());
        assert_eq!((store.len().unwrap(), store.durability()), (5, Durability::Durable));
        let (mut scanned, mut traced, mut shown) = (0, 0, 0);
        store.scan(0, 1, &mut |bytes, _| scanned += bytes.len()).unwrap();
        store.trace(&[], &mut |_, index| traced += index).unwrap();
        store.payloads(&[], &mut |number, _| shown += number).unwrap();
        assert_eq!((scanned, traced, shown), (3, 9, 4));
        assert_eq!(store.tree_head().unwrap().size, 8);
        assert_eq!(store.tree_nodes(&[]).unwrap().len(), 2);
        assert_eq!(store.kept_tree().unwrap().kept_head().unwrap().size, 9);
    }
    passes_on(&Odd);
    passes_on(Arc::new(Odd));
    passes_on(Box::new(Odd) as Box<dyn Store>);
}

/// Says it lasts, and doesn't.
struct Forgets(MemoryStore);

#[test]
fn a_store_that_forgets_is_caught_when_it_is_opened_again() {
    let caught = durability(Forgets(MemoryStore::new()), |_| Forgets(MemoryStore::new()));
    assert_eq!(caught.unwrap_err().rule(), "durability");
    assert!(durability(Forgets(MemoryStore::new()), |store| store).is_ok());
    assert!(durability(MemoryStore::new(), |_| MemoryStore::new()).is_ok(), "promised nothing");
}

impl Store for Forgets {
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
        self.0.append(batch)
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

struct Broken {
    inner: MemoryStore,
    defect: Defect,
    replaced: Mutex<Vec<(Digest, Arc<[u8]>)>>,
}

impl Broken {
    fn new(defect: Defect) -> Self {
        let inner = MemoryStore::new();
        if defect == StartsWithARecord {
            let stream: StreamId = serde_json::from_str(r#"{"kind":"memory","name":"x"}"#).unwrap();
            let draft = draft_like(&stream);
            let batch = Batch::new(Timestamp::default()).expect(stream, Head::EMPTY).append(draft);
            inner.append(&batch).unwrap();
        }
        Self { inner, defect, replaced: Mutex::default() }
    }

    /// The batch with the expectations that `replace` gives for those found.
    fn expecting(batch: &Batch, mut replace: impl FnMut(&StreamId, Head) -> Option<Head>) -> Batch {
        let (time, expected, drafts, payloads) = batch.clone().into_parts();
        let mut out = Batch::new(time);
        for (stream, head) in expected {
            if let Some(head) = replace(&stream, head) {
                out = out.expect(stream, head);
            }
        }
        out = drafts.into_iter().fold(out, Batch::append);
        payloads.into_iter().fold(out, |out, (digest, bytes)| out.payload(digest, bytes))
    }

    fn now(&self, stream: &StreamId) -> Head {
        self.inner.head(stream).unwrap()
    }

    fn all(&self) -> usize {
        self.inner.len().unwrap() as usize
    }
}

fn draft_like(stream: &StreamId) -> Draft {
    use prospera::id::Subsystem;
    use prospera::ssot::record::RecordKind;
    Draft::new(stream.clone(), RecordKind::Fact, Subsystem::Memory, vec![])
}

impl Store for Broken {
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
        match self.defect {
            NoComparison => self.inner.append(&Self::expecting(batch, |s, _| Some(self.now(s)))),
            ComparesLengthOnly => self.inner.append(&Self::expecting(batch, |s, head| {
                let now = self.now(s);
                Some(if now.length() == head.length() { now } else { head })
            })),
            ComparesDigestOnly => self.inner.append(&Self::expecting(batch, |s, head| {
                let now = self.now(s);
                Some(if now.digest() == head.digest() { now } else { head })
            })),
            IgnoresStreamsOnlyRead => {
                let written: Vec<_> = batch.drafts().iter().map(|d| d.stream().clone()).collect();
                self.inner.append(&Self::expecting(batch, |s, head| {
                    Some(if written.contains(s) { head } else { self.now(s) })
                }))
            }
            LeavesPartOfConflict => {
                let answer = self.inner.append(batch);
                if let Err(AppendError::Conflict { stream, .. }) = &answer {
                    let (time, expected, drafts, _) = batch.clone().into_parts();
                    let part = expected
                        .into_iter()
                        .filter(|(other, _)| other != stream)
                        .fold(Batch::new(time), |part, (stream, head)| part.expect(stream, head));
                    let drafts = drafts.into_iter().filter(|draft| draft.stream() != stream);
                    let _written = self.inner.append(&drafts.fold(part, Batch::append));
                }
                answer
            }
            KeepsPayloadOfConflict => {
                let payloads = batch.payloads().to_vec();
                let answer = self.inner.append(batch);
                if matches!(answer, Err(AppendError::Conflict { .. })) {
                    self.replaced.lock().unwrap().extend(payloads);
                }
                answer
            }
            ConflictWithoutTheHead => self.inner.append(batch).map_err(|error| match error {
                AppendError::Conflict { stream, expected, .. } => {
                    AppendError::Conflict { stream, expected, found: Head::EMPTY }
                }
                other => other,
            }),
            RefusesNothing => match self.inner.append(batch) {
                Err(AppendError::Refused { .. }) => Ok(Committed { records: Vec::new() }),
                answer => answer,
            },
            AcceptsTheUnexpected => {
                let mut more = batch.clone();
                for stream in batch.drafts().iter().map(Draft::stream) {
                    if !more.expected().iter().any(|(other, _)| other == stream) {
                        more = more.expect(stream.clone(), self.now(stream));
                    }
                }
                self.inner.append(&more)
            }
            AnswersInReverse => self.inner.append(batch).map(|mut committed| {
                committed.records.reverse();
                committed
            }),
            AnswersOnlyTheFirst => self.inner.append(batch).map(|mut committed| {
                committed.records.truncate(1);
                committed
            }),
            ReplacesPayloads => {
                let answer = self.inner.append(batch);
                let refused = matches!(&answer, Err(AppendError::Refused { reason })
                    if reason.contains("kept"));
                if !refused {
                    return answer;
                }
                let (time, expected, drafts, payloads) = batch.clone().into_parts();
                let batch = expected.into_iter().fold(Batch::new(time), |b, (s, h)| b.expect(s, h));
                self.replaced.lock().unwrap().extend(payloads);
                self.inner.append(&drafts.into_iter().fold(batch, Batch::append))
            }
            RacesBetweenCompareAndAppend => {
                for (stream, expected) in batch.expected() {
                    let found = self.now(stream);
                    if found != *expected {
                        let (stream, expected) = (stream.clone(), *expected);
                        return Err(AppendError::Conflict { stream, expected, found });
                    }
                }
                // Whoever is in here as well has compared with the same heads.
                std::thread::sleep(std::time::Duration::from_millis(2));
                self.inner.append(&Self::expecting(batch, |s, _| Some(self.now(s))))
            }
            _ => self.inner.append(batch),
        }
    }

    fn scan(
        &self,
        from: u64,
        limit: usize,
        visit: &mut dyn FnMut(&[u8], &Digest),
    ) -> Result<(), StoreError> {
        let more = usize::from(self.defect == ScansOneTooMany);
        self.inner.scan(from, limit + more, visit)
    }

    fn trace(
        &self,
        stretches: &[Stretch<'_>],
        visit: &mut dyn FnMut(usize, u64),
    ) -> Result<(), StoreError> {
        let mut stretches = stretches.to_vec();
        for stretch in stretches.iter_mut().filter(|_| self.defect == TracesFromTheStart) {
            stretch.from = 0;
        }
        self.inner.trace(&stretches, visit)
    }

    fn payloads(
        &self,
        digests: &[Digest],
        visit: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<(), StoreError> {
        let more = usize::from(self.defect == ShowsPayloadsByTheNextNumber);
        self.inner.payloads(digests, &mut |number, bytes| visit(number + more, bytes))
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        self.inner.head(stream)
    }

    fn len(&self) -> Result<u64, StoreError> {
        let len = self.inner.len()?;
        Ok(if self.defect == LengthOffByOne { len.saturating_sub(1) } else { len })
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let from = if self.defect == ReadsFromTheStart { 0 } else { from };
        let limit = if self.defect == ReadsWithoutLimit { usize::MAX } else { limit };
        let mut out = self.inner.read(from, limit)?;
        match self.defect {
            ReadsBackwards => out.reverse(),
            CorruptsBytes => {
                for stored in &mut out {
                    let mut bytes = stored.bytes.to_vec();
                    *bytes.last_mut().unwrap() ^= 1;
                    stored.bytes = bytes.into();
                }
            }
            StoresAnotherDigest => out.iter_mut().for_each(|stored| stored.digest = Digest::ZERO),
            _ => {}
        }
        Ok(out)
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        if self.defect == StreamByNameAlone {
            let mut out = self.inner.read(0, self.all())?;
            out.retain(|stored| {
                let record = prospera::ssot::record::Record::decode_sealed(&stored.bytes).unwrap();
                record.stream().name() == stream.name()
            });
            return Ok(out.into_iter().skip(from as usize).take(limit).collect());
        }
        let from = if self.defect == StreamFromTheStart { 0 } else { from };
        let limit = if self.defect == StreamWithoutLimit { usize::MAX } else { limit };
        self.inner.read_stream(stream, from, limit)
    }

    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        let mut out = match self.defect {
            ListsWithoutLimit => self.inner.streams(after, usize::MAX)?,
            ListsAfterInclusive => {
                let mut all = self.inner.streams(None, usize::MAX)?;
                all.retain(|(stream, _)| after.is_none_or(|after| stream >= after));
                all.truncate(limit);
                all
            }
            _ => self.inner.streams(after, limit)?,
        };
        match self.defect {
            ListsBackwards => out.reverse(),
            ListsStaleHeads => out.iter_mut().for_each(|(_, head)| *head = Head::EMPTY),
            _ => {}
        }
        Ok(out)
    }

    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        if let Some((_, kept)) =
            self.replaced.lock().unwrap().iter().find(|(other, _)| other == digest)
        {
            return Ok(Some(kept.clone()));
        }
        let kept = self.inner.payload(digest)?;
        Ok(match self.defect {
            LosesPayloads => None,
            MixesUpPayloads => kept.map(|_| (*b"one").into()),
            _ => kept,
        })
    }

    fn kept_tree(&self) -> Option<&dyn KeptTree> {
        Some(self)
    }

    fn durability(&self) -> Durability {
        Durability::Volatile
    }
}

impl KeptTree for Broken {
    fn kept_head(&self) -> Result<TreeHead, StoreError> {
        let mut head = self.inner.tree_head()?;
        let leaves = self.inner.read(0, self.all())?;
        let leaves: Vec<&[u8]> = leaves.iter().map(|s| s.digest.as_bytes().as_slice()).collect();
        match self.defect {
            TreeOneCommitBehind => {
                // As the tree would be if it were brought up to date before each append.
                head.size = head.size.saturating_sub(1);
                head.root = naive::root::<prospera::ssot::merkle::Sha256>(
                    leaves.split_last().map_or(&[], |(_, before)| before),
                );
            }
            TreeOfAnotherHash => {
                head.root = naive::root::<prospera::ssot::merkle::Blake3>(&leaves);
            }
            _ => {}
        }
        Ok(head)
    }

    fn kept_nodes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, StoreError> {
        let mut ids = ids.to_vec();
        match self.defect {
            TreeNodesInOrderOfLevel => ids.sort_unstable(),
            TreeWithAnotherNode => {
                for id in ids.iter_mut().filter(|id| id.level == 1 && id.index == 7) {
                    id.index = 6;
                }
            }
            TreeAnswersForWhatIsNotThere => {
                let size = self.inner.len()?;
                for id in ids.iter_mut().filter(|id| !id.is_within(size)) {
                    *id = NodeId { level: 0, index: 0 };
                }
            }
            _ => {}
        }
        self.inner.tree_nodes(&ids)
    }
}
