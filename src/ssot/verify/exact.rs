//! The exact walk: each record held against everything that speaks of it, in the order
//! of the log, so that the first fault is named for what it is.
//!
//! It looks every record up by its stream as well and reads the heads again for every
//! piece. That takes several times as long as [`swift`](super::swift), which decides
//! whether it is needed at all. It holds [`PIECE`] records at a time, twice at most, and
//! remembers nothing of the pieces before.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::tree::Rebuilt;
use super::{Fault, Place, Progress, Report, VerifyError, follows, open};
use crate::ssot::record::{Head, Record, StreamId};
use crate::ssot::store::{Store, StoreError, Stored};

/// How many records are held at a time, twice at most.
const PIECE: usize = 64;

pub(super) fn walk<S: Store + ?Sized>(
    store: &S,
    total: u64,
    progress: &mut impl FnMut(Progress),
) -> Result<Report, VerifyError> {
    let (mut verified, mut last) = (0, None);
    let (mut tree, mut odd_tree) = (Rebuilt::from(0), None);
    loop {
        let piece = store.read(verified, PIECE)?;
        if piece.is_empty() {
            break;
        }
        let (sound, fault) = sound_prefix(&piece, verified);
        check_links(store, &sound, verified)?;
        if let Some(fault) = fault {
            return Err(fault.into());
        }
        for record in &sound {
            tree.push(&record.digest());
        }
        odd_tree = match odd_tree {
            None => tree.fault(store)?,
            known => known,
        };
        verified = verified.saturating_add(sound.len() as u64);
        last = sound.last().map(Record::digest);
        progress(Progress { verified, total });
    }
    let streams = check_heads(store, verified.max(total), verified)?;
    // A fault of a record comes first, wherever it is: the tree follows from the records.
    let odd_tree = match odd_tree {
        None => tree.head_fault(store, verified)?,
        known => known,
    };
    match odd_tree {
        Some(fault) => Err(fault.into()),
        None => Ok(Report { records: verified, streams, last, root: tree.root() }),
    }
}

/// The records of a piece up to the first that is bad in itself or stands at a wrong
/// index, and what is wrong with that one.
fn sound_prefix(piece: &[Stored], from: u64) -> (Vec<Record>, Option<Fault>) {
    let mut sound = Vec::with_capacity(piece.len());
    for (stored, index) in piece.iter().zip(from..) {
        match open(stored, || Place::Log(index)) {
            Err(fault) => return (sound, Some(fault)),
            Ok(record) if record.index() != index => {
                let (place, found) = (Place::Log(index), record.index());
                return (sound, Some(Fault::Index { place, expected: index, found }));
            }
            Ok(record) => sound.push(record),
        }
    }
    (sound, None)
}

/// A stream, from its first record in this piece on: its head as stored, the head
/// that the next record must follow, and its next records by the stream's index.
struct Tail {
    head: Head,
    next: Head,
    entries: alloc::vec::IntoIter<Stored>,
}

fn check_links<S: Store + ?Sized>(
    store: &S,
    piece: &[Record],
    from: u64,
) -> Result<(), VerifyError> {
    let mut counts: BTreeMap<&StreamId, usize> = BTreeMap::new();
    for record in piece {
        let count = counts.entry(record.stream()).or_default();
        *count = count.saturating_add(1);
    }
    let mut tails: BTreeMap<&StreamId, Tail> = BTreeMap::new();
    for record in piece {
        let stream = record.stream();
        if !tails.contains_key(stream) {
            let count = counts.get(stream).copied().unwrap_or(1);
            tails.insert(stream, tail(store, record, count, from)?);
        }
        if let Some(tail) = tails.get_mut(stream) {
            check_link(record, tail)?;
        }
    }
    Ok(())
}

/// Reads the stream's records from the one before `record` on, and checks that one.
fn tail<S: Store + ?Sized>(
    store: &S,
    record: &Record,
    count: usize,
    from: u64,
) -> Result<Tail, VerifyError> {
    let (stream, sequence) = (record.stream(), record.sequence());
    let head = store.head(stream)?;
    let place = || Place::Log(record.index());
    let Some(before) = sequence.checked_sub(1) else {
        let entries = read_entries(store, record, 0, count)?;
        return Ok(Tail { head, next: Head::EMPTY, entries });
    };
    let mut entries = read_entries(store, record, before, count.saturating_add(1))?;
    let missing = || Fault::Missing { place: place(), stream: stream.clone(), sequence: before };
    let previous =
        open(&entries.next().ok_or_else(missing)?, || Place::Stream(stream.clone(), before))?;
    if previous.stream() != stream || previous.sequence() != before || previous.index() >= from {
        return Err(missing().into());
    }
    Ok(Tail { head, next: previous.head(), entries })
}

