//! Secrets and tags: never shown, never recorded, never compared with `==`.
//!
//! `SECURITY.md` has the inventory; `source` holds the source tree against it.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "the helpers of tests, too, may end a test; a router has routed"
)]

#[cfg(all(feature = "files", feature = "redb", feature = "paseto"))]
#[path = "../support/world.rs"]
mod world;

#[cfg(feature = "cli")]
mod cli;
mod marks;
#[cfg(all(feature = "files", feature = "redb", feature = "paseto"))]
mod scenario;
mod source;
