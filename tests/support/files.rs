//! A store in one file that several processes append to: each append takes the file's lock,
//! reads the whole log, plans the batch against it, and writes what is new. It is slow and
//! simple; what it shows is that compare-and-append, and nothing in memory, orders routes.
#![allow(
    dead_code,
    unreachable_pub,
    clippy::allow_attributes,
    clippy::unwrap_used,
    reason = "shared by several test crates, each of which uses a part of it"
)]

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prospera::digest::Digest;
use prospera::ssot::plan::{View, plan};
use prospera::ssot::record::{Head, Record, StreamId};
use prospera::ssot::store::{AppendError, Batch, Committed, Durability, Store, StoreError, Stored};

#[derive(Debug)]
pub struct FileStore {
    path: PathBuf,
}

#[derive(Debug, Default)]
struct Log {
    records: Vec<Record>,
    payloads: BTreeMap<Digest, Arc<[u8]>>,
}

impl View for Log {
    fn next_index(&self) -> Result<u64, StoreError> {
        Ok(self.records.len() as u64)
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        let last = self.records.iter().rfind(|record| record.stream() == stream);
        Ok(last.map_or(Head::EMPTY, Record::head))
    }

    fn keeps_other(&self, digest: &Digest, bytes: &[u8]) -> Result<bool, StoreError> {
        Ok(self.payloads.get(digest).is_some_and(|kept| **kept != *bytes))
    }
}

fn backend(what: &'static str) -> impl FnOnce(std::io::Error) -> StoreError {
    move |error| StoreError::Backend { what, source: Box::new(error) }
}

impl FileStore {
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    fn file(&self) -> Result<File, StoreError> {
        let mut options = OpenOptions::new();
        options.read(true).append(true).create(true);
        options.open(&self.path).map_err(backend("open"))
    }

    fn load(file: &mut File) -> Result<Log, StoreError> {
        let mut bytes = Vec::new();
        file.seek(SeekFrom::Start(0)).map_err(backend("seek"))?;
        file.read_to_end(&mut bytes).map_err(backend("read"))?;
        let mut log = Log::default();
        let mut rest = bytes.as_slice();
        while let Some((tag, tail)) = rest.split_first() {
            let (length, tail) = tail.split_first_chunk::<4>().unwrap();
            let (body, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
            if *tag == 0 {
                log.records.push(Record::decode_sealed(body).unwrap());
            } else {
                let (digest, payload) = body.split_first_chunk::<32>().unwrap();
                log.payloads.insert(Digest::from_bytes(*digest), payload.into());
            }
            rest = tail;
        }
        Ok(log)
    }

    fn log(&self) -> Result<Log, StoreError> {
        let mut file = self.file()?;
        file.lock_shared().map_err(backend("lock"))?;
        Self::load(&mut file)
    }
}

fn frame(tag: u8, parts: &[&[u8]], out: &mut Vec<u8>) {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    out.push(tag);
    out.extend(u32::try_from(length).unwrap().to_le_bytes());
    for part in parts {
        out.extend(*part);
    }
}

fn stored(record: &Record) -> Stored {
    Stored { bytes: record.shared_bytes(), digest: record.digest() }
}

impl Store for FileStore {
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
        let mut file = self.file().map_err(AppendError::Failed)?;
        file.lock().map_err(backend("lock")).map_err(AppendError::Failed)?;
        let log = Self::load(&mut file).map_err(AppendError::Failed)?;
        let plan = plan(batch, &log)?;
        let mut out = Vec::new();
        for record in &plan.records {
            frame(0, &[record.bytes()], &mut out);
        }
        for (digest, bytes) in plan.payloads() {
            frame(1, &[digest.as_bytes(), bytes], &mut out);
        }
        file.write_all(&out).map_err(backend("write")).map_err(AppendError::Unknown)?;
        file.sync_data().map_err(backend("sync")).map_err(AppendError::Unknown)?;
        Ok(Committed { records: plan.records })
    }

    fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
        self.log()?.head(stream)
    }

    fn len(&self) -> Result<u64, StoreError> {
        self.log()?.next_index()
    }

    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        Ok(self.log()?.records.iter().skip(from).take(limit).map(stored).collect())
    }

    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError> {
        let from = usize::try_from(from).unwrap_or(usize::MAX);
        let log = self.log()?;
        let own = log.records.iter().filter(|record| record.stream() == stream);
        Ok(own.skip(from).take(limit).map(stored).collect())
    }

    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError> {
        let log = self.log()?;
        let heads: BTreeMap<_, _> =
            log.records.iter().map(|r| (r.stream().clone(), r.head())).collect();
        let later = heads.into_iter().filter(|(stream, _)| after.is_none_or(|a| stream > a));
        Ok(later.take(limit).collect())
    }

    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
        Ok(self.log()?.payloads.get(digest).cloned())
    }

    fn durability(&self) -> Durability {
        Durability::Durable
    }
}
