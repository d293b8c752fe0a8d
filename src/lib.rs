//! prospera governs what automated systems and AI agents do, and leaves evidence.
//!
//! An *intent* passes eight layers in one fixed order: Identity → Intent Engine →
//! Modeling → Memory → Safety → Governance → Pipeline → Execution. An *audience*, for
//! whom it is done, is always in one of seven states. Layers and states are types:
//! what must not happen does not compile. What happens is a hash-chained record,
//! durable before anything is executed.
//!
//! # Where to start
//!
//! | you want to | read |
//! |---|---|
//! | route intents at run time | [`routing::Router`] |
//! | walk the layers by hand, with the compiler's help | [`routing::Route`] |
//! | know what an audience may become | [`audience`], [`audience::table`] |
//! | write your own engine | the trait of its room: [`identity`], [`intent`], [`modeling`], [`memory`], [`safety`], [`governance`], [`pipeline`], [`execution`] |
//! | write your own module | [`execution::Module`] |
//! | write your own store | [`ssot::store::Store`] |
//! | read the evidence | [`routing::evidence`], [`ssot::record`] |
//!
//! # The rooms
//!
//! Engine rooms never use each other (IRM-3.3.6, D-42); they meet in values of the
//! vocabulary: [`commitment`], [`digest`], [`encode`], [`fixed`], [`id`], [`limits`], [`provenance`], [`risk`],
//! [`time`], [`value`], [`verdict`]. Only [`routing`] composes them.
//!
//! Ids such as `ASM2-5.7`, `IRM-4.5.2` and `D-27` are requirements; `SPEC.md` in the
//! repository lists them all with their state.
#![forbid(unsafe_code)]
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;
// Tests of the heart may use what the heart itself may not.
#[cfg(all(test, not(feature = "std")))]
extern crate std;

pub mod audience;
#[cfg(feature = "bundle")]
pub mod bundle;
pub mod commitment;
pub mod digest;
pub mod encode;
pub mod execution;
#[cfg(feature = "files")]
pub mod files;
pub mod fixed;
pub mod governance;
pub mod id;
pub mod identity;
pub mod intent;
#[cfg(feature = "files")]
pub mod json;
pub mod limits;
pub mod memory;
pub mod modeling;
pub mod pipeline;
#[cfg(feature = "files")]
pub mod policy;
pub mod provenance;
pub mod risk;
pub mod routing;
pub mod safety;
pub mod ssot;
#[cfg(feature = "std")]
pub mod testing;
pub mod time;
pub mod value;
pub mod verdict;
