//! The walk: each record once, in the order of the log, from where the last walk ended.

use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::digest::{Digest, Domain};
use crate::ssot::matrix::cell::Fault;
use crate::ssot::matrix::check::{Check, Rule};
use crate::ssot::matrix::data::{LogFault, LogRule};
use crate::ssot::matrix::examiner::{Examiner, Scene, Tracks};
use crate::ssot::matrix::proof::{Checkpoint, Trunk, note};
use crate::ssot::matrix::rows::started;
use crate::ssot::record::{Head, Record, RecordKind, StreamId};
use crate::ssot::store::{Store, StoreError, Stored, Stretch};
use crate::ssot::verify::{Progress, RecordView};

/// How many records are held at a time.
const PIECE: usize = 256;
/// How many faults of the log as a whole are kept; the others are counted.
const LOG_FAULTS: usize = 64;

/// How far a walk goes, and what it is held against.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// Looks at this many new records at most: what is left is stale. All when none.
    pub limit: Option<u64>,
    /// A checkpoint that was remembered elsewhere: the tree must have this root at this
    /// size.
    pub checkpoint: Option<Checkpoint>,
}

/// What one walk did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// How many records had been looked at before.
    pub from: u64,
    /// How many have been looked at now.
    pub to: u64,
    /// How many records were read from the store, those read twice counted twice.
    pub read: u64,
    /// Whether what was remembered is still the beginning of the log. If it is not,
    /// everything was looked at again.
    pub continued: bool,
}

/// Checks a log, and remembers how far it came.
#[derive(Debug)]
pub struct Inspector<X: Examiner> {
    pub(super) examiner: X,
    /// How many records were looked at, and the digest of the last.
    pub(super) next: u64,
    pub(super) last: Option<Digest>,
    pub(super) trunk: Trunk,
    pub(super) tracks: Tracks<X::Memo>,
    pub(super) faults: Vec<LogFault>,
    pub(super) further: u64,
}

/// The streams of a piece: their first new sequence, and the indices of their records.
type Touched = HashMap<usize, (u64, Vec<u64>)>;

impl<X: Examiner> Inspector<X> {
    /// Nothing was looked at yet.
    pub fn new(mut examiner: X) -> Self {
        examiner.reset();
        Self {
            examiner,
            next: 0,
            last: None,
            trunk: Trunk::new(),
            tracks: Tracks::default(),
            faults: Vec::new(),
            further: 0,
        }
    }

    /// How many records were looked at so far.
    pub const fn checked(&self) -> u64 {
        self.next
    }

    /// How many streams it knows.
    pub fn streams(&self) -> usize {
        self.tracks.list.len()
    }

    /// Looks at what the log has beyond what was looked at before. First it holds what it
    /// remembers against the log: if that is not its beginning any more, it says so, and
    /// looks at everything again.
    ///
    /// `progress` is called now and then.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read at all. What is wrong with the log is
    /// no error but a cell.
    pub fn run<S: Store + ?Sized>(
        &mut self,
        store: &S,
        options: &Options,
        mut progress: impl FnMut(Progress),
    ) -> Result<Run, StoreError> {
        let total = store.len()?;
        let from = self.next;
        let mut read = 0;
        let remembered = match self.broken_prefix(store, total, &mut read)? {
            None => HashMap::new(),
            Some(fault) => self.forget(fault),
        };
        let continued = remembered.is_empty();
        self.trunk.begin(store, options.checkpoint, &mut self.faults)?;
        let end = options.limit.map_or(total, |limit| total.min(self.next.saturating_add(limit)));
        while self.next < end {
            let left = usize::try_from(end.saturating_sub(self.next)).unwrap_or(PIECE);
            let start = self.next;
            let piece = self.piece(store, left.min(PIECE))?;
            if piece.is_empty() {
                break;
            }
            read += piece.len() as u64;
            let mut touched = Touched::new();
            for stored in &piece {
                if let Some(stored) = stored {
                    let known = (&remembered, &mut touched);
                    self.record(store, stored, options, known)?;
                } else {
                    self.unreadable("a record", "bytes that cannot be read");
                    self.trunk.poison(self.next);
                }
                self.next = self.next.saturating_add(1);
            }
            self.index(store, &touched, start)?;
            progress(Progress { verified: self.next, total });
        }
        if self.next >= total {
            self.rolled_back(&remembered);
            if let Some(checkpoint) = options.checkpoint.filter(|c| c.size > self.next) {
                let fault = LogFault::new(LogRule::Shorter, self.next, checkpoint, self.next);
                note(&mut self.faults, fault);
            }
        }
        let walked = (if continued { from } else { 0 }, self.next);
        read += self.trunk.end(store, &mut self.tracks, walked)?;
        if self.faults.len() > LOG_FAULTS {
            self.further += (self.faults.len() - LOG_FAULTS) as u64;
            self.faults.truncate(LOG_FAULTS);
        }
        Ok(Run { from, to: self.next, read, continued })
    }

