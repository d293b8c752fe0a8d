//! The tables and what is read from them; that of the log's tree is in [`tree`](super::tree).

use std::boxed::Box;
use std::format;
use std::string::String;
use std::sync::Arc;
use std::vec::Vec;

use redb::{
    Database, ReadOnlyTable, ReadTransaction, ReadableTable, Table, TableDefinition, TableError,
    TableHandle as _, WriteTransaction,
};

use super::journal::{self, Number};
use super::tree::{self, ReadTree, WriteTree};
use super::{FORMAT, File, Shared, WITHOUT_TREE, backend};
use crate::digest::{DIGEST_LEN, Digest};
use crate::encode::{Decode as _, Encode as _, Reader, Writer};
use crate::id::Name;
use crate::ssot::log::Log;
use crate::ssot::record::{Head, StreamId, StreamKind};
use crate::ssot::store::{StoreError, Stored, Stretch};

pub(super) const META: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("prospera.meta");
pub(super) const RECORDS: TableDefinition<'_, u64, &[u8]> =
    TableDefinition::new("prospera.records");
pub(super) const HEADS: TableDefinition<'_, &[u8], &[u8]> = TableDefinition::new("prospera.heads");
pub(super) const STREAMS: TableDefinition<'_, (&[u8], u64), u64> =
    TableDefinition::new("prospera.streams");
pub(super) const PAYLOADS: TableDefinition<'_, &[u8], &[u8]> =
    TableDefinition::new("prospera.payloads");

const FORMAT_KEY: &str = "format";
pub(super) const NUMBER_KEY: &str = "journal";

/// The number that the store's journal carries; given to a store that has none.
pub(super) fn number(database: &Database) -> Result<Number, StoreError> {
    const WHAT: &str = "reading the store's number";
    let mut transaction = database.begin_write().map_err(|e| backend(WHAT, e))?;
    durable(&mut transaction)?;
    let mut meta = transaction.open_table(META).map_err(|e| backend(WHAT, e))?;
    let found = meta.get(NUMBER_KEY).map_err(|e| backend(WHAT, e))?;
    let found = found.map(|value| Number::try_from(value.value()));
    if let Some(found) = found {
        drop(meta);
        transaction.abort().map_err(|e| backend(WHAT, e))?;
        return found.map_err(|_| damaged("the store's number has another length".into()));
    }
    let number = journal::number();
    meta.insert(NUMBER_KEY, number.as_slice()).map_err(|e| backend(WHAT, e))?;
    drop(meta);
    transaction.commit().map_err(|e| backend(WHAT, e))?;
    Ok(number)
}

/// Says that the file is of the format that this build writes.
pub(super) fn set_format(transaction: &WriteTransaction) -> Result<(), StoreError> {
    let mut meta = transaction.open_table(META).map_err(opening)?;
    meta.insert(FORMAT_KEY, FORMAT.to_le_bytes().as_slice()).map_err(writing)?;
    Ok(())
}

/// As [`number`], for a store that is only read.
pub(super) fn number_read(transaction: &ReadTransaction) -> Result<Option<Number>, StoreError> {
    let meta = transaction.open_table(META).map_err(opening)?;
    let value = meta.get(NUMBER_KEY).map_err(reading)?;
    Ok(value.and_then(|value| Number::try_from(value.value()).ok()))
}

/// Writes the format and the empty tables into a file that has no table at all.
pub(super) fn initialize(shared: &Shared) -> Result<(), StoreError> {
    const WHAT: &str = "initializing the store";
    let File::Writer(database) = &shared.file else { return Ok(()) };
    let mut transaction = database.begin_write().map_err(|e| backend(WHAT, e))?;
    let fresh = transaction.list_tables().map_err(|e| backend(WHAT, e))?.next().is_none();
    if !fresh {
        return transaction.abort().map_err(|e| backend(WHAT, e));
    }
    durable(&mut transaction)?;
    set_format(&transaction)?;
    WriteTables::open(&transaction)?;
    transaction.commit().map_err(|e| backend(WHAT, e))
}

pub(super) fn durable(transaction: &mut WriteTransaction) -> Result<(), StoreError> {
    transaction
        .set_durability(redb::Durability::Immediate)
        .map_err(|error| backend("asking for durability", error))
}

