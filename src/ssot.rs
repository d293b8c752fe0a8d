//! The single source of truth: what happened, hash-chained and durable.

pub mod record;
pub mod store;
