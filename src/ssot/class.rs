//! State classification: what kind of state a record is, and what follows from it.
//!
//! Every record is of one [`StateClass`], by its [`RecordKind`], and so is every payload, by
//! the role in which a record names it. The class says how long the state lives, who may be
//! shown it and how it is packed:
//!
//! | class | kinds | payloads | cold after | payloads live | may be shown to | packed |
//! |---|---|---|---|---|---|---|
//! | identity | session opened, closed, scored | | 30 days | | personal | dictionary |
//! | intent | | intents, objectives | 30 days | 7 to 365 days | personal | dictionary |
//! | routing | evidence block | | 30 days | | internal | dictionary |
//! | audience | event, block, refusal | | 90 days | | internal | dictionary |
//! | memory | fact | | 90 days | | secret | dictionary |
//! | governance | decision, policy pinned | | 365 days | | internal | dictionary |
//! | execution | outcome | outputs | 30 days | 7 to 90 days | personal | dictionary |
//! | audit | constitutional check, snapshot, conflict | | 90 days | | personal | as it is |
//!
//! **Retention.** A log is append-only: no rule removes a record. *Cold after* says from
//! what age on records may be read from a packed segment instead of the live store
//! (`ssot::segment`, which packs no younger one when it is asked by age); *payloads live*
//! says from what age on payloads must not be erased by age alone, and up to what age they
//! are kept ([`crate::routing::retention`] names those that are past it).
//!
//! **Sensitivity.** [`Disclosure`] says what may be shown to whom; an export that is made
//! for readers below a class shows of its records the place, time, kind and digests, so
//! that every chain can be followed, and withholds the rest.
//!
//! **Compression.** Of which level, and with a dictionary of how many bytes; level 0 is as
//! it is. What is derived and rare is not worth a dictionary.
//!
//! A policy folder may tighten the rules (`[classes]` in `router.toml`) and never loosen
//! one: payloads live shorter, and fewer people are shown a class.
//!
//! ```
//! use prospera::provenance::Sensitivity;
//! use prospera::ssot::class::{ClassRules, Disclosure, StateClass};
//! use prospera::ssot::record::RecordKind;
//! let rules = ClassRules::DEFAULT;
//! assert_eq!(StateClass::of(RecordKind::Outcome), StateClass::Execution);
//! let auditors = Disclosure::up_to(Sensitivity::Internal);
//! assert!(auditors.shows(&rules, RecordKind::EvidenceBlock));
//! assert!(!auditors.shows(&rules, RecordKind::Fact));
//! let looser = rules.with_payload_days(StateClass::Intent, 366);
//! assert_eq!(
//!     looser.unwrap_err().to_string(),
//!     "expected 7 to 365 days for payloads of class `intent`, found 366"
//! );
//! ```
//!
//! INVARIANT (downwards): no [`ClassRules`] keeps a payload longer, or shows a class to
//! more readers, than [`ClassRules::DEFAULT`].
//!
//! Requirements: PLAN-3.7.

use serde::{Deserialize, Serialize};

use crate::encode::{Encode, Writer, byte_enum};
use crate::provenance::Sensitivity;
use crate::ssot::record::RecordKind;
use crate::time::Timestamp;

/// What kind of state a record or payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StateClass {
    /// Who acts, for whom, with what authority.
    Identity,
    /// What was asked for, in its own words.
    Intent,
    /// How it was decided.
    Routing,
    /// The lineage of an audience.
    Audience,
    /// What is known of a subject.
    Memory,
    /// What people and policies decided.
    Governance,
    /// What was carried out, and what came of it.
    Execution,
    /// What was checked, and what can be derived again.
    Audit,
}

byte_enum!(StateClass, "a class of state", {
    Identity = 1, Intent = 2, Routing = 3, Audience = 4, Memory = 5, Governance = 6,
    Execution = 7, Audit = 8,
});

impl StateClass {
    /// All classes, in the order of their bytes.
    pub const ALL: [Self; 8] = [
        Self::Identity,
        Self::Intent,
        Self::Routing,
        Self::Audience,
        Self::Memory,
        Self::Governance,
        Self::Execution,
        Self::Audit,
    ];

