//! The `Store` trait: compare-and-append on several streams at once, and ordered reads.
//!
//! A store keeps sealed records in one global order, the head of every stream,
//! and payloads by content. It answers an append in one of three ways: committed,
//! conflict, or **unknown** (nothing may be assumed; replay decides).
//!
//! INVARIANT (compare-and-append): a batch is committed whole or not at all, and
//! only when every stream it expects has exactly the head it expects, at the
//! moment its records become the log's last. Whoever calls `append` learns
//! `Ok` only when the batch would survive a crash (as far as the store promises
//! durability at all; see [`Store::durability`]).

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::digest::Digest;
use crate::ssot::merkle::{Hash, KeptTree, NodeId, TreeHead, log as tree};
use crate::ssot::record::{Draft, Head, Record, StreamId};
use crate::time::Timestamp;

/// What is appended together, and under which expectations.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    timestamp: Timestamp,
    expected: Vec<(StreamId, Head)>,
    drafts: Vec<Draft>,
    payloads: Vec<(Digest, Arc<[u8]>)>,
}

impl Batch {
    /// An empty batch whose records will carry this time.
    pub const fn new(timestamp: Timestamp) -> Self {
        Self { timestamp, expected: Vec::new(), drafts: Vec::new(), payloads: Vec::new() }
    }

    /// Expects a stream to end in `head`. A stream that is appended to must be
    /// expected too; a stream that was only read may be.
    #[must_use]
    pub fn expect(mut self, stream: StreamId, head: Head) -> Self {
        self.expected.push((stream, head));
        self
    }

    /// Appends a record; several to one stream follow each other.
    #[must_use]
    pub fn append(mut self, draft: Draft) -> Self {
        self.drafts.push(draft);
        self
    }

    /// Keeps a payload under its digest, outside of the chain: what is recorded is
    /// its digest, so it can be erased without breaking a proof.
    #[must_use]
    pub fn payload(mut self, digest: Digest, bytes: Arc<[u8]>) -> Self {
        self.payloads.push((digest, bytes));
        self
    }

    /// Empties the batch for other records of this time; the room it has stays. A caller
    /// that commits again and again allocates for its first batch only.
    pub fn reset(&mut self, timestamp: Timestamp) {
        self.timestamp = timestamp;
        self.expected.clear();
        self.drafts.clear();
        self.payloads.clear();
    }

    /// Empties the batch for other records of this time on the same streams: what it
    /// expects stays until [`Batch::expect_at`] says otherwise.
    pub fn renew(&mut self, timestamp: Timestamp) {
        self.timestamp = timestamp;
        self.drafts.clear();
        self.payloads.clear();
    }

    /// Expects another head of the stream that was expected at this place, from 0 in the
    /// order in which they were first expected. Says whether there is one.
    pub fn expect_at(&mut self, place: usize, head: Head) -> bool {
        match self.expected.get_mut(place) {
            Some((_, expected)) => {
                *expected = head;
                true
            }
            None => false,
        }
    }

    /// Takes the last record back, so that its room can be used again.
    pub fn pop_draft(&mut self) -> Option<Draft> {
        self.drafts.pop()
    }

    /// [`Batch::expect`] in place.
    pub fn push_expected(&mut self, stream: StreamId, head: Head) {
        self.expected.push((stream, head));
    }

    /// [`Batch::append`] in place.
    pub fn push_draft(&mut self, draft: Draft) {
        self.drafts.push(draft);
    }

    /// [`Batch::payload`] in place.
    pub fn push_payload(&mut self, digest: Digest, bytes: Arc<[u8]>) {
        self.payloads.push((digest, bytes));
    }

    /// The time of its records.
    pub const fn timestamp(&self) -> Timestamp {
        self.timestamp
    }

    /// The heads expected.
    pub fn expected(&self) -> &[(StreamId, Head)] {
        &self.expected
    }

    /// The records to append, in order.
    pub fn drafts(&self) -> &[Draft] {
        &self.drafts
    }

