//! The single source of truth: what happened, hash-chained and durable.
//!
//! - [`record`]: the lineage record, byte by byte
//! - [`store`]: what a store promises; [`plan`]: what compare-and-append means
//! - `memory` (feature `std`), `redb` (feature `redb`): two stores; `conformance` (feature
//!   `std`): the rules for those of others
//! - [`class`]: what kind of state a record is; [`snapshot`]: states kept in their streams
//! - `segment` (feature `compress`): closed parts of a log, packed
//! - [`merkle`]: the tree over the log, its root and its proofs
//! - `note`, `checkpoint` (feature `notes`): what a log signs, whose word is taken for it, and
//!   what a log can be caught at
//! - [`conflict`]: what came between a decision and its commit, and whether it matters
//!   what a log can be caught at; `tiles` (and `std`): a log as files for any web server
//! - [`ledger`]: receipts; [`verify`]: the whole log, or one stream, checked
//! - [`matrix`]: the SSOT Integrity Matrix: every stream by every check

#[cfg(feature = "notes")]
pub mod checkpoint;
pub mod class;
pub mod conflict;
#[cfg(feature = "std")]
pub mod conformance;
#[cfg(feature = "std")]
pub mod export;
pub mod ledger;
#[cfg(feature = "std")]
mod log;
pub mod matrix;
#[cfg(feature = "std")]
pub mod memory;
pub mod merkle;
#[cfg(feature = "notes")]
pub mod note;
pub mod plan;
pub mod record;
#[cfg(feature = "redb")]
pub mod redb;
#[cfg(feature = "compress")]
pub mod segment;
pub mod snapshot;
pub mod store;
#[cfg(all(feature = "std", feature = "notes"))]
pub mod tiles;
pub mod verify;
