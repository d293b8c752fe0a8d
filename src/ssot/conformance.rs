//! The rules of a store, as functions that try them: for people who write their own.
//!
//! [`conformance`] runs every rule, each on a fresh store; [`durability`] tries what
//! outlives a store that was closed. A rule answers with the first thing that is not
//! as it must be. Nothing here needs a test harness:
//!
//! ```
//! use prospera::ssot::conformance::conformance;
//! use prospera::ssot::memory::MemoryStore;
//!
//! let kept = conformance(MemoryStore::new)?;
//! assert!(kept.contains(&"compare_and_append"));
//! # Ok::<(), prospera::ssot::conformance::ConformanceFailure>(())
//! ```
//!
//! The rules are those of [`Store`] and
//! [`plan`](crate::ssot::plan). Passing them is no proof: above all, a flush that
//! doesn't reach the medium cannot be seen from here.

use std::fmt::Debug;
use std::string::String;
use std::vec::Vec;

use crate::digest::{Digest, Domain};
use crate::id::{Name, Subsystem};
use crate::ssot::merkle::TreeHead;
use crate::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use crate::ssot::store::{AppendError, Batch, Committed, Durability, Store};
use crate::time::Timestamp;

mod appending;
mod lasting;
mod reading;
mod tree;

pub use appending::{
    atomicity, compare_and_append, first_writer, read_only_expectations, refusals, sealing,
};
pub use lasting::{concurrent_writers, durability, soundness};
pub use reading::{global_order, payloads, showing, starts_empty, stream_listing, stream_order};
pub use tree::tree;

/// A rule that a store does not keep.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the store breaks the rule `{rule}`: {what}")]
pub struct ConformanceFailure {
    rule: &'static str,
    what: String,
}

impl ConformanceFailure {
    /// The rule: the name of the function that tries it.
    pub const fn rule(&self) -> &'static str {
        self.rule
    }

    /// What was done, what was expected, and what the store did.
    pub fn what(&self) -> &str {
        &self.what
    }
}

/// What a rule answers.
pub type Outcome = Result<(), ConformanceFailure>;

/// A rule as a function of the store it is tried on.
type Rule<S> = fn(&S) -> Outcome;

/// Runs every rule, each on a store of its own that `make` hands out empty, and names
/// those that were tried. A store on a medium should also be put to [`durability`].
///
/// # Errors
/// [`ConformanceFailure`] of the first rule that is broken.
pub fn conformance<S: Store + Sync>(
    mut make: impl FnMut() -> S,
) -> Result<Vec<&'static str>, ConformanceFailure> {
    let rules: [(&'static str, Rule<S>); 15] = [
        ("starts_empty", starts_empty),
        ("sealing", sealing),
        ("compare_and_append", compare_and_append),
        ("first_writer", first_writer),
        ("atomicity", atomicity),
        ("read_only_expectations", read_only_expectations),
        ("refusals", refusals),
        ("global_order", global_order),
        ("stream_order", stream_order),
        ("stream_listing", stream_listing),
        ("payloads", payloads),
        ("showing", showing),
        ("tree", tree),
        ("soundness", soundness),
        ("concurrent_writers", concurrent_writers),
    ];
    for (_, rule) in rules {
        rule(&make())?;
    }
    Ok(rules.map(|(name, _)| name).into())
}

/// One rule being tried on one store.
struct Trial<'a, S> {
    rule: &'static str,
    store: &'a S,
}

/// Everything a reader can see of a store, for comparison before and after.
#[derive(Debug, PartialEq, Eq)]
struct Seen {
    log: Vec<Digest>,
    streams: Vec<(StreamId, Head)>,
    tree: TreeHead,
}

impl<'a, S: Store> Trial<'a, S> {
    const fn new(rule: &'static str, store: &'a S) -> Self {
        Self { rule, store }
    }

    fn fail(&self, what: String) -> ConformanceFailure {
        ConformanceFailure { rule: self.rule, what }
    }

