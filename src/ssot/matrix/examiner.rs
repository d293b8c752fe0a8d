//! Who knows what bodies mean: the checks that the log itself cannot make.

use core::fmt;

use hashbrown::HashMap;

use alloc::vec::Vec;

use crate::digest::Digest;
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::ssot::matrix::cell::{Cell, Fault, Why};
use crate::ssot::matrix::check::{CHECKS, Check, Rule};
use crate::ssot::record::{Head, Record, StreamId, StreamKind};
use crate::ssot::store::{Store, StoreError};

/// Makes the checks that need to know what bodies mean: schema, identity, lineage,
/// replay, policy and snapshot.
///
/// The log stands below everything that writes into it, so it cannot read bodies itself
/// (D-42): whoever stands above gives it an examiner. It is shown the records in the
/// order of the log, each once, and remembers of each stream what it needs in a
/// [`Examiner::Memo`].
///
/// INVARIANT (a fold): what an examiner says depends on the records it was shown, on its
/// memory, and on the payloads kept, so that stopping anywhere and going on from what
/// was saved gives what going through at once gives.
pub trait Examiner {
    /// What is remembered of one stream.
    type Memo: Default + Encode + Decode;

    /// What makes the saved memory that of this examiner: another name or version is
    /// another examiner, and starts anew.
    const NAME: &'static str;

    /// The cell of a stream of this kind before its first record.
    fn starts(&self, check: Check, kind: StreamKind) -> Cell;

    /// Looks at one record.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    fn examine<S: Store + ?Sized>(
        &mut self,
        record: &Record,
        scene: &mut Scene<'_, Self::Memo>,
        store: &S,
    ) -> Result<(), StoreError>;

    /// The record at this place cannot be believed and is not shown.
    fn gap(&mut self, index: u64);

    /// What must still come, when the log ends here: whose it is, and what is wrong then.
    fn pending(&self) -> Option<(StreamId, Fault)>;

    /// What is wrong with a stream once the log was looked at to its end: what is
    /// remembered of it does not fit what is remembered of others.
    fn closing<'m>(
        &self,
        stream: &StreamId,
        memo: &'m Self::Memo,
        other: &dyn Fn(&StreamId) -> Option<&'m Self::Memo>,
    ) -> Option<Fault>;

    /// The evidence of a route without an outcome, and how many payloads were erased.
    fn remarks(&self, memo: &Self::Memo) -> (Option<u64>, u64);

    /// The digest of the policy set in force.
    fn policy(&self) -> Option<Digest>;

    /// Writes what it remembers beside the memos.
    fn save(&self, out: &mut Writer);

    /// Reads that back.
    ///
    /// # Errors
    /// [`DecodeError`].
    fn load(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError>;

    /// Forgets everything.
    fn reset(&mut self);
}

/// No examiner: the log's own checks and nothing else.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogOnly;

/// What [`LogOnly`] remembers: nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Nothing;

impl Encode for Nothing {
    fn encode(&self, _: &mut Writer) {}
}

impl Decode for Nothing {
    fn decode(_: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self)
    }
}

impl Examiner for LogOnly {
    type Memo = Nothing;
    const NAME: &'static str = "log only";

    fn starts(&self, check: Check, _: StreamKind) -> Cell {
        match check {
            Check::Chain | Check::Proof | Check::Order => Cell::NEW,
            _ => Cell::NotChecked { records: 0, why: alloc::boxed::Box::new(Why::NotAsked) },
        }
    }

    fn examine<S: Store + ?Sized>(
        &mut self,
        _: &Record,
        _: &mut Scene<'_, Nothing>,
        _: &S,
    ) -> Result<(), StoreError> {
        Ok(())
    }

    fn gap(&mut self, _: u64) {}

    fn pending(&self) -> Option<(StreamId, Fault)> {
        None
    }

    fn closing<'m>(
        &self,
        _: &StreamId,
        _: &'m Nothing,
        _: &dyn Fn(&StreamId) -> Option<&'m Nothing>,
    ) -> Option<Fault> {
        None
    }

    fn remarks(&self, _: &Nothing) -> (Option<u64>, u64) {
        (None, 0)
    }

    fn policy(&self) -> Option<Digest> {
        None
    }

    fn save(&self, _: &mut Writer) {}

    fn load(&mut self, _: &mut Reader<'_>) -> Result<(), DecodeError> {
        Ok(())
    }

    fn reset(&mut self) {}
}

/// What is known of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Track<M> {
    pub(super) stream: StreamId,
    /// What its next record must follow.
    pub(super) head: Head,
    pub(super) cells: [Cell; CHECKS],
    /// The record from which on it proves nothing.
    pub(super) broken: Option<u64>,
    /// The record from which on its bodies are not known.
    pub(super) halted: Option<u64>,
    pub(super) memo: M,
}

impl<M> Track<M> {
    pub(super) fn cell_mut(&mut self, check: Check) -> Option<&mut Cell> {
        Check::ALL.into_iter().zip(&mut self.cells).find(|(c, _)| *c == check).map(|(_, cell)| cell)
    }