/// The format of a file, or what it is instead.
pub(super) fn format(transaction: &ReadTransaction) -> Result<Result<u32, String>, StoreError> {
    const WHAT: &str = "reading the store's format";
    let meta = match transaction.open_table(META) {
        Ok(meta) => meta,
        Err(TableError::Storage(error)) => return Err(backend(WHAT, error)),
        Err(_) => return Ok(Err("a redb file without a format of prospera".into())),
    };
    let value = meta.get(FORMAT_KEY).map_err(|e| backend(WHAT, e))?;
    let bytes = value.as_ref().and_then(|value| <[u8; 4]>::try_from(value.value()).ok());
    let Some(bytes) = bytes else { return Ok(Err("a format that is not a number".into())) };
    let format = u32::from_le_bytes(bytes);
    let tree = (format > WITHOUT_TREE).then(tree::name);
    let others = [RECORDS.name(), HEADS.name(), STREAMS.name(), PAYLOADS.name()];
    for table in others.into_iter().chain(tree) {
        if !is_there(transaction, table)? {
            return Ok(Err(format!("no table `{table}`")));
        }
    }
    Ok(Ok(format))
}

/// Whether there is a table of this name.
pub(super) fn is_there(transaction: &ReadTransaction, table: &str) -> Result<bool, StoreError> {
    let mut tables = transaction.list_tables().map_err(|e| backend("listing the tables", e))?;
    Ok(tables.any(|handle| handle.name() == table))
}

/// The tables as a writer sees them: with what the transaction wrote so far.
pub(super) struct WriteTables<'t> {
    records: Table<'t, u64, &'static [u8]>,
    heads: Table<'t, &'static [u8], &'static [u8]>,
    streams: Table<'t, (&'static [u8], u64), u64>,
    payloads: Table<'t, &'static [u8], &'static [u8]>,
    tree: WriteTree<'t>,
}

impl<'t> WriteTables<'t> {
    pub(super) fn open(transaction: &'t WriteTransaction) -> Result<Self, StoreError> {
        Ok(Self {
            records: transaction.open_table(RECORDS).map_err(opening)?,
            heads: transaction.open_table(HEADS).map_err(opening)?,
            streams: transaction.open_table(STREAMS).map_err(opening)?,
            payloads: transaction.open_table(PAYLOADS).map_err(opening)?,
            tree: WriteTree::open(transaction)?,
        })
    }

    /// Writes what follows on these tables' last record. Each table gets its rows in the
    /// order of their keys.
    pub(super) fn write(&mut self, log: &Log) -> Result<(), StoreError> {
        let mut row = Vec::new();
        for (stored, index) in log.read(log.base(), usize::MAX).zip(log.base()..) {
            row.clear();
            row.extend_from_slice(stored.digest.as_bytes());
            row.extend_from_slice(&stored.bytes);
            self.records.insert(index, row.as_slice()).map_err(writing)?;
        }
        let (mut last, mut own) = (None, Vec::new());
        for (stream, sequence, index) in log.entries() {
            if last != Some(stream) {
                (last, own) = (Some(stream), key(stream));
            }
            self.streams.insert((own.as_slice(), sequence), index).map_err(writing)?;
        }
        for (stream, head) in log.streams_after(None) {
            row.clear();
            row.extend_from_slice(&head.length().to_le_bytes());
            row.extend_from_slice(head.digest().as_bytes());
            self.heads.insert(key(stream).as_slice(), row.as_slice()).map_err(writing)?;
        }
        for (digest, bytes) in log.sorted_payloads() {
            let key = digest.as_bytes().as_slice();
            self.payloads.insert(key, &**bytes).map_err(writing)?;
        }
        self.tree.write(log.tree())
    }
}

impl WriteTables<'_> {
    /// Removes payloads; how many there were.
    pub(super) fn erase(&mut self, digests: &[Digest]) -> Result<u64, StoreError> {
        let mut erased = 0_u64;
        for digest in digests {
            let kept = self.payloads.remove(digest.as_bytes().as_slice()).map_err(writing)?;
            erased = erased.saturating_add(u64::from(kept.is_some()));
        }
        Ok(erased)
    }
}

/// The tables as one reader sees them all along; each call opens those it needs.
pub(super) struct ReadTables(ReadTransaction);

impl ReadTables {
    pub(super) const fn new(transaction: ReadTransaction) -> Self {
        Self(transaction)
    }

    pub(super) fn tree(&self) -> Result<ReadTree, StoreError> {
        ReadTree::open(&self.0)
    }

    pub(super) fn len(&self) -> Result<u64, StoreError> {
        length_of(&self.0)
    }