    /// What was done must have the expected result.
    fn same<T: PartialEq + Debug>(&self, what: &str, expected: &T, found: &T) -> Outcome {
        if expected == found {
            return Ok(());
        }
        Err(self.fail(std::format!("{what}: expected {expected:?}, found {found:?}")))
    }

    /// What was done must succeed.
    fn done<T, E: core::fmt::Display>(
        &self,
        what: &str,
        result: Result<T, E>,
    ) -> Result<T, ConformanceFailure> {
        result.map_err(|error| self.fail(std::format!("{what}: expected success, found: {error}")))
    }

    /// Appends, and has the answer checked as the ledger does.
    #[expect(clippy::needless_pass_by_value, reason = "batches are made where they are given")]
    fn commit(&self, what: &str, batch: Batch) -> Result<Vec<Record>, ConformanceFailure> {
        let asked = batch.clone();
        let committed: Committed = self.done(what, self.store.append(&batch))?;
        let receipt = crate::ssot::ledger::check(&asked, committed, self.store.durability());
        Ok(self.done(what, receipt)?.into_records())
    }

    /// Appends one record to the end of a stream, wherever that is.
    fn push(&self, stream: &StreamId, body: &[u8]) -> Result<Record, ConformanceFailure> {
        let head = self.done("reading a head", self.store.head(stream))?;
        let batch = Batch::new(TIME).expect(stream.clone(), head).append(draft(stream, body));
        let records = self.commit("appending to the end of a stream", batch)?;
        records.into_iter().next().ok_or_else(|| self.fail("an append without a record".into()))
    }

    /// The append must be in conflict over this stream with these heads, and must have
    /// changed nothing.
    #[expect(clippy::needless_pass_by_value, reason = "batches are made where they are given")]
    fn conflicts(
        &self,
        what: &str,
        batch: Batch,
        stream: &StreamId,
        heads: (Head, Head),
    ) -> Outcome {
        let before = self.seen()?;
        match self.store.append(&batch) {
            Err(AppendError::Conflict { stream: found_stream, expected, found }) => {
                self.same(&std::format!("{what}: the stream in conflict"), stream, &found_stream)?;
                let what = &std::format!("{what}: the heads expected and found");
                self.same(what, &heads, &(expected, found))?;
            }
            Err(other) => {
                return Err(self.fail(std::format!("{what}: expected a conflict, found: {other}")));
            }
            Ok(_) => {
                return Err(self.fail(std::format!("{what}: expected a conflict, found success")));
            }
        }
        self.same(&std::format!("{what}: nothing may have changed"), &before, &self.seen()?)
    }

    fn seen(&self) -> Result<Seen, ConformanceFailure> {
        let log = self.done("reading the log", self.store.read(0, ALL))?;
        let streams = self.done("listing the streams", self.store.streams(None, ALL))?;
        let tree = self.done("reading the tree's head", self.store.tree_head())?;
        Ok(Seen { log: log.into_iter().map(|stored| stored.digest).collect(), streams, tree })
    }
}

/// More than any rule writes.
const ALL: usize = 100_000;

const TIME: Timestamp = Timestamp::from_millis(1_700_000_000_000);

/// A stream for a rule; the rules use short fixed names only.
fn stream(name: &str) -> StreamId {
    named(StreamKind::Routing, name)
}

fn named(kind: StreamKind, name: &str) -> StreamId {
    #[expect(clippy::expect_used, reason = "the names of this suite are short and plain")]
    let name = Name::new(name).expect("a short and plain name");
    StreamId::new(kind, name)
}

fn draft(stream: &StreamId, body: &[u8]) -> Draft {
    Draft::new(stream.clone(), RecordKind::Outcome, Subsystem::Execution, body.to_vec())
}

fn digests(records: &[Record]) -> Vec<Digest> {
    records.iter().map(Record::digest).collect()
}

/// A head that no stream here ever has.
fn elsewhere(length: u64) -> Head {
    Head::new(length, Domain::Other.hash(b"no record of this suite"))
}

const fn promises_to_last(durability: Durability) -> bool {
    matches!(durability, Durability::Durable)
}
