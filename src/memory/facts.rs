//! Versioned facts.

/// The facts of one subject.
#[derive(Debug, Default)]
pub struct Facts {}
