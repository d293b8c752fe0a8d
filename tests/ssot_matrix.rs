//! The Integrity Matrix (PLAN-8.5): each check on a log it must turn bad on, and on no
//! other cell than it must; incremental and whole checks alike.
#![cfg(feature = "files")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here is a failure of the test"
)]

#[path = "support/world.rs"]
mod world;

#[path = "matrix/data.rs"]
mod data;
#[path = "matrix/forge.rs"]
mod forge;
#[path = "matrix/incremental.rs"]
mod incremental;
#[path = "matrix/log.rs"]
mod log;
#[path = "matrix/rules.rs"]
mod rules;
#[path = "matrix/runs.rs"]
mod runs;