    /// What is wrong with what is remembered, where anything is.
    fn broken_prefix<S: Store + ?Sized>(
        &self,
        store: &S,
        total: u64,
        read: &mut u64,
    ) -> Result<Option<LogFault>, StoreError> {
        let (Some(before), Some(expected)) = (self.next.checked_sub(1), self.last) else {
            return Ok(None);
        };
        if total < self.next {
            let expected = alloc::format!("at least {} records", self.next);
            return Ok(Some(LogFault::new(LogRule::Shorter, total, expected, total)));
        }
        *read += 1;
        let found = match store.read(before, 1) {
            Ok(piece) => piece.first().map(|stored| Domain::Record.hash(&stored.bytes)),
            Err(error) if said_of_the_log(&error) => None,
            Err(error) => return Err(error),
        };
        Ok(match found {
            Some(found) if found == expected => None,
            Some(found) => Some(LogFault::new(LogRule::Replaced, before, expected, found)),
            None => Some(LogFault::new(LogRule::Replaced, before, expected, "no record")),
        })
    }

    /// Starts anew, and gives back where the streams ended.
    fn forget(&mut self, fault: LogFault) -> HashMap<StreamId, Head> {
        let heads = self.tracks.list.iter().map(|track| (track.stream.clone(), track.head));
        let heads = heads.collect();
        self.examiner.reset();
        self.tracks = Tracks::default();
        self.trunk = Trunk::new();
        (self.next, self.last) = (0, None);
        note(&mut self.faults, fault);
        heads
    }

    /// The next records; none stands for one that the store cannot give.
    fn piece<S: Store + ?Sized>(
        &self,
        store: &S,
        limit: usize,
    ) -> Result<Vec<Option<Stored>>, StoreError> {
        match store.read(self.next, limit) {
            Ok(piece) => return Ok(piece.into_iter().map(Some).collect()),
            Err(error) if said_of_the_log(&error) => {}
            Err(error) => return Err(error),
        }
        // One of them: which?
        let mut piece = Vec::new();
        for index in (self.next..).take(limit) {
            match store.read(index, 1) {
                Ok(one) => match one.into_iter().next() {
                    Some(stored) => piece.push(Some(stored)),
                    None => break,
                },
                Err(error) if said_of_the_log(&error) => piece.push(None),
                Err(error) => return Err(error),
            }
        }
        Ok(piece)
    }

    fn record<S: Store + ?Sized>(
        &mut self,
        store: &S,
        stored: &Stored,
        options: &Options,
        (remembered, touched): (&HashMap<StreamId, Head>, &mut Touched),
    ) -> Result<(), StoreError> {
        let index = self.next;
        let record = match Record::decode_sealed(&stored.bytes) {
            Ok(record) if record.digest() == stored.digest => record,
            other => {
                let computed = Domain::Record.hash(&stored.bytes);
                self.last = Some(computed);
                self.trunk.push(&computed, options, &mut self.faults);
                let rule = if computed == stored.digest { Rule::Undecodable } else { Rule::Digest };
                let found = match other {
                    Err(error) if rule == Rule::Undecodable => alloc::format!("{error}"),
                    _ => alloc::format!("bytes with digest {computed}"),
                };
                self.unbelievable(stored, rule, &found, touched);
                return Ok(());
            }
        };
        self.last = Some(record.digest());
        self.trunk.push(&record.digest(), options, &mut self.faults);
        let own = match self.tracks.place(record.stream()) {
            Some(own) => own,
            None => self.meet(record.stream()),
        };
        let at = (index, record.sequence());
        let Some(track) = self.tracks.list.get_mut(own) else { return Ok(()) };
        let entry = touched.entry(own).or_insert_with(|| (track.head.length(), Vec::new()));
        entry.1.push(index);
        if record.index() != index {
            track.fail(Fault::new(Rule::Place, at, index, record.index()));
        }
        let after = track.head;
        if record.sequence() != after.length() {
            let fault = Fault::new(Rule::Sequence, at, after.length(), record.sequence());
            track.break_at(fault);
        } else if record.previous() != after.digest() {
            track.break_at(Fault::new(Rule::Previous, at, after.digest(), record.previous()));
        }
        if let Some(head) = remembered.get(record.stream())
            && head.length() == record.sequence().saturating_add(1)
            && head.digest() != record.digest()
        {
            track.fail(Fault::new(Rule::Rewritten, at, head.digest(), record.digest()));
        }
        track.head = record.head();
        if track.broken.or(track.halted).is_some() {
            self.examiner.gap(index);
        } else {
            let mut scene = Scene { tracks: &mut self.tracks, own, at };
            self.examiner.examine(&record, &mut scene, store)?;
        }
        if let Some(track) = self.tracks.list.get_mut(own) {
            // Of snapshots only they are counted.
            let counts = |check| check != Check::Snapshot || record.kind() == RecordKind::Snapshot;
            let cells = Check::ALL.into_iter().zip(&mut track.cells);
            cells.filter(|(check, _)| counts(*check)).for_each(|(_, cell)| cell.pass());
        }
        Ok(())
    }

