//! The Audience State Machine v2.0.

pub mod state;
