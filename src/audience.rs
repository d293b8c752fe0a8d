//! The Audience State Machine v2.0 (ASM2): seven states, fifteen edges, and who may take them.
//!
//! An audience is whom an intent is done for. Its state says how far it is trusted. The
//! whole relation is one table ([`table`]); two faces stand over it: [`typed`], where a
//! move that is not in the table does not compile, and [`any`](mod@any), where it is refused,
//! checked and recorded. [`evaluate`](mod@evaluate) says which move an assessment mandates, [`gate`]
//! turns four verdicts into the clearance of an advance, and [`lineage`] is what remains.
//!
//! Nothing in this room does I/O and nothing in it reads a clock: verbs return what is to
//! be recorded, and the sealed record is what makes the next handle.

pub mod any;
pub mod causes;
pub mod classifier;
pub mod evaluate;
pub mod evidence;
pub mod gate;
pub mod lineage;
pub mod matrix;
pub mod permits;
pub mod state;
pub mod states;
pub mod table;
pub mod typed;

pub use any::AnyAudience;
pub use evaluate::{Assessment, Move, evaluate};
pub use gate::{Clearance, Gate};
pub use state::State;
pub use typed::{Audience, legal_edge};
