//! The single source of truth: what happened, hash-chained and durable.
//!
//! - [`record`]: the lineage record, byte by byte
//! - [`store`]: what a store promises; [`plan`]: what compare-and-append means
//! - `memory` (feature `std`), `redb` (feature `redb`): two stores; `conformance` (feature
//!   `std`): the rules for those of others
//! - [`merkle`]: the tree over the log, its root and its proofs
//! - `note`, `checkpoint` (feature `notes`): what a log signs, whose word is taken for it, and
//!   what a log can be caught at; `tiles` (and `std`): a log as files for any web server
//! - [`ledger`]: receipts; [`verify`]: the whole log, or one stream, checked

#[cfg(feature = "notes")]
pub mod checkpoint;
#[cfg(feature = "std")]
pub mod conformance;
#[cfg(feature = "std")]
pub mod export;
pub mod ledger;
#[cfg(feature = "std")]
mod log;
#[cfg(feature = "std")]
pub mod memory;
pub mod merkle;
#[cfg(feature = "notes")]
pub mod note;
pub mod plan;
pub mod record;
#[cfg(feature = "redb")]
pub mod redb;
pub mod store;
#[cfg(all(feature = "std", feature = "notes"))]
pub mod tiles;
pub mod verify;