    /// The payloads to keep.
    pub fn payloads(&self) -> &[(Digest, Arc<[u8]>)] {
        &self.payloads
    }

    /// Takes the batch apart: time, expectations, drafts, payloads.
    #[expect(clippy::type_complexity, reason = "the four parts, once, for wrappers of stores")]
    pub fn into_parts(
        self,
    ) -> (Timestamp, Vec<(StreamId, Head)>, Vec<Draft>, Vec<(Digest, Arc<[u8]>)>) {
        (self.timestamp, self.expected, self.drafts, self.payloads)
    }
}

/// The answer to a batch that was committed: its sealed records, in order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// The records with their places.
    pub records: Vec<Record>,
}

/// The answer to a batch that was not, or not surely, committed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AppendError {
    /// A stream's head is another than expected. Nothing was written. Transient:
    /// read the stream again and decide again.
    #[error("expected stream `{stream}` to end at {expected}, found {found}")]
    Conflict {
        /// The stream.
        stream: StreamId,
        /// The head expected.
        expected: Head,
        /// The head found.
        found: Head,
    },
    /// The batch breaks a rule of the store. Nothing was written. Final.
    #[error("batch refused: {reason}")]
    Refused {
        /// The rule.
        reason: &'static str,
    },
    /// The store failed before anything was written. Transient.
    #[error("the store failed, nothing was written: {0}")]
    Failed(#[source] StoreError),
    /// The store failed and it isn't known whether the batch was written. Nothing
    /// may be assumed: read the streams again.
    #[error("the store failed, and it is unknown whether the batch was written: {0}")]
    Unknown(#[source] StoreError),
}

/// A failure of a store while reading or writing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another holds the store: one process writes it at a time. Transient: wait until it
    /// is closed, or read a backup that its process makes.
    #[error("the store `{place}` is in use by {}", holder.as_deref().unwrap_or("another process"))]
    InUse {
        /// The store's place.
        place: Box<str>,
        /// Who holds it, as far as that is known for certain: the program, its process,
        /// and since when.
        holder: Option<Box<str>>,
    },
    /// The store's process ended before it closed it. Opening it for writing repairs it.
    #[error("`{place}` was not closed, open it for writing to repair it")]
    NotClosed {
        /// The store's place.
        place: Box<str>,
    },
    /// Where a new file was to be made, there is one. Nothing is overwritten.
    #[error("expected nothing at `{place}`, found a file: nothing is overwritten")]
    Exists {
        /// The file.
        place: Box<str>,
    },
    /// The store is of another format or version.
    #[error("expected a prospera store of format {expected} at `{place}`, found {found}")]
    Format {
        /// The store's place.
        place: Box<str>,
        /// The format this build reads.
        expected: u32,
        /// What was found.
        found: Box<str>,
    },
    /// What was read is not a record.
    #[error("record {index} cannot be read: {source}")]
    Record {
        /// The global index.
        index: u64,
        /// Why not.
        source: crate::encode::DecodeError,
    },
    /// What was read is inconsistent with the store's own index.
    #[error("the store is damaged: {what}")]
    Damaged {
        /// What is wrong and where.
        what: Box<str>,
    },
    /// A node of the log's tree was asked for that is not complete.
    #[error("expected a node within the {size} records of the log, found {node}")]
    NoNode {
        /// The node.
        node: NodeId,
        /// How many records the log has.
        size: u64,
    },
    /// The medium or the engine beneath failed.
    #[error("{what}: {source}")]
    Backend {
        /// What was being done.
        what: &'static str,
        /// The engine's own error.
        source: Box<dyn core::error::Error + Send + Sync>,
    },
}

/// What a committed batch survives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Nothing: the log lives in memory.
    Volatile,
    /// The death of the process and, as far as the medium keeps its word, of the machine.
    Durable,
}

