//! The configuration of the Modeling System: thresholds, context, preferences.
//!
//! Its digest is BLAKE3 of its canonical encoding in [`Domain::Modeling`]. A profile
//! belongs to the configuration it was built under: with another one it is rebuilt
//! from the records.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::num::{NonZeroU16, NonZeroU32};

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Domain};
use crate::encode::{Encode, Writer};
use crate::id::{KindId, Name, RuleId};
use crate::modeling::bits::Bits;
use crate::modeling::preference::Preference;
use crate::risk::Risk;
use crate::verdict::{Drift, SafetyFlags};

pub use crate::limits::FORGET_AT as MAX_FORGET_AT;

/// The whole configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelingConfig {
    /// The name of this version.
    pub version: Name,
    /// Behavioural consistency (IRM-4.3.2).
    pub behaviour: BehaviourConfig,
    /// Contextual compatibility (IRM-4.3.3).
    pub context: ContextConfig,
    /// Which kinds continue which (IRM-4.3.3).
    pub requires_before: Vec<Requirement>,
    /// Stated preferences (IRM-4.3.1).
    pub preferences: Vec<Preference>,
}

/// How behaviour is judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct BehaviourConfig {
    /// From this surprise on drift is soft.
    pub soft: Risk,
    /// From this surprise on drift is hard.
    pub hard: Risk,
    /// How many observations there must be before behaviour is judged.
    pub min_history: u32,
    /// The surprise that is reported before.
    pub neutral: Risk,
    /// The excess, in thousandths of a bit, at which surprise is one half for an
    /// audience that never deviates.
    pub tolerance_millibits: NonZeroU32,
    /// How many observations after the previous kind the kinds as such weigh.
    pub back_off: NonZeroU16,
    /// The sum of counts at which all are halved.
    pub forget_at: u32,
    /// Whether the hour of the day counts.
    pub hours: bool,
}

impl Default for BehaviourConfig {
    /// Soft from 6 bits beyond the usual, hard from 16, for an audience that never
    /// deviates; judged from 16 observations on; halved at 4096.
    fn default() -> Self {
        Self {
            soft: Risk::saturating(600_000),
            hard: Risk::saturating(800_000),
            min_history: 16,
            neutral: Risk::ZERO,
            tolerance_millibits: NonZeroU32::MIN.saturating_add(3999),
            back_off: NonZeroU16::MIN.saturating_add(7),
            forget_at: 4096,
            hours: false,
        }
    }
}

impl BehaviourConfig {
    pub(super) const fn tolerance(&self) -> Bits {
        Bits::from_millibits(self.tolerance_millibits.get())
    }
}

/// How context is judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct ContextConfig {
    /// What a watched flag that was never seen for the audience is.
    pub new_flags: Drift,
    /// The flags that are watched.
    pub watched_flags: SafetyFlags,
    /// What a kind without the kind it continues is.
    pub missing_predecessor: Drift,
    /// The pace.
    pub pace: PaceConfig,
}

impl Default for ContextConfig {
    /// A new flag or a missing predecessor is soft drift; all flags are watched.
    fn default() -> Self {
        let all =
            SafetyFlags::ALL.iter().fold(SafetyFlags::NONE, |set, (flag, _)| set.union(*flag));
        Self {
            new_flags: Drift::Soft,
            watched_flags: all,
            missing_predecessor: Drift::Soft,
            pace: PaceConfig::default(),
        }
    }
}

/// How the pace is judged: observations in a sliding window against the usual.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub struct PaceConfig {
    /// The window's length.
    pub window_seconds: NonZeroU32,
    /// Up to this many in a window are never too many.
    pub floor: u32,
    /// Above this multiple of the usual drift is soft.
    pub soft: u32,
    /// Above this multiple of the usual drift is hard.
    pub hard: u32,
    /// How many windows with observations there must be before the pace is judged.
    pub min_windows: u32,
}

impl Default for PaceConfig {
    /// One minute, 30, 4 times, 16 times, 4 windows.
    fn default() -> Self {
        let window_seconds = NonZeroU32::MIN.saturating_add(59);
        Self { window_seconds, floor: 30, soft: 4, hard: 16, min_windows: 4 }
    }
}

impl PaceConfig {
    pub(super) const fn millis(&self) -> u64 {
        self.window_seconds.get() as u64 * 1000
    }
}

/// A kind that continues another: one of `any_of` must have been carried out before,
/// among the last [`RECENT`](crate::modeling::profile::RECENT).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Requirement {
    /// The kind.
    pub kind: KindId,
    /// What it continues.
    pub any_of: Vec<KindId>,
    /// How long ago that may be; any time when not given.
    #[serde(default)]
    pub within_seconds: Option<u64>,
}

