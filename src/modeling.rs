//! Step 3: does this fit the audience (IRM-4.3, D-22).
//!
//! [`BehaviourModel`] compares an intent with the audience's [`Profile`], with its
//! context and with stated [`Preference`]s, in integers only (D-41).
//!
//! # The model
//! Kinds are predicted by counts with additive smoothing of one half (Krichevsky and
//! Trofimov 1981), where `K` is the number of known kinds and one more for whatever
//! is new, `c(k)` a kind's count and `N` the sum of counts:
//!
//! `p(k) = (2 c(k) + 1) / (2 N + K)`
//!
//! The previous kind `j` sharpens this as a hierarchical Dirichlet model does (`MacKay`
//! and Peto 1995): with `c(j, k)` and `c(j)` counts of pairs and `m` the back-off weight,
//!
//! `p(k | j) = (c(j, k) + m p(k)) / (c(j) + m)`
//!
//! which falls back to `p(k)` where `j` has not been followed by much. With hours
//! switched on, `p` of the hour of the day (smoothed alike over 24) is a second,
//! independent factor. The fraction is exact; its `-log2` is the surprise `s` in
//! [`Bits`](bits::Bits), off by less than 2^-15.
//!
//! What is usual differs between audiences, so `s` is held against the mean surprise
//! `u` of the history and its mean deviation `d`. With tolerance `t`:
//!
//! `e = max(0, s - u)`, `surprise = e / (e + t + d)`, in parts per million, rounded down
//!
//! It is 0 up to the usual, one half at an excess of `t + d`, and grows with `s`. Among
//! kinds that might come now, a rarer one is never less surprising.
//!
//! # Drift
//! The highest of: surprise from the soft or hard threshold on, a watched flag never
//! seen, a pace beyond a multiple of the usual, a kind without the one it continues, a
//! preference. Each cause gives a reason of its own. With less history than configured
//! the first three are not judged and the reason says so.
//!
//! ```
//! use prospera::modeling::{BehaviourModel, ModelingConfig, ModelingEngine, Observation, Profile};
//! use prospera::time::Timestamp;
//! use prospera::verdict::{SafetyFlags, Verdict};
//!
//! let model = BehaviourModel::new(ModelingConfig::new("v1".parse()?))?;
//! let mut profile = Profile::default();
//! for day in 0..30 {
//!     let at = Timestamp::from_secs(day * 86_400);
//!     let kind = "read_mail".parse()?;
//!     let observation = Observation { kind, flags: SafetyFlags::NONE, at, verdict: Verdict::Allow };
//!     model.observe(&mut profile, &observation);
//! }
//! let now = Timestamp::from_secs(30 * 86_400);
//! assert_eq!(model.surprise(&profile, &"read_mail".parse()?, now).ppm(), 0);
//! assert!(model.surprise(&profile, &"send_money".parse()?, now).ppm() > 600_000);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use alloc::vec::Vec;

use crate::digest::Digest;
use crate::id::KindId;
use crate::intent::Intent;
use crate::risk::Risk;
use crate::time::Timestamp;
use crate::verdict::{Drift, Reason, SafetyFlags, Verdict};

pub use config::{
    BehaviourConfig, ContextConfig, ModelingConfig, ModelingError, PaceConfig, Requirement,
};
pub use engine::BehaviourModel;
pub use preference::{Preference, Statement, TimeOfDay, TimeOfDayError};
pub use profile::Profile;

pub mod bits;
pub mod config;
mod engine;
#[cfg(feature = "files")]
mod file;
pub mod preference;
pub mod profile;

/// One thing an audience did, as its history remembers it. Everything in it can
/// be read from the route's records, so that a profile can be rebuilt by replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Observation {
    /// The kind of intent.
    pub kind: KindId,
    /// The flags it was routed with.
    pub flags: SafetyFlags,
    /// When.
    pub at: Timestamp,
    /// How it ended.
    pub verdict: Verdict,
}

/// What the Modeling System is handed.
#[derive(Debug)]
pub struct ModelingInput<'a, P> {
    /// The intent.
    pub intent: &'a Intent,
    /// The flags it is routed with.
    pub flags: SafetyFlags,
    /// The audience's history.
    pub profile: &'a P,
    /// The time now.
    pub now: Timestamp,
}

/// What the Modeling System found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelingFinding {
    /// Whether behaviour drifted.
    pub drift: Drift,
    /// How surprising the intent is, in parts per million.
    pub surprise: Risk,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// Step 3 of the path.
pub trait ModelingEngine {
    /// What the engine remembers of an audience.
    type Profile: Default;

    /// Compares the intent with the audience's history, context and preferences.
    fn model(&self, input: &ModelingInput<'_, Self::Profile>) -> ModelingFinding;

    /// Takes a finished route into the history.
    fn observe(&self, profile: &mut Self::Profile, observation: &Observation);

    /// What observations are counted by: a profile that was kept under other rules is
    /// another profile. `None`, as it stands: profiles are not kept, and a session that is
    /// taken up again reads all of its subject's routes.
    fn keeps(&self) -> Option<Digest> {
        None
    }

    /// The bytes that a profile is kept as. The same observations give the same bytes.
    fn keep(&self, _profile: &Self::Profile) -> Vec<u8> {
        Vec::new()
    }

    /// The profile of these bytes; `None` when it cannot be: it is then made from all
    /// observations.
    fn kept(&self, _bytes: &[u8]) -> Option<Self::Profile> {
        None
    }
}
