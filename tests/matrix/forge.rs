//! Logs of the real router, and copies of them that were changed and sealed again.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prospera::audience::causes::HoldTrigger;
use prospera::audience::state::State;
use prospera::digest::{Digest, Domain};
use prospera::encode::{Decode, Encode};
use prospera::id::LayerId;
use prospera::routing::audit::Auditor;
use prospera::routing::{EvidenceBlock, Outcome};
use prospera::ssot::matrix::{Cell, Check, Inspector, Made, Matrix, Options, State as CellState};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::merkle::KeptTree;
use prospera::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use prospera::ssot::store::{AppendError, Batch, Committed, Durability, Store, StoreError, Stored};
use prospera::time::Timestamp;
use prospera::verdict::{Consensus, Vote};

use crate::world::{self, World, fact};

/// A day with everything in it: routes allowed, refused, asked for, approved, referred for
/// drift and taken back; facts; a subject suspended and released; two sessions.
pub(crate) fn day() -> MemoryStore {
    let world = World::new();
    let router = world.router(MemoryStore::new());
    let governor = world.governor();
    let mut desk = router.open(world.alice("s-1")).unwrap();
    let tick = || world.clock.advance_millis(1000);
    for number in 0..3 {
        let _done = router.route(&mut desk, world.numbered("s-1", "note.add", number)).unwrap();
        tick();
    }
    router.remember(&mut desk, fact("address", "12 High Street")).unwrap();
    router.remember(&mut desk, fact("address", "7 Low Street")).unwrap();
    tick();
    let asked = router.route(&mut desk, world.intent("s-1", "mail.send")).unwrap();
    assert_eq!(asked.verdict, prospera::verdict::Verdict::StepUp, "{:?}", asked.evidence.trace);
    tick();
    let sid = world::sid("s-1");
    router.approve(&governor, &sid, asked.record, true, "go on").unwrap();
    tick();
    let done = router.route(&mut desk, world.intent("s-1", "mail.send")).unwrap();
    assert!(done.evidence.approval.is_some(), "{:?}", done.evidence.trace);
    let _bad = router.route(&mut desk, world::malformed()).unwrap();
    tick();
    let subject = "alice".parse().unwrap();
    router.suspend(&subject, HoldTrigger::ALL[0]).unwrap();
    router.release(&governor, &subject, State::Base, "looked at").unwrap();
    tick();
    let mut second = router.open(world.alice("s-2")).unwrap();
    let _done = router.route(&mut second, world.intent("s-2", "note.add")).unwrap();
    router.into_store()
}

/// All records, in order.
pub(crate) fn records(store: &dyn Store) -> Vec<Record> {
    world::records(store)
}

/// One record on its way into a forged log.
#[derive(Debug, Clone)]
pub(crate) struct Sheet {
    pub(crate) stream: StreamId,
    pub(crate) kind: RecordKind,
    pub(crate) source: prospera::id::Subsystem,
    pub(crate) time: Timestamp,
    pub(crate) body: Vec<u8>,
    /// The record it was, whose digest later bodies name.
    pub(crate) was: Option<Digest>,
}

impl Sheet {
    pub(crate) fn of(record: &Record) -> Self {
        Self {
            stream: record.stream().clone(),
            kind: record.kind(),
            source: record.source(),
            time: record.timestamp(),
            body: record.body().to_vec(),
            was: Some(record.digest()),
        }
    }

    pub(crate) fn read<T: Decode>(&self) -> T {
        T::from_canonical(&self.body).unwrap()
    }

    /// Changes what the body says.
    pub(crate) fn edit<T: Decode + Encode>(&mut self, change: impl FnOnce(&mut T)) {
        let mut value: T = self.read();
        change(&mut value);
        self.body = value.to_canonical();
    }

    pub(crate) fn block(&mut self, change: impl FnOnce(&mut EvidenceBlock)) {
        self.edit(change);
    }
}

/// A log as an insider with the store's code would forge it: records changed, dropped, put
/// elsewhere, and every digest, link, head, tree node and reference made anew.
pub(crate) struct Forge {
    pub(crate) sheets: Vec<Sheet>,
    payloads: Vec<(Digest, Arc<[u8]>)>,
}

impl Forge {
    pub(crate) fn new() -> Self {
        Self::of(&day())
    }

    pub(crate) fn of(store: &MemoryStore) -> Self {
        let records = records(store);
        let mut payloads = Vec::new();
        let mut keep = |digest: Option<Digest>| {
            let kept = digest.and_then(|d| Some((d, store.payload(&d).unwrap()?)));
            payloads.extend(kept);
        };
        for record in &records {
            if let Ok(block) = record.read::<EvidenceBlock>() {
                keep(Some(block.intent));
                keep(block.objective);
            } else if let Ok(outcome) = record.read::<Outcome>() {
                keep(outcome.output);
            }
        }
        Self { sheets: records.iter().map(Sheet::of).collect(), payloads }
    }