/// Why a configuration is refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ModelingError {
    /// The soft threshold lies above the hard one.
    #[error("expected `{field}` soft up to hard, found {soft} above {hard}")]
    Thresholds {
        /// Which part of the configuration.
        field: &'static str,
        /// Soft.
        soft: u32,
        /// Hard.
        hard: u32,
    },
    /// A number is out of range.
    #[error("expected `{field}` from {least} to {most}, found {found}")]
    Range {
        /// The field.
        field: &'static str,
        /// The least.
        least: u32,
        /// The most.
        most: u32,
        /// The number.
        found: u32,
    },
    /// A kind has two requirements, or one without any kind to continue.
    #[error("expected one non-empty requirement for kind `{kind}`, found {found}")]
    Requirement {
        /// Place in the list.
        position: usize,
        /// The kind.
        kind: KindId,
        /// What was found.
        found: &'static str,
    },
    /// A preference is wrong.
    #[error("preference `{id}`: expected {expected}")]
    Preference {
        /// Place in the list.
        position: usize,
        /// Its id.
        id: RuleId,
        /// What was expected.
        expected: Box<str>,
    },
}

impl ModelingConfig {
    /// The defaults under a version's name, without requirements and preferences.
    pub fn new(version: Name) -> Self {
        Self {
            version,
            behaviour: BehaviourConfig::default(),
            context: ContextConfig::default(),
            requires_before: Vec::new(),
            preferences: Vec::new(),
        }
    }

    /// The digest of the canonical encoding.
    pub fn digest(&self) -> Digest {
        Domain::Modeling.hash(&self.to_canonical())
    }

    /// Checks what spans several fields.
    ///
    /// # Errors
    /// [`ModelingError`].
    pub fn check(&self) -> Result<(), ModelingError> {
        let BehaviourConfig { soft, hard, forget_at, .. } = self.behaviour;
        if soft > hard {
            let (soft, hard) = (soft.into(), hard.into());
            return Err(ModelingError::Thresholds { field: "behaviour", soft, hard });
        }
        if !(2..=MAX_FORGET_AT).contains(&forget_at) {
            return Err(ModelingError::Range {
                field: "behaviour.forget-at",
                least: 2,
                most: MAX_FORGET_AT,
                found: forget_at,
            });
        }
        let PaceConfig { soft, hard, .. } = self.context.pace;
        if soft > hard {
            return Err(ModelingError::Thresholds { field: "context.pace", soft, hard });
        }
        if soft < 2 {
            let (least, most) = (2, u32::MAX);
            let field = "context.pace.soft";
            return Err(ModelingError::Range { field, least, most, found: soft });
        }
        for (position, Requirement { kind, any_of, .. }) in self.requires_before.iter().enumerate()
        {
            let earlier = self.requires_before.iter().take(position);
            let found = if any_of.is_empty() {
                "an empty one"
            } else if earlier.into_iter().any(|other| other.kind == *kind) {
                "a second one"
            } else {
                continue;
            };
            let kind = kind.clone();
            return Err(ModelingError::Requirement { position, kind, found });
        }
        for (position, preference) in self.preferences.iter().enumerate() {
            let twice = self.preferences.iter().take(position).any(|p| p.id == preference.id);
            let expected = if twice { Err("an id of its own") } else { preference.check() };
            if let Err(expected) = expected {
                let id = preference.id.clone();
                return Err(ModelingError::Preference { position, id, expected: expected.into() });
            }
        }
        Ok(())
    }
}

impl Encode for ModelingConfig {
    /// Version, behaviour, context, requirements, preferences; each struct field by
    /// field in the order of its declaration, lists in their order.
    fn encode(&self, out: &mut Writer) {
        let b = &self.behaviour;
        out.value(&self.version)
            .value(&b.soft)
            .value(&b.hard)
            .u32(b.min_history)
            .value(&b.neutral)
            .u32(b.tolerance_millibits.get())
            .u16(b.back_off.get())
            .u32(b.forget_at)
            .bool(b.hours);
        let c = &self.context;
        out.value(&c.new_flags)
            .value(&c.watched_flags)
            .value(&c.missing_predecessor)
            .u32(c.pace.window_seconds.get())
            .u32(c.pace.floor)
            .u32(c.pace.soft)
            .u32(c.pace.hard)
            .u32(c.pace.min_windows)
            .count(self.requires_before.len());
        for Requirement { kind, any_of, within_seconds } in &self.requires_before {
            out.value(kind).list(any_of).bool(within_seconds.is_some());
            if let Some(seconds) = within_seconds {
                out.u64(*seconds);
            }
        }
        out.list(&self.preferences);
    }
}
