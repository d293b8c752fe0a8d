//! Record linkage: whether a session is opened by whom the subject's earlier ones were.
//!
//! Good claims can be in wrong hands. What a new session says of itself ([`Field`]) is
//! compared with the subject's earlier sessions, field by field, and each comparison is
//! evidence for or against one person being behind both (Fellegi and Sunter, *A Theory for
//! Record Linkage*, JASA 64, 1969):
//!
//! | | |
//! |---|---|
//! | `m` | how often two sessions of one person compare like this |
//! | `u` | how often two sessions of different people do, by chance |
//! | weight | `log2(m / u)`, in bits |
//! | term frequency | agreeing on a value that many have says less: `log2(u / share)` is added, where `u` is that of full agreement (Winkler 2000; the form of Splink) |
//! | prior | the odds that it is the same person, before anything is compared |
//! | score | the prior and the weights together: 0 is one to one |
//!
//! A new session is compared with each of the latest earlier ones, and the best score
//! counts: people have more than one device. A subject without earlier sessions is
//! *unknown*, which is no reason for anything.
//!
//! The numbers are a policy file, `linkage.toml` ([`Linkage::from_toml`]), which
//! [`estimate`] makes from a log. A score below the file's thresholds is a hold trigger
//! (ASM2-8.1), or an escalation trigger (ASM2-7.5), when the session is opened; a score
//! above them is nothing at all (D-53). Every score is recorded with its explanation
//! ([`IdentityScore`]).
//!
//! INVARIANT (order): in a model no level weighs more than a level that agrees better, to
//! within 2^-20 bit, and a signal that is withheld never weighs more than one that differs. So
//! nobody gains by looking less like the subject, or by saying less.
//!
//! Requirements: PLAN-8.3, ASM2-8.1, ASM2-7.5, D-41, D-53.

pub use field::Field;
pub use model::{FieldModel, Linkage, LinkageBuilder, LinkageError, Terms};
pub use score::{FieldScore, IdentityScore, Link, Standing};

pub mod em;
pub mod estimate;
mod field;
#[cfg(feature = "files")]
mod file;
mod model;
mod score;
#[cfg(test)]
mod tests;
