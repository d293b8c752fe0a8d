//! A store made of a published log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::audit::{Audited, verify};
use super::bundles::{Found, Next};
use super::folder::Folder;
use super::stored::root_at;
use super::{TilesError, WIDTH, width_at};
use crate::digest::Digest;
use crate::limits::BATCH_RECORDS;
use crate::ssot::checkpoint::{Finding, Policy, Remembered};
use crate::ssot::record::{Draft, Record, StreamId};
use crate::ssot::store::{Batch, Store};

/// What was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// What the folder was found to be.
    pub audited: Audited,
    /// How many commits it took.
    pub commits: u64,
}

/// About how many bytes go into one commit.
const COMMIT_BYTES: usize = 4 << 20;

/// Verifies a published log, writes it to an empty store and holds that against the
/// checkpoint: the same records byte for byte, the same tree. Commits what has one time
/// together.
///
/// # Errors
/// [`TilesError`]; the store may have a part of the log then.
pub fn import<S: Store + ?Sized>(
    folder: &Folder,
    store: &S,
    policy: &Policy,
    remembered: Option<&Remembered>,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Imported, TilesError> {
    let found = store.len()?;
    if found > 0 {
        return Err(TilesError::NotEmpty { found });
    }
    let audited = verify(folder, policy, remembered, &mut |_, _| ())?;
    let size = audited.trusted.size();
    let mut writer = Writer { store, waiting: Waiting::default(), commits: 0 };
    for n in 0..size.div_ceil(WIDTH) {
        bundle(folder, n, width_at(n, size), size, &mut writer)?;
        progress(size.min(n.saturating_add(1).saturating_mul(WIDTH)), size);
    }
    writer.commit()?;
    let root = root_at(store, size)?;
    if root != *audited.trusted.root() {
        let signed = *audited.trusted.root();
        return Err(Finding::NotSigned { size, signed, computed: root }.into());
    }
    Ok(Imported { audited, commits: writer.commits })
}

/// Writes the records of a bundle with their payloads.
fn bundle<S: Store + ?Sized>(
    folder: &Folder,
    n: u64,
    width: usize,
    size: u64,
    writer: &mut Writer<'_, S>,
) -> Result<(), TilesError> {
    let first = n.saturating_mul(WIDTH);
    let changed = |found| Finding::Truncated { found, signed: size };
    let mut records = folder.records(n, width)?.ok_or_else(|| changed(first))?;
    let mut payloads = folder.payloads(n, width)?;
    let mut ahead = None;
    let mut bytes = Vec::new();
    for place in 0..width {
        let index = first.saturating_add(place as u64);
        if records.next(&mut bytes)? != Found::Record {
            return Err(changed(index).into());
        }
        let record = Record::decode_sealed(&bytes)
            .map_err(|_| Finding::Altered { index, found: Digest::ZERO })?;
        writer.record(record)?;
        let Some(payloads) = &mut payloads else { continue };
        loop {
            let next = match ahead.take() {
                Some(next) => next,
                None => match payloads.next(width)? {
                    Next::Item(next) => next,
                    // What is malformed was refused before.
                    Next::End | Next::Malformed => break,
                },
            };
            if next.record > place {
                ahead = Some(next);
                break;
            }
            if let Some(bytes) = next.bytes {
                writer.waiting.payload(next.digest, bytes);
            }
        }
    }
    Ok(())
}

/// Records of one time, and what goes with them.
#[derive(Default)]
struct Waiting {
    records: Vec<Record>,
    payloads: BTreeMap<Digest, Arc<[u8]>>,
    bytes: usize,
}

impl Waiting {
    fn payload(&mut self, digest: Digest, bytes: Vec<u8>) {
        self.bytes = self.bytes.saturating_add(bytes.len());
        self.payloads.insert(digest, bytes.into());
    }

    /// Whether a record may go with those that wait.
    fn takes(&self, record: &Record) -> bool {
        let room = self.records.len() < BATCH_RECORDS / 8 && self.bytes < COMMIT_BYTES;
        self.records.first().is_none_or(|one| room && one.timestamp() == record.timestamp())
    }
}

struct Writer<'a, S: ?Sized> {
    store: &'a S,
    waiting: Waiting,
    commits: u64,
}

impl<S: Store + ?Sized> Writer<'_, S> {
    fn record(&mut self, record: Record) -> Result<(), TilesError> {
        if !self.waiting.takes(&record) || self.waiting.payloads.len() >= BATCH_RECORDS / 2 {
            self.commit()?;
        }
        self.waiting.bytes = self.waiting.bytes.saturating_add(record.bytes().len());
        self.waiting.records.push(record);
        Ok(())
    }

    fn commit(&mut self) -> Result<(), TilesError> {
        let Waiting { records, payloads, .. } = core::mem::take(&mut self.waiting);
        let Some(first) = records.first() else { return Ok(()) };
        let mut batch = Batch::new(first.timestamp());
        let mut expected: BTreeSet<&StreamId> = BTreeSet::new();
        for record in &records {
            if expected.insert(record.stream()) {
                batch.push_expected(record.stream().clone(), self.store.head(record.stream())?);
            }
            let stream = record.stream().clone();
            let body = record.body().to_vec();
            batch.push_draft(Draft::new(stream, record.kind(), record.source(), body));
        }
        for (digest, bytes) in payloads {
            batch.push_payload(digest, bytes);
        }
        let committed = self.store.append(&batch)?;
        self.commits = self.commits.saturating_add(1);
        let other = records.iter().zip(&committed.records).find(|(own, new)| own != new);
        match other {
            Some((own, _)) => Err(TilesError::Another { index: own.index() }),
            None if committed.records.len() != records.len() => {
                Err(TilesError::Another { index: first.index() })
            }
            None => Ok(()),
        }
    }
}
