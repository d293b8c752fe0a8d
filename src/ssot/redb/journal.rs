//! The journal: where a batch becomes durable, before the tables have it.
//!
//! Two segments take turns. The committer appends groups of batches to one and flushes it;
//! when it is full, its records are written to the tables in the background and the other
//! is begun. What is flushed here is never written again before the tables have it, so a
//! crash loses nothing: what the tables lack is read from here when the store is opened.
//!
//! # Format
//! A segment is a row of groups, each at a multiple of 512 bytes, so that no sector of a
//! flushed group is written again. Integers are little-endian.
//!
//! | offset | bytes | field |
//! |---|---|---|
//! | 0 | 8 | `prospJ1` and a zero |
//! | 8 | 16 | the store's own number, as in its tables |
//! | 24 | 16 | the segment's turn: random, the same for all groups of one turn |
//! | 40 | 8 | global index of the group's first record |
//! | 48 | 8 | length of the content |
//! | 56 | 32 | BLAKE3 of the 56 bytes before and the content, in a domain of its own |
//! | 88 | n | the content |
//!
//! The content is a row of entries: `1`, a record's digest, its canonical bytes behind
//! their length; or `2`, a payload's digest, its bytes behind their length.
//!
//! A group that was not written whole has another hash, and the groups of an older turn
//! another number of the turn, which nobody can foresee: both end the segment. A group of
//! which nobody was told may be read back whole, like any answer that is unknown.
//!
//! INVARIANT (no gap): the groups of one turn continue each other's indices.

use std::boxed::Box;
use std::format;
use std::fs::File;
use std::hash::BuildHasher;
use std::io;
use std::path::{Path, PathBuf};
use std::vec::Vec;

use redb::StorageBackend;
use redb::backends::FileBackend;

use super::{backend, sync_folder};
use crate::digest::{DIGEST_LEN, Digest};
use crate::encode::{DecodeError, Reader, Writer};
use crate::ssot::plan::Plan;
use crate::ssot::store::StoreError;

/// What a store and each turn of a segment are known by.
pub(super) type Number = [u8; 16];

const MAGIC: [u8; 8] = *b"prospJ1\0";
/// Where the hash stands, and what stands before it is hashed.
const HASHED: usize = 56;
const HEADER: usize = HASHED + DIGEST_LEN;
const SECTOR: usize = 512;
const CONTEXT: &str = "prospera 2026 ssot journal v1";
/// Segments grow by doubling, by so many bytes at least and at most.
const GROWTH: (u64, u64) = (64 << 10, 4 << 20);

const RECORD: u8 = 1;
const PAYLOAD: u8 = 2;

/// Sixteen bytes that nobody can foresee. They never reach a record.
pub(super) fn number() -> Number {
    let random = || std::hash::RandomState::new().hash_one(()).to_le_bytes();
    let mut out = [0; 16];
    let (first, second) = out.split_at_mut(8);
    first.copy_from_slice(&random());
    second.copy_from_slice(&random());
    out
}

/// Where the two segments are.
#[derive(Debug)]
pub(super) enum Place {
    /// Beside the store's file, made when they are needed.
    Beside(PathBuf),
    /// On media of somebody's own.
    On(Media),
}

/// Gives the medium of a segment, as often as it is asked for.
pub(super) struct Media(pub(super) Box<dyn Fn(usize) -> Box<dyn StorageBackend> + Send + Sync>);

impl core::fmt::Debug for Media {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Media")
    }
}

#[derive(Debug)]
struct Segment {
    medium: Box<dyn StorageBackend>,
    /// So many bytes are there already: writing within them moves no size.
    allocated: u64,
}

#[derive(Debug)]
pub(super) struct Journal {
    place: Place,
    store: Number,
    segments: [Option<Segment>; 2],
    second: bool,
    turn: Number,
    offset: u64,
    group: Writer,
}

/// A group that was read back.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) first: u64,
    /// The records: digest and bytes.
    pub(super) records: Vec<(Digest, Vec<u8>)>,
    pub(super) payloads: Vec<(Digest, Vec<u8>)>,
}

/// A failure while a group was made durable.
#[derive(Debug)]
pub(super) enum Failure {
    /// It was not written whole: it can never be read back.
    Before(StoreError),
    /// It was written, and the flush failed.
    Flushing(StoreError),
}

impl Journal {
    pub(super) fn new(place: Place, store: Number) -> Self {
        Self {
            place,
            store,
            segments: [None, None],
            second: false,
            turn: number(),
            offset: 0,
            group: Writer::new(),
        }
    }

    /// Begins a group at this index.
    pub(super) fn begin(&mut self, first: u64) {
        self.group.clear();
        let header = self.group.raw(&MAGIC).raw(&self.store).raw(&self.turn).u64(first);
        header.u64(0).raw(&[0; DIGEST_LEN]);
    }

    /// Adds a batch to the group.
    pub(super) fn add(&mut self, plan: &Plan<'_>) {
        for record in &plan.records {
            self.group.u8(RECORD).digest(&record.digest()).bytes(record.bytes());
        }
        for (digest, bytes) in plan.payloads() {
            self.group.u8(PAYLOAD).digest(digest).bytes(bytes);
        }
    }

