//! The SSOT Integrity Matrix v1.0: every stream by every check.
//!
//! A row is a stream, a column a check, and a cell what the one says of the other. An
//! [`Inspector`] walks the log once, in its order, and remembers where it ended, so that
//! checking a log that has grown costs what is new. The [`Matrix`] is data with one
//! canonical form and a digest; [`Matrix::table`] shows it on a terminal,
//! [`Matrix::html`] as a page, and it serializes to JSON.
//!
//! ```
//! use prospera::ssot::matrix::{Inspector, LogOnly, Made, Options, State, TableOptions};
//! use prospera::ssot::memory::MemoryStore;
//! use prospera::time::Timestamp;
//!
//! let store = MemoryStore::new();
//! let mut inspector = Inspector::new(LogOnly);
//! inspector.run(&store, &Options::default(), |_| {})?;
//! let made = Made { at: Timestamp::from_millis(0), by: "example".into() };
//! let matrix = inspector.matrix(&store, made)?;
//! assert_eq!(matrix.verdict(), State::Sound);
//! assert!(matrix.table(&TableOptions::default()).contains("0 records in 0 streams"));
//! # Ok::<(), prospera::ssot::store::StoreError>(())
//! ```
//!
//! # The checks that the log makes itself
//!
//! **Chain.** Each record's bytes have the digest stored beside them and are a record;
//! its sequence is the next of its stream; it names the digest of the stream's record
//! before it; the stream's own index leads to it; and the stream's head is that of its
//! last record. What was checked before is still there: a stream that does not go on
//! from it was rewritten or rolled back.
//!
//! **Proof.** The Merkle tree built from the records' digests has the root that the store
//! gives, so each record's leaf is in that tree at its place, and no other is; and the
//! root that a [`Checkpoint`] remembered elsewhere gives for its size. Where the roots
//! differ, the leaves are compared to name the record. `not checked` where the store
//! keeps no tree.
//!
//! **Order.** Each record names the place at which it stands. What is asked of times needs
//! bodies: see below.
//!
//! Schema, identity, lineage, replay, policy and snapshot need to know what bodies mean,
//! and the log stands below all who write into it. So an [`Examiner`] brings them;
//! [`crate::routing::audit`] has the one for what prospera
//! writes, and says precisely what it asks. [`LogOnly`] brings none. What is found by other
//! means, a replay for example, is laid over with [`Matrix::lay_over`].
//!
//! # The states of a cell
//!
//! | state | mark | means |
//! |---|---|---|
//! | sound | `✓ ok` | all records of the stream were looked at |
//! | unsound | `✗ BAD` | a rule is broken; the first fault, with the record's index, what was expected and what was found |
//! | not applicable | `· n/a` | the check says nothing of such a stream |
//! | not checked | `? n/c` | it could not be made, or not any further, and why |
//! | stale | `~ old` | sound as far as it was checked, and the stream has grown since |
//!
//! A fault in one place shows in one cell where it can. After a break in the chain the
//! stream's other checks end as *not checked*: what comes later proves nothing. So do
//! those that rest on a body that cannot be read, in this stream and in others that refer
//! to it; the verdict is unsound all the same.
//!
//! # What a second check costs, and what it cannot see
//!
//! [`Inspector::run`] reads the last record it knows, to see that the log still goes on
//! from there, and then the new ones; [`Inspector::matrix`] reads every stream's head and
//! no record. If the log does not go on from there, that is a fault of the log, everything
//! is looked at again, and the streams that were rewritten are named. A byte that was
//! changed below what was checked before is not seen by the next run, but by a run from the
//! start. Between runs the memory is a file ([`Inspector::save`], [`Inspector::restore`]):
//! some 200 bytes for each stream and what the examiner adds; see [`StateError`] and the
//! form in the source.
//!
//! INVARIANT (a fold): a walk that stops anywhere and goes on later gives the matrix of a
//! walk that goes through at once.
//!
//! Requirements: PLAN-8.5.

mod cell;
mod check;
mod data;
mod examiner;
mod html;
mod proof;
mod rows;
mod state;
mod table;
mod walk;

pub use cell::{Cell, Fault, STATES, State, Why};
pub use check::{CHECKS, Check, Rule};
pub use data::{Count, LogFault, LogRule, LogState, Made, Matrix, Row};
pub use examiner::{Examiner, LogOnly, Nothing, Other, Scene};
pub use html::PageOptions;
pub use proof::Checkpoint;
pub use state::StateError;
pub use table::TableOptions;
pub use walk::{Inspector, Options, Run};