fn read_entries<S: Store + ?Sized>(
    store: &S,
    record: &Record,
    from: u64,
    count: usize,
) -> Result<alloc::vec::IntoIter<Stored>, VerifyError> {
    match store.read_stream(record.stream(), from, count) {
        Ok(entries) => Ok(entries.into_iter()),
        // The stream's index leads nowhere: that is a fault of the log, at this record.
        Err(StoreError::Damaged { .. }) => Err(VerifyError::Fault(Fault::Missing {
            place: Place::Log(record.index()),
            stream: record.stream().clone(),
            sequence: from,
        })),
        Err(error) => Err(error.into()),
    }
}

fn check_link(record: &Record, tail: &mut Tail) -> Result<(), Fault> {
    let (stream, sequence) = (record.stream(), record.sequence());
    let place = || Place::Log(record.index());
    follows(record, tail.next, place)?;
    let Some(entry) = tail.entries.next() else {
        return Err(Fault::Missing { place: place(), stream: stream.clone(), sequence });
    };
    if *entry.bytes != *record.bytes() || entry.digest != record.digest() {
        let other = open(&entry, || Place::Stream(stream.clone(), sequence))?;
        return Err(Fault::StreamIndex { place: place(), found: other.index() });
    }
    if sequence >= tail.head.length() {
        let (stream, found) = (stream.clone(), tail.head);
        return Err(Fault::BehindHead { place: place(), stream, found });
    }
    tail.next = record.head();
    Ok(())
}

/// Checks every head against its stream, and all together against the log's length.
fn check_heads<S: Store + ?Sized>(
    store: &S,
    total: u64,
    verified: u64,
) -> Result<u64, VerifyError> {
    let (mut streams, mut counted) = (0_u64, 0_u64);
    let mut extra = None;
    each_head(store, |stream, head| {
        streams = streams.saturating_add(1);
        counted = counted.saturating_add(head.length());
        if extra.is_none() && is_extra(store, stream)? {
            extra = Some(Fault::ExtraHead { stream: stream.clone(), found: head });
        }
        Ok(())
    })?;
    if let Some(fault) = extra {
        return Err(fault.into());
    }
    if counted > verified || total > verified {
        return Err(Fault::Truncated { index: verified, expected: counted.max(total) }.into());
    }
    each_head(store, |stream, found| check_head(store, stream, found))?;
    Ok(streams)
}

/// Whether a stream that has a head has no record.
fn is_extra<S: Store + ?Sized>(store: &S, stream: &StreamId) -> Result<bool, VerifyError> {
    match store.read_stream(stream, 0, 1) {
        Ok(entries) => Ok(entries.is_empty()),
        // An entry whose record is gone: the log was cut off, which the count shows.
        Err(StoreError::Damaged { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn check_head<S: Store + ?Sized>(
    store: &S,
    stream: &StreamId,
    found: Head,
) -> Result<(), VerifyError> {
    let last = found.length().saturating_sub(1);
    let mut expected = Head::EMPTY;
    let mut again = None;
    for (stored, sequence) in store.read_stream(stream, last, 2)?.iter().zip(last..) {
        let place = || Place::Stream(stream.clone(), sequence);
        let record = open(stored, place)?;
        if record.head() == expected {
            // The index goes on, and leads to the last record once more.
            again = Some(Fault::StreamIndex { place: place(), found: record.index() });
        }
        expected = record.head();
    }
    if let Some(fault) = again.filter(|_| expected == found) {
        return Err(fault.into());
    }
    if expected == found {
        Ok(())
    } else {
        Err(Fault::HeadMismatch { stream: stream.clone(), expected, found }.into())
    }
}

fn each_head<S: Store + ?Sized>(
    store: &S,
    mut check: impl FnMut(&StreamId, Head) -> Result<(), VerifyError>,
) -> Result<(), VerifyError> {
    let mut after: Option<StreamId> = None;
    loop {
        let page = store.streams(after.as_ref(), PIECE)?;
        for (stream, head) in &page {
            if after.as_ref().is_some_and(|after| after >= stream) {
                let what = alloc::format!("stream `{stream}` is listed out of order");
                return Err(StoreError::Damaged { what: Box::from(what) }.into());
            }
            check(stream, *head)?;
            after = Some(stream.clone());
        }
        if page.is_empty() {
            return Ok(());
        }
    }
}