    /// Writes and flushes the group.
    pub(super) fn end(&mut self) -> Result<(), Failure> {
        const KEPT: usize = 4 << 20;
        let mut bytes = std::mem::take(&mut self.group).into_bytes();
        seal(&mut bytes);
        let result = self.write(&bytes);
        if bytes.capacity() <= KEPT {
            self.group = Writer::over(bytes);
        }
        result
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        let offset = self.offset;
        let end = offset.saturating_add(bytes.len() as u64);
        let segment = self.current().map_err(Failure::Before)?;
        let before = |error| Failure::Before(backend("writing to the journal", error));
        segment.grow(end).map_err(before)?;
        segment.medium.write(offset, bytes).map_err(before)?;
        let flushed = segment.medium.sync_data();
        flushed.map_err(|error| Failure::Flushing(backend("flushing the journal", error)))?;
        self.offset = end;
        Ok(())
    }

    fn current(&mut self) -> Result<&mut Segment, StoreError> {
        let [one, two] = &mut self.segments;
        let (slot, which) = if self.second { (two, 1) } else { (one, 0) };
        match slot {
            Some(segment) => Ok(segment),
            None => Ok(slot.insert(self.place.open(which)?)),
        }
    }

    /// Begins the other segment. The tables have to have all of it by now.
    pub(super) fn switch(&mut self) {
        self.second = !self.second;
        self.turn = number();
        self.offset = 0;
    }

    /// Empties both segments. The tables have to have all of them by now.
    pub(super) fn empty(&mut self) -> Result<(), StoreError> {
        let failed = |error| backend("emptying the journal", error);
        for which in 0..2 {
            let slot = self.segments.get_mut(which).and_then(Option::take);
            let medium = match slot {
                Some(segment) => Some(segment.medium),
                None => self.place.existing(which)?,
            };
            if let Some(medium) = medium {
                medium.set_len(0).and_then(|()| medium.sync_data()).map_err(failed)?;
            }
        }
        self.switch();
        Ok(())
    }

    /// What the tables don't have, which have the records before `next`.
    pub(super) fn pending(&self, next: u64) -> Result<Vec<Group>, StoreError> {
        let mut turns = Vec::new();
        for which in 0..2 {
            if let Some(medium) = self.place.existing(which)? {
                turns.push(self.groups(&*medium)?);
            }
        }
        turns.sort_by_key(|groups| groups.first().map(|group| group.first));
        let groups = turns.into_iter().flatten();
        let (mut pending, mut at) = (Vec::new(), next);
        for group in groups {
            let end = group.first.saturating_add(group.records.len() as u64);
            if end <= next {
                continue;
            }
            if group.first != at {
                let found = group.first;
                let what = format!("the journal goes on at record {found}, expected {at}");
                return Err(StoreError::Damaged { what: what.into() });
            }
            at = end;
            pending.push(group);
        }
        Ok(pending)
    }

    /// The groups of the turn that a segment begins with.
    fn groups(&self, medium: &dyn StorageBackend) -> Result<Vec<Group>, StoreError> {
        let reading = |error| backend("reading the journal", error);
        let len = medium.len().map_err(reading)?;
        let (mut groups, mut offset, mut turn) = (Vec::new(), 0_u64, None);
        while offset.saturating_add(HEADER as u64) <= len {
            let mut bytes = std::vec![0; HEADER];
            medium.read(offset, &mut bytes).map_err(reading)?;
            let Some((header, length)) = Header::read(&bytes) else { break };
            let start = offset.saturating_add(HEADER as u64);
            let room = len.checked_sub(start).filter(|room| length <= *room);
            let Some(length) = room.and_then(|_| usize::try_from(length).ok()) else { break };
            bytes.resize(HEADER.saturating_add(length), 0);
            let Some(content) = bytes.get_mut(HEADER..) else { break };
            medium.read(start, content).map_err(reading)?;
            if !header.sealed(&bytes) || turn.is_some_and(|turn| turn != header.turn) {
                break;
            }
            if header.store != self.store {
                let what = "the journal beside the store belongs to another store";
                return Err(StoreError::Damaged { what: what.into() });
            }
            turn = Some(header.turn);
            let group = read_content(bytes.get(HEADER..).unwrap_or_default(), header.first)
                .map_err(|error| StoreError::Damaged {
                    what: format!("the journal at byte {offset}: {error}").into(),
                })?;
            groups.push(group);
            offset = offset.saturating_add((bytes.len().next_multiple_of(SECTOR)) as u64);
        }
        Ok(groups)
    }

    /// Ends the journal: the tables have everything.
    pub(super) fn remove(self) {
        let Self { place, segments, .. } = self;
        drop(segments);
        // What stays behind is known by its indices to be in the tables.
        match place {
            Place::Beside(path) => {
                for which in 0..2 {
                    let _kept = std::fs::remove_file(segment_path(&path, which));
                }
            }
            Place::On(_) => {}
        }
    }
}

