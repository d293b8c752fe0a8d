//! What the benchmarks share: how they measure, how they print, and what they measure.
//!
//! Every bench includes this as a module; none uses all of it.
#![allow(
    dead_code,
    clippy::allow_attributes,
    reason = "shared by several benches, each of which uses a part of it"
)]

pub(crate) mod engines;
pub(crate) mod forgetful;
pub(crate) mod logs;
pub(crate) mod lookup;
pub(crate) mod machine;
pub(crate) mod report;
pub(crate) mod routes;
pub(crate) mod step;