    pub(super) fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        head(&self.0.open_table(HEADS).map_err(opening)?, stream)
    }

    /// Up to `limit` records from index `from` on, before `end`.
    pub(super) fn read(
        &self,
        from: u64,
        end: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let mut out = Vec::new();
        if from >= end {
            return Ok(out);
        }
        let records = self.0.open_table(RECORDS).map_err(opening)?;
        for row in records.range(from..end).map_err(reading)?.take(limit) {
            let (index, value) = row.map_err(reading)?;
            out.push(stored(value.value(), index.value())?);
        }
        Ok(out)
    }

    /// Shows up to `limit` records from index `from` on, before `end`.
    pub(super) fn scan(
        &self,
        from: u64,
        end: u64,
        limit: usize,
        visit: &mut dyn FnMut(&[u8], &Digest),
    ) -> Result<(), StoreError> {
        if from >= end {
            return Ok(());
        }
        let records = self.0.open_table(RECORDS).map_err(opening)?;
        for row in records.range(from..end).map_err(reading)?.take(limit) {
            let (index, value) = row.map_err(reading)?;
            let (digest, bytes) = split(value.value(), index.value())?;
            visit(bytes, &digest);
        }
        Ok(())
    }

    /// The table that leads from a stream into the log, opened once for many streams.
    pub(super) fn entries(&self) -> Result<Entries, StoreError> {
        Ok(Entries(self.0.open_table(STREAMS).map_err(opening)?))
    }

    /// Up to `limit` records of a stream from sequence `from` on, before `end`.
    pub(super) fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        end: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        if from >= end {
            return Ok(Vec::new());
        }
        let streams = self.0.open_table(STREAMS).map_err(opening)?;
        let records = self.0.open_table(RECORDS).map_err(opening)?;
        let key = key(stream);
        let range = (key.as_slice(), from)..(key.as_slice(), end);
        let mut out = Vec::new();
        for row in streams.range(range).map_err(reading)?.take(limit) {
            let (at, index) = row.map_err(reading)?;
            let (sequence, index) = (at.value().1, index.value());
            let Some(value) = records.get(index).map_err(reading)? else {
                return Err(damaged(format!(
                    "record {sequence} of `{stream}` is said to be record {index}, which is missing"
                )));
            };
            out.push(stored(value.value(), index)?);
        }
        Ok(out)
    }

    pub(super) fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        let heads = self.0.open_table(HEADS).map_err(opening)?;
        let start = after.map(key);
        let start = start
            .as_ref()
            .map_or(core::ops::Bound::Unbounded, |key| core::ops::Bound::Excluded(key.as_slice()));
        let mut out = Vec::new();
        let range = (start, core::ops::Bound::Unbounded);
        for row in heads.range::<&[u8]>(range).map_err(reading)?.take(limit) {
            let (key, head) = row.map_err(reading)?;
            let stream = stream_from(key.value())?;
            let head = head_from(head.value(), &stream)?;
            out.push((stream, head));
        }
        Ok(out)
    }

    pub(super) fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        let payloads = self.0.open_table(PAYLOADS).map_err(opening)?;
        let value = payloads.get(digest.as_bytes().as_slice()).map_err(reading)?;
        Ok(value.map(|value| value.value().into()))
    }

    /// The table of payloads, opened once for many of them.
    pub(super) fn payloads(&self) -> Result<Payloads, StoreError> {
        Ok(Payloads(self.0.open_table(PAYLOADS).map_err(opening)?))
    }
}