/// Puts the length and the hash into a group's header and fills its last sector.
fn seal(bytes: &mut Vec<u8>) {
    let length = (bytes.len().saturating_sub(HEADER) as u64).to_le_bytes();
    if let Some(place) = bytes.get_mut(48..HASHED) {
        place.copy_from_slice(&length);
    }
    let hash = hash(bytes);
    if let Some(place) = bytes.get_mut(HASHED..HEADER) {
        place.copy_from_slice(&hash);
    }
    bytes.resize(bytes.len().next_multiple_of(SECTOR), 0);
}

fn hash(bytes: &[u8]) -> [u8; DIGEST_LEN] {
    let mut hasher = blake3::Hasher::new_derive_key(CONTEXT);
    hasher.update(bytes.get(..HASHED).unwrap_or_default());
    hasher.update(bytes.get(HEADER..).unwrap_or_default());
    *hasher.finalize().as_bytes()
}

struct Header {
    store: Number,
    turn: Number,
    first: u64,
    hash: Digest,
}

impl Header {
    /// A header and the length of its content; `None` where no group begins.
    fn read(bytes: &[u8]) -> Option<(Self, u64)> {
        let mut input = Reader::new(bytes);
        if input.raw(MAGIC.len()).ok()? != MAGIC {
            return None;
        }
        let store = input.raw(16).ok()?.try_into().ok()?;
        let turn = input.raw(16).ok()?.try_into().ok()?;
        let (first, length) = (input.u64().ok()?, input.u64().ok()?);
        Some((Self { store, turn, first, hash: input.digest().ok()? }, length))
    }

    fn sealed(&self, bytes: &[u8]) -> bool {
        hash(bytes) == *self.hash.as_bytes()
    }
}

fn read_content(content: &[u8], first: u64) -> Result<Group, DecodeError> {
    let mut input = Reader::new(content);
    let mut group = Group { first, records: Vec::new(), payloads: Vec::new() };
    while input.remaining() > 0 {
        let offset = input.offset();
        let kind = input.u8()?;
        let entry = (input.digest()?, input.bytes()?.to_vec());
        match kind {
            RECORD => group.records.push(entry),
            PAYLOAD => group.payloads.push(entry),
            other => return Err(Reader::bad_tag("a record or a payload", other, offset)),
        }
    }
    Ok(group)
}

impl Segment {
    /// Writes zeros so that the file has this many bytes, and more: a flush within a
    /// file's size is cheaper than one that moves its end.
    fn grow(&mut self, end: u64) -> io::Result<()> {
        if end <= self.allocated {
            return Ok(());
        }
        let step = self.allocated.clamp(GROWTH.0, GROWTH.1);
        let goal = end.max(self.allocated.saturating_add(step)).next_multiple_of(SECTOR as u64);
        let zeros = std::vec![0; 64 << 10];
        let mut at = self.allocated;
        while at < goal {
            let left = usize::try_from(goal.saturating_sub(at)).unwrap_or(usize::MAX);
            let piece = zeros.get(..left).unwrap_or(&zeros);
            self.medium.write(at, piece)?;
            at = at.saturating_add(piece.len() as u64);
        }
        self.allocated = goal;
        Ok(())
    }
}

impl Place {
    /// The segment's medium if there is one.
    fn existing(&self, which: usize) -> Result<Option<Box<dyn StorageBackend>>, StoreError> {
        match self {
            Self::Beside(path) => {
                let path = segment_path(path, which);
                match File::options().read(true).write(true).open(path) {
                    Ok(file) => locked(file).map(Some),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
                    Err(error) => Err(backend("opening the journal", error)),
                }
            }
            Self::On(media) => Ok(Some((media.0)(which))),
        }
    }

    fn open(&self, which: usize) -> Result<Segment, StoreError> {
        let medium = match self.existing(which)? {
            Some(medium) => medium,
            None => self.make(which)?,
        };
        let allocated = medium.len().map_err(|error| backend("opening the journal", error))?;
        Ok(Segment { medium, allocated })
    }

    fn make(&self, which: usize) -> Result<Box<dyn StorageBackend>, StoreError> {
        match self {
            Self::Beside(path) => {
                let path = segment_path(path, which);
                let mut options = File::options();
                options.read(true).write(true).create(true).truncate(false);
                let opened = options.open(&path).map_err(|e| backend("making the journal", e))?;
                sync_folder(&path)?;
                locked(opened)
            }
            Self::On(media) => Ok((media.0)(which)),
        }
    }
}

fn locked(file: File) -> Result<Box<dyn StorageBackend>, StoreError> {
    let medium = FileBackend::new(file).map_err(|e| backend("opening the journal", e))?;
    Ok(Box::new(medium))
}

/// The store's own name with an ending.
fn segment_path(store: &Path, which: usize) -> PathBuf {
    let mut name = store.as_os_str().to_owned();
    name.push(if which == 0 { ".journal-0" } else { ".journal-1" });
    name.into()
}