    pub(super) fn fail(&mut self, fault: Fault) {
        if let Some(cell) = self.cell_mut(fault.rule.check()) {
            let _first = cell.fail(fault);
        }
    }

    /// Ends every check that reads bodies.
    pub(super) fn end_bodies(&mut self, why: &Why) {
        for (check, cell) in Check::ALL.into_iter().zip(&mut self.cells) {
            if !matches!(check, Check::Chain | Check::Proof | Check::Order) {
                cell.end(why.clone());
            }
        }
    }

    /// Notes that its chain is broken from here on.
    pub(super) fn break_at(&mut self, fault: Fault) {
        let index = fault.index;
        self.fail(fault);
        if self.broken.is_none() {
            self.broken = Some(index);
            self.end_bodies(&Why::Broken { index });
        }
    }

    /// Why what is known of it cannot be relied upon.
    fn doubt(&self) -> Option<Why> {
        let index = self.broken.into_iter().chain(self.halted).min()?;
        Some(Why::Rests { stream: self.stream.clone(), index })
    }
}

/// All streams.
#[derive(Debug, Clone)]
pub(super) struct Tracks<M> {
    pub(super) list: Vec<Track<M>>,
    pub(super) places: HashMap<StreamId, usize>,
}

impl<M> Default for Tracks<M> {
    fn default() -> Self {
        Self { list: Vec::new(), places: HashMap::new() }
    }
}

impl<M> Tracks<M> {
    pub(super) fn place(&self, stream: &StreamId) -> Option<usize> {
        self.places.get(stream).copied()
    }

    pub(super) fn get(&self, stream: &StreamId) -> Option<&Track<M>> {
        self.list.get(self.place(stream)?)
    }

    pub(super) fn get_mut(&mut self, stream: &StreamId) -> Option<&mut Track<M>> {
        let place = self.place(stream)?;
        self.list.get_mut(place)
    }

    pub(super) fn insert(&mut self, track: Track<M>) -> usize {
        let place = self.list.len();
        self.places.insert(track.stream.clone(), place);
        self.list.push(track);
        place
    }
}

/// One record's surroundings: its stream's memory and cells, and those of others.
#[derive(Debug)]
pub struct Scene<'a, M> {
    pub(super) tracks: &'a mut Tracks<M>,
    pub(super) own: usize,
    pub(super) at: (u64, u64),
}

/// Another stream as it stands before the record looked at.
#[derive(Debug)]
pub struct Other<'a, M> {
    /// What is remembered of it.
    pub memo: &'a M,
    /// Its head.
    pub head: Head,
    /// Why what is known of it cannot be relied upon, where it can't.
    pub doubt: Option<Why>,
}

impl<M> Scene<'_, M> {
    /// The record's place in the log.
    pub const fn index(&self) -> u64 {
        self.at.0
    }

    /// Its place in the log, and in its stream.
    pub const fn at(&self) -> (u64, u64) {
        self.at
    }

    fn own(&mut self) -> Option<&mut Track<M>> {
        self.tracks.list.get_mut(self.own)
    }

    /// Notes what is wrong with this record. Only the first fault of a check is kept.
    pub fn fault(&mut self, rule: Rule, expected: impl fmt::Display, found: impl fmt::Display) {
        let fault = Fault::new(rule, self.at, expected, found);
        if let Some(track) = self.own() {
            track.fail(fault);
        }
    }

    /// Notes what is wrong with a record of another stream, shown before.
    pub fn fault_in(&mut self, stream: &StreamId, fault: Fault) {
        if let Some(track) = self.tracks.get_mut(stream) {
            track.fail(fault);
        }
    }

    /// A check that did not apply applies from this record on.
    pub fn begin(&mut self, check: Check) {
        if let Some(cell) = self.own().and_then(|track| track.cell_mut(check)) {
            cell.begin();
        }
    }

    /// Ends one check for this stream.
    pub fn end(&mut self, check: Check, why: Why) {
        if let Some(cell) = self.own().and_then(|track| track.cell_mut(check)) {
            cell.end(why);
        }
    }

    /// Ends every check that reads bodies: this one says something else than its kind, or
    /// nothing.
    pub fn halt(&mut self) {
        let index = self.at.0;
        if let Some(track) = self.own().filter(|track| track.halted.is_none()) {
            track.halted = Some(index);
            track.end_bodies(&Why::Unreadable { index });
        }
    }

    /// What is remembered of the record's own stream.
    pub fn memo(&mut self) -> Option<&mut M> {
        self.own().map(|track| &mut track.memo)
    }

    /// Another stream; `None` when it has no record.
    pub fn other(&self, stream: &StreamId) -> Option<Other<'_, M>> {
        let track = self.tracks.get(stream)?;
        Some(Other { memo: &track.memo, head: track.head, doubt: track.doubt() })
    }

    /// What is remembered of another stream, to be added to; `None` when it has no record.
    pub fn other_memo(&mut self, stream: &StreamId) -> Option<&mut M> {
        self.tracks.get_mut(stream).map(|track| &mut track.memo)
    }
}