    /// The place of the n-th record of a kind.
    pub(crate) fn find(&self, kind: RecordKind, nth: usize) -> usize {
        let mut places = self.sheets.iter().enumerate().filter(|(_, s)| s.kind == kind);
        places.nth(nth).unwrap().0
    }

    /// The place of the n-th evidence block for which something holds.
    pub(crate) fn evidence(&self, fits: impl Fn(&EvidenceBlock) -> bool) -> usize {
        let found = self.sheets.iter().position(|sheet| {
            sheet.kind == RecordKind::EvidenceBlock && fits(&sheet.read::<EvidenceBlock>())
        });
        found.unwrap()
    }

    pub(crate) fn sheet(&mut self, place: usize) -> &mut Sheet {
        &mut self.sheets[place]
    }

    /// Seals everything again.
    pub(crate) fn seal(&self) -> MemoryStore {
        let store = MemoryStore::new();
        let mut renamed: HashMap<Digest, Digest> = HashMap::new();
        let mut payloads = self.payloads.clone();
        for sheet in &self.sheets {
            let body = rename(&sheet.body, &renamed);
            let head = store.head(&sheet.stream).unwrap();
            let draft = Draft::new(sheet.stream.clone(), sheet.kind, sheet.source, body);
            let mut batch = Batch::new(sheet.time).expect(sheet.stream.clone(), head).append(draft);
            for (digest, bytes) in payloads.drain(..payloads.len().min(64)) {
                batch = batch.payload(digest, bytes);
            }
            let sealed = store.append(&batch).unwrap().records;
            if let Some(was) = sheet.was {
                renamed.insert(was, sealed[0].digest());
            }
        }
        store
    }
}

/// Puts new digests in the place of old ones. A Routing ID is computed from a snapshot, so
/// it is made anew where it was right.
fn rename(body: &[u8], renamed: &HashMap<Digest, Digest>) -> Vec<u8> {
    let mut body = body.to_vec();
    let before = EvidenceBlock::from_canonical(&body).ok();
    let mut at = 0;
    while at + 32 <= body.len() {
        let window: [u8; 32] = body[at..at + 32].try_into().unwrap();
        match renamed.get(&Digest::from_bytes(window)) {
            Some(new) => {
                body[at..at + 32].copy_from_slice(new.as_bytes());
                at += 32;
            }
            None => at += 1,
        }
    }
    if let (Some(before), Ok(mut after)) = (before, EvidenceBlock::from_canonical(&body))
        && let (Some(objective), Some(id)) = (after.objective, after.routing_id)
    {
        let mut components = prospera::intent::RoutingComponents {
            intent: before.intent,
            objective,
            snapshot: before.snapshot,
            flags: before.flags,
            consensus: Consensus::NONE,
        };
        for votes in votes() {
            components.consensus = votes;
            if components.id() == id {
                components.snapshot = after.snapshot;
                after.routing_id = Some(components.id());
                break;
            }
        }
        return after.to_canonical();
    }
    body
}

/// Every vector of votes that can stand at Step 2.
fn votes() -> Vec<Consensus> {
    let mut all = vec![Consensus::NONE];
    for layer in LayerId::ALL {
        let agreed = matches!(layer, LayerId::Identity | LayerId::Intent);
        let values =
            if agreed { &[Vote::Agree][..] } else { &[Vote::Abstain, Vote::Agree, Vote::Dissent] };
        all = all.iter().flat_map(|v| values.iter().map(|vote| v.with(layer, *vote))).collect();
    }
    all
}

pub(crate) fn made() -> Made {
    Made { at: Timestamp::from_millis(1_800_000_000_000), by: "a test".into() }
}

/// The matrix of a store, from its start.
pub(crate) fn matrix(store: &(impl Store + ?Sized)) -> Matrix {
    let mut inspector = Inspector::new(Auditor::new());
    inspector.run(store, &Options::default(), |_| {}).unwrap();
    inspector.matrix(store, made()).unwrap()
}

pub(crate) fn stream(kind: StreamKind, name: &str) -> StreamId {
    StreamId::new(kind, name.parse().unwrap())
}

/// Every cell that is unsound, as `stream check rule`.
pub(crate) fn bad(matrix: &Matrix) -> Vec<String> {
    let faults = matrix.faults();
    faults.iter().map(|(stream, fault)| format!("{stream} {}", fault.rule)).collect()
}