    /// The class of a record. The match is exhaustive: a kind without a class does not
    /// compile.
    pub const fn of(kind: RecordKind) -> Self {
        match kind {
            RecordKind::SessionOpened | RecordKind::SessionClosed | RecordKind::IdentityScored => {
                Self::Identity
            }
            RecordKind::EvidenceBlock => Self::Routing,
            RecordKind::AudienceEvent
            | RecordKind::EnvelopeBlock
            | RecordKind::TransitionRefused => Self::Audience,
            RecordKind::Fact => Self::Memory,
            RecordKind::GovernanceDecision | RecordKind::PolicyPinned => Self::Governance,
            RecordKind::Outcome => Self::Execution,
            RecordKind::ConstitutionalCheck
            | RecordKind::Snapshot
            | RecordKind::ConflictDetected => Self::Audit,
        }
    }

    /// The class's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Intent => "intent",
            Self::Routing => "routing",
            Self::Audience => "audience",
            Self::Memory => "memory",
            Self::Governance => "governance",
            Self::Execution => "execution",
            Self::Audit => "audit",
        }
    }

    /// Its place in a table of all classes, from 0.
    const fn place(self) -> usize {
        self.to_byte() as usize - 1
    }
}

impl core::fmt::Display for StateClass {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(self.name())
    }
}

/// How long state of a class lives. See the module for what that means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// From this age on, in days, its records may leave the live store for a segment.
    pub cold_days: u32,
    /// Its payloads are kept at least so many days, whatever the policy.
    pub least_payload_days: u32,
    /// Its payloads are erased after so many days; `None`: it has none.
    pub payload_days: Option<u32>,
}

/// How state of a class is packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Compression {
    /// The level of zstd; 0: as it is.
    pub level: u8,
    /// Largest dictionary trained for it, in bytes; 0: none.
    pub dictionary_bytes: u32,
}

/// What holds for one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassRule {
    /// How long it lives.
    pub retention: Retention,
    /// Whom it may be shown to.
    pub sensitivity: Sensitivity,
    /// How it is packed.
    pub compression: Compression,
}

/// What holds for each class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClassRules {
    rows: [ClassRule; StateClass::ALL.len()],
}

const fn rule(class: StateClass) -> ClassRule {
    use Sensitivity::{Internal, Personal, Secret};
    const fn row(cold_days: u32, payloads: Option<(u32, u32)>, shown: Sensitivity) -> ClassRule {
        let (least_payload_days, payload_days) = match payloads {
            Some((least, most)) => (least, Some(most)),
            None => (0, None),
        };
        ClassRule {
            retention: Retention { cold_days, least_payload_days, payload_days },
            sensitivity: shown,
            compression: Compression { level: 19, dictionary_bytes: 16 << 10 },
        }
    }
    match class {
        StateClass::Identity => row(30, None, Personal),
        StateClass::Intent => row(30, Some((7, 365)), Personal),
        StateClass::Routing => row(30, None, Internal),
        StateClass::Audience => row(90, None, Internal),
        StateClass::Memory => row(90, None, Secret),
        StateClass::Governance => row(365, None, Internal),
        StateClass::Execution => row(30, Some((7, 90)), Personal),
        StateClass::Audit => ClassRule {
            compression: Compression { level: 0, dictionary_bytes: 0 },
            ..row(90, None, Personal)
        },
    }
}

/// A day in milliseconds.
const DAY: u64 = 86_400_000;

