//! Bad input (issue 3, §3): one test per fault, named after it, each through the path a
//! user takes: bytes, intake, router, a store on disk.
//!
//! Each shows that the fault has a typed error or a reason with its code, that the route is
//! denied and leaves evidence, that nothing is executed, and that what was acknowledged
//! before is still there and verifies.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::similar_names,
    reason = "the helpers of tests, too, may end a test; a router has routed"
)]

mod clock;
mod disk;
mod house;
mod intake;
mod limits;
mod log;
mod policy;
mod size;
mod tokens;
mod versions;
#[path = "../support/world.rs"]
mod world;
