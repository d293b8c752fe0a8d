//! For those who test their own engines, modules and stores against this library.
//!
//! | part | feature | what it is |
//! |---|---|---|
//! | [`world`] | `std` | a small complete deployment in memory, built in code |
//! | [`properties`] | `std` | what must hold for every input, as plain functions |
//! | [`strategy`] | `proptest` | strategies for the library's values |
//! | `Arbitrary` impls | `arbitrary` | the same for fuzz targets |
//!
//! A property answers with the first thing that is not as it must be; nothing here
//! needs a test harness. So one body serves a property test and a fuzz target:
//!
//! ```
//! use prospera::testing::properties::round_trip;
//! use prospera::verdict::Verdict;
//!
//! round_trip(&Verdict::StepUp)?;
//! # Ok::<(), prospera::testing::Broken>(())
//! ```
//!
//! The rules of a store are in [`crate::ssot::conformance`].
//!
#![cfg_attr(
    feature = "proptest",
    doc = r"
A property test of one's own module is five lines:

```
use prospera::testing::{properties, strategy, world::Setup};
use proptest::prelude::*;

proptest!(|(requests in prop::collection::vec(strategy::request(&Setup::sample().unwrap().catalogue), 1..4))| {
    let world = Setup::sample().unwrap().build().unwrap(); // your own kinds and module go here
    properties::routes_are_sound(&world, requests)?;
});
```
"
)]

use std::string::{String, ToString};

pub mod properties;
#[cfg(feature = "proptest")]
pub mod strategy;
pub mod world;

#[cfg(feature = "arbitrary")]
mod arbitrary;

/// A property that does not hold.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the property `{property}` does not hold: {what}")]
pub struct Broken {
    property: &'static str,
    what: String,
}

impl Broken {
    /// Says that `property` does not hold, and what was found.
    #[expect(clippy::needless_pass_by_value, reason = "errors and texts as they come")]
    pub fn new(property: &'static str, what: impl ToString) -> Self {
        Self { property, what: what.to_string() }
    }

    /// The property: the name of its function.
    pub const fn property(&self) -> &'static str {
        self.property
    }

    /// What was done, what was expected, what was found.
    pub fn what(&self) -> &str {
        &self.what
    }
}

/// What a property answers.
pub type Held = Result<(), Broken>;

/// `Ok` when `holds`; otherwise the property is broken.
fn must(property: &'static str, holds: bool, what: impl FnOnce() -> String) -> Held {
    if holds { Ok(()) } else { Err(Broken { property, what: what() }) }
}