/// A rule that would be looser than the default, or does not fit its class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClassError {
    /// A life of payloads outside of what the class allows.
    #[error("expected {least} to {most} days for payloads of class `{class}`, found {found}")]
    PayloadDays {
        /// The class.
        class: StateClass,
        /// The shortest life.
        least: u32,
        /// The longest.
        most: u32,
        /// What was asked for.
        found: u32,
    },
    /// The class has no payloads.
    #[error("expected a class that has payloads, found `{class}`")]
    NoPayloads {
        /// The class.
        class: StateClass,
    },
    /// A lower sensitivity than the class has.
    #[error("expected `{least}` or higher for class `{class}`, found `{found}`",
        least = sensitivity_name(*.least), found = sensitivity_name(*.found))]
    Sensitivity {
        /// The class.
        class: StateClass,
        /// What it has.
        least: Sensitivity,
        /// What was asked for.
        found: Sensitivity,
    },
}

/// A sensitivity as files and messages write it.
pub const fn sensitivity_name(sensitivity: Sensitivity) -> &'static str {
    match sensitivity {
        Sensitivity::Public => "public",
        Sensitivity::Internal => "internal",
        Sensitivity::Personal => "personal",
        Sensitivity::Secret => "secret",
    }
}

impl ClassRules {
    /// The table of this module.
    pub const DEFAULT: Self = Self {
        rows: [
            rule(StateClass::ALL[0]),
            rule(StateClass::ALL[1]),
            rule(StateClass::ALL[2]),
            rule(StateClass::ALL[3]),
            rule(StateClass::ALL[4]),
            rule(StateClass::ALL[5]),
            rule(StateClass::ALL[6]),
            rule(StateClass::ALL[7]),
        ],
    };

    /// What holds for a class.
    pub fn of(&self, class: StateClass) -> ClassRule {
        self.rows.get(class.place()).copied().unwrap_or(rule(class))
    }

    /// Lets payloads of a class live shorter.
    ///
    /// # Errors
    /// [`ClassError`] when that is longer than now, shorter than the class's least, or the
    /// class has no payloads.
    pub fn with_payload_days(mut self, class: StateClass, days: u32) -> Result<Self, ClassError> {
        let retention = self.of(class).retention;
        let Some(most) = retention.payload_days else {
            return Err(ClassError::NoPayloads { class });
        };
        let least = retention.least_payload_days;
        if !(least..=most).contains(&days) {
            return Err(ClassError::PayloadDays { class, least, most, found: days });
        }
        if let Some(row) = self.rows.get_mut(class.place()) {
            row.retention.payload_days = Some(days);
        }
        Ok(self)
    }

    /// Shows a class to fewer readers.
    ///
    /// # Errors
    /// [`ClassError::Sensitivity`] when that would be more readers than now.
    pub fn with_sensitivity(
        mut self,
        class: StateClass,
        sensitivity: Sensitivity,
    ) -> Result<Self, ClassError> {
        let least = self.of(class).sensitivity;
        if sensitivity < least {
            return Err(ClassError::Sensitivity { class, least, found: sensitivity });
        }
        if let Some(row) = self.rows.get_mut(class.place()) {
            row.sensitivity = sensitivity;
        }
        Ok(self)
    }

    /// Whether a payload of this class, named by a record of this time, is past its life.
    pub fn is_expired(&self, class: StateClass, written: Timestamp, now: Timestamp) -> bool {
        let days = self.of(class).retention.payload_days;
        days.is_some_and(|days| now.since(written) >= u64::from(days) * DAY)
    }

    /// Whether a record of this kind and time may leave the live store.
    pub fn is_cold(&self, kind: RecordKind, written: Timestamp, now: Timestamp) -> bool {
        let days = self.of(StateClass::of(kind)).retention.cold_days;
        now.since(written) >= u64::from(days) * DAY
    }

    /// The rules that differ from the default, as a policy set pins them.
    pub fn is_default(&self) -> bool {
        *self == Self::DEFAULT
    }
}

impl Default for ClassRules {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Encode for ClassRules {
    /// Per class that differs from the default: its byte, how many days its payloads live
    /// (`u32`; 0 where it has none), its sensitivity.
    fn encode(&self, out: &mut Writer) {
        for class in StateClass::ALL {
            let now = self.of(class);
            if now != rule(class) {
                out.value(&class).u32(now.retention.payload_days.unwrap_or(0));
                out.value(&now.sensitivity);
            }
        }
    }
}

/// For whom something is shown: everybody who may know what is this sensitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Disclosure {
    most: Sensitivity,
}

