//! prospera governs what automated systems and AI agents do.
//!
#![forbid(unsafe_code)]
#![cfg_attr(not(feature = "std"), no_std)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;

pub mod audience;
pub mod digest;
pub mod encode;
pub mod id;
pub mod limits;
pub mod provenance;
pub mod risk;
pub mod ssot;
pub mod time;
pub mod value;
pub mod verdict;