    /// A stream that begins.
    fn meet(&mut self, stream: &StreamId) -> usize {
        self.tracks.insert(started(&self.examiner, stream))
    }

    /// A record whose bytes are not those that were sealed, or no record. It is laid to
    /// the stream it names where that stream goes on with it.
    fn unbelievable(&mut self, stored: &Stored, rule: Rule, found: &str, touched: &mut Touched) {
        let index = self.next;
        self.examiner.gap(index);
        let named = RecordView::of(&stored.bytes)
            .and_then(|view| Some((view.stream()?, Head::new(view.sequence, view.previous))));
        let own = named.and_then(|(stream, after)| {
            let own = self.tracks.place(&stream)?;
            let track = self.tracks.list.get(own)?;
            (track.head == after).then_some(own)
        });
        let expected = alloc::format!("a record with digest {}", stored.digest);
        let Some((own, track)) = own.and_then(|own| Some((own, self.tracks.list.get_mut(own)?)))
        else {
            self.faults.push(LogFault::new(LogRule::Unreadable, index, expected, found));
            return;
        };
        let sequence = track.head.length();
        track.break_at(Fault::new(rule, (index, sequence), expected, found));
        // The next record names the digest that was stored.
        track.head = Head::new(sequence.saturating_add(1), stored.digest);
        let entry = touched.entry(own).or_insert_with(|| (sequence, Vec::new()));
        entry.1.push(index);
    }

    fn unreadable(&mut self, expected: &str, found: &str) {
        self.faults.push(LogFault::new(LogRule::Unreadable, self.next, expected, found));
        self.examiner.gap(self.next);
        self.last = None;
    }

    /// Holds the streams' index against the places of a piece's records.
    fn index<S: Store + ?Sized>(
        &mut self,
        store: &S,
        touched: &Touched,
        start: u64,
    ) -> Result<(), StoreError> {
        let mut own: Vec<(&usize, &(u64, Vec<u64>))> = touched.iter().collect();
        own.sort_unstable();
        let streams: Vec<StreamId> = (own.iter())
            .filter_map(|(own, _)| Some(self.tracks.list.get(**own)?.stream.clone()))
            .collect();
        let stretches: Vec<Stretch<'_>> = (own.iter().zip(&streams))
            .map(|((_, (from, at)), stream)| Stretch { stream, from: *from, limit: at.len() })
            .collect();
        let mut found: Vec<Vec<u64>> = alloc::vec![Vec::new(); stretches.len()];
        let mut note = |number: usize, index| {
            if let Some(list) = found.get_mut(number) {
                list.push(index);
            }
        };
        match store.trace(&stretches, &mut note) {
            Ok(()) => {}
            Err(error) if said_of_the_log(&error) => {
                // One of them cannot be followed: which?
                for (number, stretch) in stretches.iter().enumerate() {
                    let mut list = Vec::new();
                    let traced = store
                        .trace(core::slice::from_ref(stretch), &mut |_, index| list.push(index));
                    match traced {
                        Ok(()) => {}
                        Err(error) if said_of_the_log(&error) => list.push(u64::MAX),
                        Err(error) => return Err(error),
                    }
                    if let Some(found) = found.get_mut(number) {
                        *found = list;
                    }
                }
            }
            Err(error) => return Err(error),
        }
        for ((own, (from, expected)), found) in own.into_iter().zip(&found) {
            if expected == found {
                continue;
            }
            let same = expected.iter().zip(found).take_while(|(one, other)| one == other).count();
            let place = expected.get(same).copied().unwrap_or(start);
            let sequence = from.saturating_add(same as u64);
            let leads_to = match found.get(same) {
                Some(&u64::MAX) => "an entry that leads nowhere".into(),
                Some(other) => alloc::format!("an entry that leads to record {other}"),
                None => "no entry".into(),
            };
            if let Some(track) = self.tracks.list.get_mut(*own) {
                let expected = alloc::format!("an entry that leads to record {place}");
                track.fail(Fault::new(Rule::Index, (place, sequence), expected, leads_to));
            }
        }
        Ok(())
    }

    /// Streams that were longer when they were looked at before.
    fn rolled_back(&mut self, remembered: &HashMap<StreamId, Head>) {
        let mut gone: Vec<_> = remembered.iter().collect();
        gone.sort_unstable_by(|a, b| a.0.cmp(b.0));
        for (stream, head) in gone {
            let own = match self.tracks.place(stream) {
                Some(own) => own,
                None => self.meet(stream),
            };
            let Some(track) = self.tracks.list.get_mut(own) else { continue };
            let found = track.head.length();
            if found < head.length() {
                let at = (self.next, found);
                let expected = alloc::format!("{} records, as were checked before", head.length());
                track.fail(Fault::new(Rule::Rewritten, at, expected, found));
            }
        }
    }
}

/// Whether the error says something of what was read, not of the store's health.
pub(super) const fn said_of_the_log(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Damaged { .. } | StoreError::Record { .. } | StoreError::NoNode { .. }
    )
}