impl Disclosure {
    /// Nothing is withheld.
    pub const ALL: Self = Self { most: Sensitivity::Secret };

    /// What is at most this sensitive.
    pub const fn up_to(most: Sensitivity) -> Self {
        Self { most }
    }

    /// Whether a class may be shown.
    pub fn shows_class(&self, rules: &ClassRules, class: StateClass) -> bool {
        rules.of(class).sensitivity <= self.most
    }

    /// Whether a record of this kind may be shown.
    pub fn shows(&self, rules: &ClassRules, kind: RecordKind) -> bool {
        self.shows_class(rules, StateClass::of(kind))
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString as _;

    use super::*;
    use crate::encode::Decode as _;

    /// PLAN-3.7: each byte that is a record kind has a class, a rule and a name.
    #[test]
    fn every_kind_of_record_has_a_class_with_rules_of_its_own() {
        let mut used = alloc::collections::BTreeSet::new();
        for byte in 0..=u8::MAX {
            let Ok(kind) = RecordKind::from_canonical(&[byte]) else { continue };
            used.insert(StateClass::of(kind));
            let rule = ClassRules::DEFAULT.of(StateClass::of(kind));
            assert!(rule.retention.cold_days > 0 && rule.sensitivity > Sensitivity::Public);
            assert_eq!(rule.compression.level == 0, rule.compression.dictionary_bytes == 0);
        }
        // Intents are payloads: no record is of their class.
        used.insert(StateClass::Intent);
        assert_eq!(used.into_iter().collect::<alloc::vec::Vec<_>>(), StateClass::ALL);
        for (class, place) in StateClass::ALL.into_iter().zip(0..) {
            assert_eq!(class.place(), place);
            assert_eq!(ClassRules::DEFAULT.of(class), rule(class));
        }
    }

    #[test]
    fn rules_are_tightened_and_never_loosened() {
        let rules = ClassRules::DEFAULT.with_payload_days(StateClass::Intent, 30).unwrap();
        assert_eq!(rules.of(StateClass::Intent).retention.payload_days, Some(30));
        assert_eq!(rules.of(StateClass::Execution), rule(StateClass::Execution));
        let back = rules.clone().with_payload_days(StateClass::Intent, 31).unwrap_err();
        assert!(matches!(back, ClassError::PayloadDays { most: 30, found: 31, .. }), "{back}");
        assert!(rules.clone().with_payload_days(StateClass::Intent, 6).is_err());
        assert!(rules.clone().with_payload_days(StateClass::Routing, 9).is_err());
        let rules = rules.with_sensitivity(StateClass::Routing, Sensitivity::Secret).unwrap();
        let looser = rules.clone().with_sensitivity(StateClass::Routing, Sensitivity::Public);
        assert_eq!(
            looser.unwrap_err().to_string(),
            "expected `secret` or higher for class `routing`, found `public`"
        );
        assert!(!rules.is_default() && ClassRules::DEFAULT.is_default());
        assert_eq!(rules.to_canonical().len(), 12);
        assert!(ClassRules::DEFAULT.to_canonical().is_empty());
    }

    #[test]
    fn payloads_expire_on_their_day_and_records_cool_on_theirs() {
        let rules = ClassRules::DEFAULT;
        let day = |days: u64| Timestamp::from_millis(days * DAY);
        let before = Timestamp::from_millis(90 * DAY - 1);
        assert!(!rules.is_expired(StateClass::Execution, day(0), before));
        assert!(rules.is_expired(StateClass::Execution, day(0), day(90)));
        assert!(
            !rules.is_expired(StateClass::Execution, day(90), day(0)),
            "a clock that went back"
        );
        assert!(!rules.is_expired(StateClass::Routing, day(0), day(9999)), "it has no payloads");
        assert!(!rules.is_cold(RecordKind::Outcome, day(1), day(30)));
        assert!(rules.is_cold(RecordKind::Outcome, day(1), day(31)));
    }
}