pub(super) struct Entries(ReadOnlyTable<(&'static [u8], u64), u64>);

impl Entries {
    /// Shows the indices of up to `limit` records of a stream from sequence `from` on,
    /// before `end`. No record is read.
    pub(super) fn show(
        &self,
        stretch: &Stretch<'_>,
        end: u64,
        visit: &mut dyn FnMut(u64),
    ) -> Result<(), StoreError> {
        if stretch.from >= end {
            return Ok(());
        }
        let key = key(stretch.stream);
        let range = (key.as_slice(), stretch.from)..(key.as_slice(), end);
        for row in self.0.range(range).map_err(reading)?.take(stretch.limit) {
            let (_, index) = row.map_err(reading)?;
            visit(index.value());
        }
        Ok(())
    }
}

pub(super) struct Payloads(ReadOnlyTable<&'static [u8], &'static [u8]>);

impl Payloads {
    pub(super) fn show(
        &self,
        digest: &Digest,
        visit: &mut dyn FnMut(&[u8]),
    ) -> Result<(), StoreError> {
        if let Some(bytes) = self.0.get(digest.as_bytes().as_slice()).map_err(reading)? {
            visit(bytes.value());
        }
        Ok(())
    }
}

/// The two tables that are looked into while batches are planned, opened once for a group.
pub(super) struct Lookup {
    heads: ReadOnlyTable<&'static [u8], &'static [u8]>,
    payloads: ReadOnlyTable<&'static [u8], &'static [u8]>,
}

impl Lookup {
    pub(super) fn new(transaction: &ReadTransaction) -> Result<Self, StoreError> {
        let heads = transaction.open_table(HEADS).map_err(opening)?;
        Ok(Self { heads, payloads: transaction.open_table(PAYLOADS).map_err(opening)? })
    }

    pub(super) fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        head(&self.heads, stream)
    }

    pub(super) fn keeps_other(&self, digest: &Digest, bytes: &[u8]) -> Result<bool, StoreError> {
        let kept = self.payloads.get(digest.as_bytes().as_slice()).map_err(reading)?;
        Ok(kept.is_some_and(|kept| kept.value() != bytes))
    }
}

/// How many records the tables have.
pub(super) fn length_of(transaction: &ReadTransaction) -> Result<u64, StoreError> {
    length(&transaction.open_table(RECORDS).map_err(opening)?)
}

/// One more than the index of the last record.
fn length(records: &impl ReadableTable<u64, &'static [u8]>) -> Result<u64, StoreError> {
    let last = records.last().map_err(reading)?;
    Ok(last.map_or(0, |(index, _)| index.value().saturating_add(1)))
}

fn head(
    heads: &impl ReadableTable<&'static [u8], &'static [u8]>,
    stream: &StreamId,
) -> Result<Head, StoreError> {
    match heads.get(key(stream).as_slice()).map_err(reading)? {
        Some(value) => head_from(value.value(), stream),
        None => Ok(Head::EMPTY),
    }
}

/// A stream as a key: the byte of its kind, then its name.
fn key(stream: &StreamId) -> Vec<u8> {
    let mut out = Writer::with_capacity(1 + stream.name().as_str().len());
    stream.kind().encode(&mut out);
    let mut out = out.into_bytes();
    out.extend_from_slice(stream.name().as_str().as_bytes());
    out
}

fn stream_from(key: &[u8]) -> Result<StreamId, StoreError> {
    let mut input = Reader::new(key);
    let kind = StreamKind::decode(&mut input).ok();
    let name = input.raw(input.remaining()).ok().and_then(|name| core::str::from_utf8(name).ok());
    let name = name.and_then(|name| Name::new(name).ok());
    match (kind, name) {
        (Some(kind), Some(name)) => Ok(StreamId::new(kind, name)),
        _ => Err(damaged(format!("a head's key names no stream: {key:02x?}"))),
    }
}

fn head_from(value: &[u8], stream: &StreamId) -> Result<Head, StoreError> {
    let mut input = Reader::new(value);
    match (input.u64(), input.digest(), input.finish()) {
        (Ok(length), Ok(digest), Ok(())) => Ok(Head::new(length, digest)),
        _ => Err(damaged(format!(
            "the head of `{stream}` is {} bytes long, expected {}",
            value.len(),
            8 + DIGEST_LEN
        ))),
    }
}

fn stored(value: &[u8], index: u64) -> Result<Stored, StoreError> {
    let (digest, bytes) = split(value, index)?;
    Ok(Stored { bytes: bytes.into(), digest })
}

pub(super) fn split(value: &[u8], index: u64) -> Result<(Digest, &[u8]), StoreError> {
    match value.split_first_chunk::<DIGEST_LEN>() {
        Some((digest, bytes)) => Ok((Digest::from_bytes(*digest), bytes)),
        None => Err(damaged(format!("record {index} has no digest beside it"))),
    }
}

pub(super) fn damaged(what: String) -> StoreError {
    StoreError::Damaged { what: Box::from(what) }
}

pub(super) fn opening(error: TableError) -> StoreError {
    match error {
        TableError::Storage(error) => reading(error),
        other => backend("opening a table", other),
    }
}

pub(super) fn reading(error: redb::StorageError) -> StoreError {
    match error {
        redb::StorageError::Corrupted(what) => damaged(what),
        other => backend("reading the store", other),
    }
}

pub(super) fn writing(error: redb::StorageError) -> StoreError {
    backend("writing to the store", error)
}