/// One record as a store keeps it: its bytes and the digest stored beside them.
///
/// Verification recomputes the digest; a store never does so silently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stored {
    /// The canonical bytes.
    pub bytes: Arc<[u8]>,
    /// The digest that was stored with them.
    pub digest: Digest,
}

/// Some entries of a stream's index: `limit` of them from sequence `from`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch<'a> {
    /// The stream.
    pub stream: &'a StreamId,
    /// The first sequence.
    pub from: u64,
    /// How many, at most.
    pub limit: usize,
}

/// How many records [`Store::scan`] and [`Store::trace`] hold at a time as they stand.
const SCANNED: usize = 64;

/// The global index that a record's bytes name (offset 3, see [`crate::ssot::record`]).
fn place_of(stored: &Stored) -> Option<u64> {
    let bytes = stored.bytes.get(3..)?.first_chunk()?;
    Some(u64::from_le_bytes(*bytes))
}

/// Compare-and-append on streams, and ordered reads.
///
/// Shared by reference between threads where the implementation is `Sync`. `&S`, `Box<S>`
/// and `Arc<S>` are stores where `S` is one, `dyn Store` included.
pub trait Store {
    /// Appends a batch, whole or not at all. The batch stays the caller's, to hold the
    /// answer against it and to be used again.
    ///
    /// # Errors
    /// [`AppendError`]: conflict, refusal, failure, or unknown.
    fn append(&self, batch: &Batch) -> Result<Committed, AppendError>;

    /// The head of a stream; [`Head::EMPTY`] when it has no record.
    ///
    /// # Errors
    /// [`StoreError`].
    fn head(&self, stream: &StreamId) -> Result<Head, StoreError>;

    /// How many records the global log has.
    ///
    /// # Errors
    /// [`StoreError`].
    fn len(&self) -> Result<u64, StoreError>;

    /// Whether the log has no record.
    ///
    /// # Errors
    /// [`StoreError`].
    fn is_empty(&self) -> Result<bool, StoreError> {
        Ok(self.len()? == 0)
    }

    /// Up to `limit` records of the global log from index `from`, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError>;