/// Every cell that could not be checked, as `stream check`.
pub(crate) fn open(matrix: &Matrix) -> Vec<String> {
    let mut out = Vec::new();
    for row in matrix.rows() {
        for (check, cell) in row.cells() {
            if matches!(cell, Cell::NotChecked { .. }) {
                out.push(format!("{} {check}", row.stream));
            }
        }
    }
    out
}

/// Exactly these cells are unsound, and every other one that applies is sound.
#[track_caller]
pub(crate) fn only(matrix: &Matrix, expected: &[&str]) {
    assert_eq!(bad(matrix), expected, "{:#?}", matrix.faults());
    assert_eq!(open(matrix), <[String; 0]>::default());
    assert!(matrix.log().faults.is_empty(), "{:?}", matrix.log().faults);
    let verdict = if expected.is_empty() { CellState::Sound } else { CellState::Unsound };
    assert_eq!(matrix.verdict(), verdict);
    for check in Check::ALL {
        assert_eq!(matrix.count(check).of(CellState::Stale), 0, "{check}");
    }
}

/// A store that is only read, whose parts can be changed under its reader, and that counts.
#[derive(Default)]
pub(crate) struct Medium {
    pub(crate) log: Vec<Stored>,
    pub(crate) heads: BTreeMap<StreamId, Head>,
    /// The indices of each stream's records.
    pub(crate) places: BTreeMap<StreamId, Vec<usize>>,
    pub(crate) payloads: HashMap<Digest, Arc<[u8]>>,
    /// The tree is that of another store.
    pub(crate) tree: MemoryStore,
    pub(crate) read: AtomicU64,
}

impl Medium {
    pub(crate) fn of(store: MemoryStore) -> Self {
        let forge = Forge::of(&store);
        let mut medium = Self { payloads: forge.payloads.into_iter().collect(), ..Self::default() };
        medium.log = store.read(0, usize::MAX).unwrap();
        for (record, place) in records(&store).iter().zip(0..) {
            medium.heads.insert(record.stream().clone(), record.head());
            medium.places.entry(record.stream().clone()).or_default().push(place);
        }
        medium.tree = store;
        medium
    }

    fn count(&self, pieces: Vec<Stored>) -> Vec<Stored> {
        self.read.fetch_add(pieces.len() as u64, Ordering::Relaxed);
        pieces
    }
}

impl Store for Medium {
    fn append(&self, _: &Batch) -> Result<Committed, AppendError> {
        Err(AppendError::Refused { reason: "a medium is only read" })
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        Ok(self.heads.get(stream).copied().unwrap_or(Head::EMPTY))
    }

    fn len(&self) -> Result<u64, StoreError> {
        Ok(self.log.len() as u64)
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let from = usize::try_from(from).unwrap();
        Ok(self.count(self.log.iter().skip(from).take(limit).cloned().collect()))
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let places = self.places.get(stream).into_iter().flatten();
        let from = usize::try_from(from).unwrap();
        let places = places.skip(from).take(limit);
        let missing = || StoreError::Damaged { what: "a place without a record".into() };
        let found: Result<Vec<_>, _> =
            places.map(|place| self.log.get(*place).cloned().ok_or_else(missing)).collect();
        Ok(self.count(found?))
    }

    /// From the index alone: no record is read.
    fn trace(
        &self,
        stretches: &[prospera::ssot::store::Stretch<'_>],
        visit: &mut dyn FnMut(usize, u64),
    ) -> Result<(), StoreError> {
        for (number, stretch) in stretches.iter().enumerate() {
            let places = self.places.get(stretch.stream).into_iter().flatten();
            let from = usize::try_from(stretch.from).unwrap();
            for place in places.skip(from).take(stretch.limit) {
                visit(number, *place as u64);
            }
        }
        Ok(())
    }

    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        let all = self.heads.iter().filter(|(stream, _)| after.is_none_or(|a| *stream > a));
        Ok(all.map(|(stream, head)| (stream.clone(), *head)).take(limit).collect())
    }

    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        Ok(self.payloads.get(digest).cloned())
    }

    fn kept_tree(&self) -> Option<&dyn KeptTree> {
        self.tree.kept_tree()
    }

    fn durability(&self) -> Durability {
        Durability::Volatile
    }
}

/// Seals a record's bytes again after a change, with the digest beside them.
pub(crate) fn reseal(stored: &mut Stored, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = stored.bytes.to_vec();
    change(&mut bytes);
    stored.digest = Domain::Record.hash(&bytes);
    stored.bytes = bytes.into();
}
