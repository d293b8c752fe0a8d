//! prospera governs what automated systems and AI agents do.
//!
#![forbid(unsafe_code)]
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;

pub mod audience;
pub mod digest;
pub mod encode;
pub mod execution;
#[cfg(feature = "files")]
pub mod files;
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
