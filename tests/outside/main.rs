//! Faults of the outside: stores that fail, disks that write half, clocks that jump,
//! processes that are killed, crowds. One test for each fault, named after it.
//!
//! What must hold after each: the error is typed, nothing was executed without durable
//! evidence, nothing was executed twice, a desk knows what a replay of the log says,
//! the log verifies, and the work can be carried on to its end (D-27).
#![cfg(all(feature = "files", feature = "redb"))]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::similar_names,
    reason = "the helpers of tests, too, may end a test; a router has routed"
)]

#[path = "../support/files.rs"]
mod files;
#[path = "../support/world.rs"]
mod world;

mod clock;
mod crowd;
mod disk;
mod flaky;
mod killed;
mod script;
mod store;
mod twice;
