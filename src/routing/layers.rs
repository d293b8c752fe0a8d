//! The eight layers as types, and which comes before which.
//!
//! A position says which layer a route has passed. Positions are uninhabited
//! types: they exist at compile time alone. The path is one chain (IRM-2), written
//! down as one impl of [`Precedes`] per step; there is no other.
//!
//! Requirements: IRM-2.1..IRM-2.4, IRM-2.6, IRM-2.7, IRM-3.3.4, D-20.

use crate::id::LayerId;

/// Where a route stands before the first layer.
pub enum Received {}
/// Step 1 is passed.
pub enum Identity {}
/// Step 2 is passed.
pub enum Intent {}
/// Step 3 is passed.
pub enum Modeling {}
/// Step 4 is passed.
pub enum Memory {}
/// Step 5 is passed.
pub enum Safety {}
/// Step 6 is passed.
pub enum Governance {}
/// Step 7 is passed.
pub enum Pipeline {}
/// Step 7 is passed and the evidence is durable (D-27).
pub enum Committed {}
/// Step 8 is passed.
pub enum Execution {}

/// A place on the routing path. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is no place on the routing path",
    note = "the places are Received, the eight layers and Committed (evidence durable)"
)]
pub trait Position: sealed::Sealed + 'static {
    /// The place's name.
    const NAME: &'static str;
}

/// One of the eight layers. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not one of the eight layers",
    note = "the layers are Identity → Intent → Modeling → Memory → Safety → Governance → Pipeline → Execution"
)]
pub trait Layer: Position {
    /// The layer as a run-time value.
    const ID: LayerId;
    /// The place from which this layer, and no other, is entered.
    type Before: Position + Precedes<Self>
    where
        Self: Sized;
}

/// `Next` is the one layer that follows this place (IRM-2, IRM-7.1).
#[diagnostic::on_unimplemented(
    message = "a route that stands at {Self} cannot enter {Next}: routing never skips, repeats or reverses a layer",
    label = "{Next} does not follow {Self}",
    note = "the one path is Received → Identity → Intent → Modeling → Memory → Safety → Governance → Pipeline → Committed (evidence durable) → Execution",
    note = "going back to an earlier layer needs a governance authorization: `Route::backtrack`"
)]
pub trait Precedes<Next>: Position {}

/// `Earlier` was entered before this place, so a route may go back to it with a
/// governance authorization (D-25). Nothing goes back once evidence is durable.
#[diagnostic::on_unimplemented(
    message = "a route that stands at {Self} cannot be taken back to {Earlier}",
    label = "{Earlier} is not a layer that {Self} has behind it",
    note = "only a layer that was already passed can be entered again, under a governance authorization, and only before the evidence is durable"
)]
pub trait Follows<Earlier: Layer>: Position {}

macro_rules! positions {
    ($($place:ident $name:literal;)*) => {$(
        impl sealed::Sealed for $place {}
        impl Position for $place {
            const NAME: &'static str = $name;
        }
    )*};
}

positions! {
    Received "Received";
    Identity "Identity";
    Intent "Intent Engine";
    Modeling "Modeling";
    Memory "Memory";
    Safety "Safety";
    Governance "Governance";
    Pipeline "Pipeline";
    Committed "Committed";
    Execution "Execution";
}

macro_rules! layers {
    ($($layer:ident after $before:ident;)*) => {$(
        impl Precedes<$layer> for $before {}
        impl Layer for $layer {
            const ID: LayerId = LayerId::$layer;
            type Before = $before;
        }
    )*};
}

layers! {
    Identity after Received;
    Intent after Identity;
    Modeling after Intent;
    Memory after Modeling;
    Safety after Memory;
    Governance after Safety;
    Pipeline after Governance;
    Execution after Committed;
}

impl Precedes<Committed> for Pipeline {}

macro_rules! follows {
    ($($place:ident: $($earlier:ident)*;)*) => {$($(impl Follows<$earlier> for $place {})*)*};
}

follows! {
    Identity: Identity;
    Intent: Identity Intent;
    Modeling: Identity Intent Modeling;
    Memory: Identity Intent Modeling Memory;
    Safety: Identity Intent Modeling Memory Safety;
    Governance: Identity Intent Modeling Memory Safety Governance;
    Pipeline: Identity Intent Modeling Memory Safety Governance Pipeline;
}

mod sealed {
    pub trait Sealed {}
}