    /// Up to `limit` records of one stream from sequence `from`, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn read_stream(
        &self,
        stream: &StreamId,
        from: u64,
        limit: usize,
    ) -> Result<Vec<Stored>, StoreError>;

    /// Shows up to `limit` records of the global log from index `from`, in order: their
    /// bytes, and the digests stored beside them. As [`Store::read`], for who looks at
    /// many records and keeps none. `visit` must not call the store.
    ///
    /// # Errors
    /// [`StoreError`]; some records may have been shown before.
    fn scan(
        &self,
        from: u64,
        limit: usize,
        visit: &mut dyn FnMut(&[u8], &Digest),
    ) -> Result<(), StoreError> {
        let (mut from, mut left) = (from, limit);
        while left > 0 {
            let piece = self.read(from, left.min(SCANNED))?;
            if piece.is_empty() {
                break;
            }
            for stored in &piece {
                visit(&stored.bytes, &stored.digest);
            }
            from = from.saturating_add(piece.len() as u64);
            left = left.saturating_sub(piece.len());
        }
        Ok(())
    }

    /// Shows for each stretch the entries of its stream's index, in order: the number of
    /// the stretch and the global index of the record that the entry leads to. `visit`
    /// must not call the store.
    ///
    /// As it stands it reads each record twice, by its stream and in the log, and
    /// compares them: right for every store. A store whose [`Store::read_stream`] reads
    /// from the log itself, by an index of places, should show these places instead.
    ///
    /// # Errors
    /// [`StoreError`]; [`StoreError::Damaged`] when an entry leads to no record, or to
    /// another than the one in the log. Some entries may have been shown before.
    fn trace(
        &self,
        stretches: &[Stretch<'_>],
        visit: &mut dyn FnMut(usize, u64),
    ) -> Result<(), StoreError> {
        for (number, stretch) in stretches.iter().enumerate() {
            let (mut from, mut left) = (stretch.from, stretch.limit);
            while left > 0 {
                let piece = self.read_stream(stretch.stream, from, left.min(SCANNED))?;
                if piece.is_empty() {
                    break;
                }
                for stored in &piece {
                    let index = place_of(stored).filter(|&index| {
                        self.read(index, 1).is_ok_and(|log| log.first() == Some(stored))
                    });
                    let Some(index) = index else {
                        let what = "a record of a stream is not the one in the log";
                        return Err(StoreError::Damaged { what: what.into() });
                    };
                    visit(number, index);
                }
                from = from.saturating_add(piece.len() as u64);
                left = left.saturating_sub(piece.len());
            }
        }
        Ok(())
    }

    /// Up to `limit` streams with their heads, in the order of their ids, after `after`.
    ///
    /// # Errors
    /// [`StoreError`].
    fn streams(
        &self,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<(StreamId, Head)>, StoreError>;

    /// The payload kept under a digest; `None` when there is none or it was erased.
    ///
    /// # Errors
    /// [`StoreError`].
    fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError>;

    /// Shows the payloads kept under these digests: the number of the digest, and the
    /// bytes. One that is not kept is not shown. As [`Store::payload`], for who looks at
    /// many and keeps none. `visit` must not call the store.
    ///
    /// # Errors
    /// [`StoreError`]; some payloads may have been shown before.
    fn payloads(
        &self,
        digests: &[Digest],
        visit: &mut dyn FnMut(usize, &[u8]),
    ) -> Result<(), StoreError> {
        for (number, digest) in digests.iter().enumerate() {
            if let Some(bytes) = self.payload(digest)? {
                visit(number, &bytes);
            }
        }
        Ok(())
    }

    /// The tree over the log, where the store keeps it beside its records. `None`, and it
    /// is computed from the records whenever it is asked for.
    fn kept_tree(&self) -> Option<&dyn KeptTree> {
        None
    }

    /// Size and root of the tree over the log's records (RFC 6962) after the last commit:
    /// what a checkpoint is made of. See [`merkle`](crate::ssot::merkle).
    ///
    /// # Errors
    /// [`StoreError`].
    fn tree_head(&self) -> Result<TreeHead, StoreError> {
        self.kept_tree().map_or_else(|| tree::scanned_head(self), KeptTree::kept_head)
    }

    /// The hashes of complete subtrees of that tree, in the order in which they are asked
    /// for. [`merkle::inclusion`](crate::ssot::merkle::inclusion) and its like ask for them.
    ///
    /// # Errors
    /// [`StoreError::NoNode`] for one that is not complete yet; else as ever.
    fn tree_nodes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, StoreError> {
        self.kept_tree().map_or_else(|| tree::scanned_nodes(self, ids), |kept| kept.kept_nodes(ids))
    }

    /// What a committed batch survives.
    fn durability(&self) -> Durability;
}

/// A store that can erase payloads. Records stay as they are: the chain holds digests, and
/// every link and proof holds without what they stand for.
pub trait Erase: Store {
    /// Erases the payloads kept under these digests, durably where the store is durable;
    /// how many there were. From here on [`Store::payload`] has none of them, until one is
    /// kept anew.
    ///
    /// # Errors
    /// [`StoreError`]; some or all may have been erased, and may be erased again.
    fn erase(&self, digests: &[Digest]) -> Result<u64, StoreError>;
}

macro_rules! forward_erase {
    ($($pointer:ty),*) => {$(
        impl<S: Erase + ?Sized> Erase for $pointer {
            fn erase(&self, digests: &[Digest]) -> Result<u64, StoreError> {
                (**self).erase(digests)
            }
        }
    )*};
}

forward_erase!(&S, Box<S>, Arc<S>);

/// Pointers to a store that pass everything on, also what has a default.
macro_rules! forward {
    ($($pointer:ty),*) => {$(
        impl<S: Store + ?Sized> Store for $pointer {
            fn append(&self, batch: &Batch) -> Result<Committed, AppendError> {
                (**self).append(batch)
            }

            fn head(&self, stream: &StreamId) -> Result<Head, StoreError> {
                (**self).head(stream)
            }

            fn len(&self) -> Result<u64, StoreError> {
                (**self).len()
            }

            fn is_empty(&self) -> Result<bool, StoreError> {
                (**self).is_empty()
            }

            fn read(&self, from: u64, limit: usize) -> Result<Vec<Stored>, StoreError> {
                (**self).read(from, limit)
            }

            fn read_stream(
                &self,
                stream: &StreamId,
                from: u64,
                limit: usize,
            ) -> Result<Vec<Stored>, StoreError> {
                (**self).read_stream(stream, from, limit)
            }

            fn scan(
                &self,
                from: u64,
                limit: usize,
                visit: &mut dyn FnMut(&[u8], &Digest),
            ) -> Result<(), StoreError> {
                (**self).scan(from, limit, visit)
            }

            fn trace(
                &self,
                stretches: &[Stretch<'_>],
                visit: &mut dyn FnMut(usize, u64),
            ) -> Result<(), StoreError> {
                (**self).trace(stretches, visit)
            }

            fn streams(
                &self,
                after: Option<&StreamId>,
                limit: usize,
            ) -> Result<Vec<(StreamId, Head)>, StoreError> {
                (**self).streams(after, limit)
            }

            fn payload(&self, digest: &Digest) -> Result<Option<Arc<[u8]>>, StoreError> {
                (**self).payload(digest)
            }

            fn payloads(
                &self,
                digests: &[Digest],
                visit: &mut dyn FnMut(usize, &[u8]),
            ) -> Result<(), StoreError> {
                (**self).payloads(digests, visit)
            }

            fn kept_tree(&self) -> Option<&dyn KeptTree> {
                (**self).kept_tree()
            }

            fn tree_head(&self) -> Result<TreeHead, StoreError> {
                (**self).tree_head()
            }

            fn tree_nodes(&self, ids: &[NodeId]) -> Result<Vec<Hash>, StoreError> {
                (**self).tree_nodes(ids)
            }

            fn durability(&self) -> Durability {
                (**self).durability()
            }
        }
    )*};
}

forward!(&S, Box<S>, Arc<S>);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Domain;
    use crate::id::Subsystem;
    use crate::ssot::record::{RecordKind, StreamKind};

    fn stream(name: &str) -> StreamId {
        StreamId::new(StreamKind::Routing, name.parse().unwrap())
    }

    fn full() -> Batch {
        let draft = |body: &[u8]| {
            let kind = RecordKind::Outcome;
            Draft::new(stream("a"), kind, Subsystem::Routing, body.to_vec())
        };
        Batch::new(Timestamp::from_millis(1))
            .expect(stream("a"), Head::EMPTY)
            .expect(stream("b"), Head::EMPTY)
            .append(draft(b"one"))
            .append(draft(b"two"))
            .payload(Domain::Payload.hash(b"p"), b"p"[..].into())
    }

    /// A batch that is used again is the batch somebody would make anew.
    #[test]
    fn nothing_of_an_earlier_use_is_left() {
        let later = Timestamp::from_millis(2);
        let mut batch = full();
        batch.reset(later);
        assert_eq!(batch, Batch::new(later));

        let head = Head::new(3, Domain::Other.hash(b"head"));
        let mut batch = full();
        batch.renew(later);
        assert!(batch.expect_at(1, head) && !batch.expect_at(2, head));
        let anew = Batch::new(later).expect(stream("a"), Head::EMPTY).expect(stream("b"), head);
        assert_eq!(batch, anew, "what is expected stays, until another head is");

        let mut batch = full();
        assert_eq!(batch.pop_draft().map(Draft::into_body).as_deref(), Some(&b"two"[..]));
        assert_eq!(batch.drafts().len(), 1);
    }
}
