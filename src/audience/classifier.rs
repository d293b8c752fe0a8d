//! Classifier v1.2: Class A, B or C by documented, deterministic, explained rules.
//!
//! A class is the best one whose six criteria are all met; Class C has none. The
//! criteria are thresholds on identity strength, consent, history and risk:
//!
//! | criterion | met when | A | B |
//! |---|---|---|---|
//! | identity strength | at least | 900,000 ppm | 500,000 ppm |
//! | consent | at least | explicit | implied |
//! | good outcomes | at least | 20 | 0 |
//! | share of bad outcomes | at most | 20,000 ppm | 100,000 ppm |
//! | age of the audience | at least | 30 days | 0 days |
//! | risk | at most | 200,000 ppm | 600,000 ppm |
//!
//! The numbers are the shipped configuration. The machine itself assigns no class
//! (ASM2-2.1); it is handed this verdict.
//!
//! ```
//! use prospera::audience::classifier::{Class, Classifier, Consent, Profile};
//! use prospera::risk::Risk;
//! let profile = Profile {
//!     identity_strength: Risk::saturating(950_000),
//!     consent: Consent::Implied,
//!     ..Profile::default()
//! };
//! let found = Classifier::default().classify(&profile);
//! assert_eq!(found.class(), Class::B);
//! assert_eq!(found.reasons().len(), 3, "consent, good outcomes and age keep it from A");
//! ```
//!
//! INVARIANT (monotone): more risk, less strength, less consent, less good history or
//! more bad history never gives a better class.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Domain};
use crate::encode::{Encode, Writer, byte_enum};
use crate::risk::Risk;

/// The version this module implements.
pub const CLASSIFIER_VERSION: &str = "1.2";

/// The class of an audience, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Class {
    /// Strong identity, explicit consent, proven history, low risk.
    A,
    /// Known well enough for what is not privileged.
    B,
    /// Everybody else: limited access (ASM2-3.5).
    C,
}

impl Class {
    /// All classes, best first.
    pub const ALL: [Self; 3] = [Self::A, Self::B, Self::C];

    /// The class's letter.
    pub const fn name(self) -> &'static str {
        match self {
            Self::A => "A",
            Self::B => "B",
            Self::C => "C",
        }
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

byte_enum!(Class, "a class", { A = 1, B = 2, C = 3, });

/// What the subject agreed to, in ascending order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Consent {
    /// Taken back.
    Withdrawn,
    /// Never asked.
    #[default]
    None,
    /// Follows from a contract or from use.
    Implied,
    /// Given.
    Explicit,
}

byte_enum!(Consent, "a consent", { Withdrawn = 0, None = 1, Implied = 2, Explicit = 3, });

/// What is known of a subject when it is classified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Profile {
    /// How surely the subject is who it claims to be.
    pub identity_strength: Risk,
    /// What the subject agreed to.
    pub consent: Consent,
    /// Routes that ended well.
    pub good_outcomes: u32,
    /// Routes that ended in a denial for cause, a hold or an escalation.
    pub bad_outcomes: u32,
    /// Whole days since the audience's first record.
    pub age_days: u32,
    /// The predicted risk.
    pub risk: Risk,
}

impl Profile {
    /// The share of bad outcomes, rounded up; none without history.
    pub fn bad_share(&self) -> Risk {
        let total = u64::from(self.good_outcomes) + u64::from(self.bad_outcomes);
        let scaled = u64::from(self.bad_outcomes) * u64::from(Risk::MAX.ppm());
        Risk::saturating(if total == 0 { 0 } else { scaled.div_ceil(total) })
    }
}

/// The thresholds of one class.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Criteria {
    /// Least identity strength.
    pub min_identity_strength: Risk,
    /// Least consent.
    pub min_consent: Consent,
    /// Fewest good outcomes.
    pub min_good_outcomes: u32,
    /// Largest share of bad outcomes.
    pub max_bad_share: Risk,
    /// Least age in days.
    pub min_age_days: u32,
    /// Highest risk.
    pub max_risk: Risk,
}

/// The thresholds of the classes; what a configuration file holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Thresholds {
    /// Always `1.2`.
    pub version: String,
    /// Class A.
    pub a: Criteria,
    /// Class B.
    pub b: Criteria,
}

impl Default for Thresholds {
    fn default() -> Self {
        Self {
            version: CLASSIFIER_VERSION.into(),
            a: Criteria {
                min_identity_strength: Risk::saturating(900_000),
                min_consent: Consent::Explicit,
                min_good_outcomes: 20,
                max_bad_share: Risk::saturating(20_000),
                min_age_days: 30,
                max_risk: Risk::saturating(200_000),
            },
            b: Criteria {
                min_identity_strength: Risk::saturating(500_000),
                min_consent: Consent::Implied,
                min_good_outcomes: 0,
                max_bad_share: Risk::saturating(100_000),
                min_age_days: 0,
                max_risk: Risk::saturating(600_000),
            },
        }
    }
}

/// Thresholds that make no classifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClassifierError {
    /// The configuration is of another version.
    #[error("expected classifier version {CLASSIFIER_VERSION}, found `{found}`")]
    Version {
        /// The version found.
        found: String,
    },
    /// A criterion of Class A is looser than that of Class B.
    #[error("class A must be at least as strict as class B, but its {criterion} is looser")]
    Order {
        /// The criterion.
        criterion: Criterion,
    },
}

/// One of the six criteria.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Criterion {
    /// Identity strength.
    IdentityStrength,
    /// Consent.
    Consent,
    /// Number of good outcomes.
    GoodOutcomes,
    /// Share of bad outcomes.
    BadShare,
    /// Age in days.
    Age,
    /// Risk.
    Risk,
}

impl Criterion {
    /// The criterion's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::IdentityStrength => "identity strength",
            Self::Consent => "consent",
            Self::GoodOutcomes => "number of good outcomes",
            Self::BadShare => "share of bad outcomes",
            Self::Age => "age in days",
            Self::Risk => "risk",
        }
    }

    /// Whether the criterion is an upper bound.
    const fn is_upper(self) -> bool {
        matches!(self, Self::BadShare | Self::Risk)
    }
}

impl fmt::Display for Criterion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a class was missed: one criterion, what it asks for and what was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Shortfall {
    /// The class that was missed.
    pub class: Class,
    /// The criterion.
    pub criterion: Criterion,
    /// The threshold (ppm, count, days, or the consent's number).
    pub required: u32,
    /// What was found, in the same unit.
    pub found: u32,
}

impl fmt::Display for Shortfall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bound = if self.criterion.is_upper() { "at most" } else { "at least" };
        write!(
            f,
            "class {} asks for {} {bound} {}, found {}",
            self.class, self.criterion, self.required, self.found
        )
    }
}

/// The classifier: checked thresholds and their digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classifier {
    a: Criteria,
    b: Criteria,
    digest: Digest,
}

impl Classifier {
    /// A classifier with these thresholds.
    ///
    /// # Errors
    /// [`ClassifierError`] for another version, or when Class A is not at least as
    /// strict as Class B in each criterion.
    pub fn new(thresholds: &Thresholds) -> Result<Self, ClassifierError> {
        if thresholds.version != CLASSIFIER_VERSION {
            return Err(ClassifierError::Version { found: thresholds.version.clone() });
        }
        let (a, b) = (thresholds.a, thresholds.b);
        for ((criterion, strict), (_, loose)) in a.numbers().into_iter().zip(b.numbers()) {
            if !criterion.meets(strict, loose) {
                return Err(ClassifierError::Order { criterion });
            }
        }
        Ok(Self::checked(a, b))
    }

    fn checked(a: Criteria, b: Criteria) -> Self {
        let mut classifier = Self { a, b, digest: Digest::ZERO };
        classifier.digest = Domain::Classifier.hash(&classifier.to_canonical());
        classifier
    }

    /// The digest of version and thresholds.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The class alone: what [`Classifier::classify`] finds, without the reasons and
    /// without an allocation.
    pub fn verdict(&self, profile: &Profile) -> ClassVerdict {
        let class = if self.a.met(profile) {
            Class::A
        } else if self.b.met(profile) {
            Class::B
        } else {
            Class::C
        };
        ClassVerdict { class, digest: self.digest }
    }

    /// Classifies a subject. The reasons say what keeps it from each better class.
    pub fn classify(&self, profile: &Profile) -> Classification {
        let mut reasons = Vec::new();
        let mut class = Class::C;
        for (candidate, criteria) in [(Class::A, &self.a), (Class::B, &self.b)] {
            let before = reasons.len();
            criteria.shortfalls(candidate, profile, &mut reasons);
            if reasons.len() == before {
                class = candidate;
                break;
            }
        }
        Classification { class, reasons, digest: self.digest }
    }
}

impl Default for Classifier {
    fn default() -> Self {
        let shipped = Thresholds::default();
        Self::checked(shipped.a, shipped.b)
    }
}

impl Encode for Classifier {
    fn encode(&self, out: &mut Writer) {
        out.text(CLASSIFIER_VERSION).value(&self.a).value(&self.b);
    }
}

impl Encode for Criteria {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.min_identity_strength)
            .value(&self.min_consent)
            .u32(self.min_good_outcomes)
            .value(&self.max_bad_share)
            .u32(self.min_age_days)
            .value(&self.max_risk);
    }
}

impl Criteria {
    fn numbers(&self) -> [(Criterion, u32); 6] {
        [
            (Criterion::IdentityStrength, self.min_identity_strength.ppm()),
            (Criterion::Consent, self.min_consent as u32),
            (Criterion::GoodOutcomes, self.min_good_outcomes),
            (Criterion::BadShare, self.max_bad_share.ppm()),
            (Criterion::Age, self.min_age_days),
            (Criterion::Risk, self.max_risk.ppm()),
        ]
    }

    /// Every criterion with what it asks for and what was found.
    fn compared(&self, profile: &Profile) -> impl Iterator<Item = (Criterion, u32, u32)> + use<> {
        let found = [
            profile.identity_strength.ppm(),
            profile.consent as u32,
            profile.good_outcomes,
            profile.bad_share().ppm(),
            profile.age_days,
            profile.risk.ppm(),
        ];
        let numbers = self.numbers().into_iter().zip(found);
        numbers.map(|((criterion, required), found)| (criterion, required, found))
    }

    fn met(&self, profile: &Profile) -> bool {
        self.compared(profile).all(|(criterion, required, found)| criterion.meets(found, required))
    }

    fn shortfalls(&self, class: Class, profile: &Profile, out: &mut Vec<Shortfall>) {
        let missed = self.compared(profile);
        let missed =
            missed.filter(|(criterion, required, found)| !criterion.meets(*found, *required));
        out.extend(missed.map(|(criterion, required, found)| Shortfall {
            class,
            criterion,
            required,
            found,
        }));
    }
}

impl Criterion {
    const fn meets(self, found: u32, required: u32) -> bool {
        if self.is_upper() { found <= required } else { found >= required }
    }
}

/// A class with its reasons and the digest of the classifier that found it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Classification {
    class: Class,
    reasons: Vec<Shortfall>,
    digest: Digest,
}

impl Classification {
    /// The class.
    pub const fn class(&self) -> Class {
        self.class
    }

    /// What kept the subject from each better class; empty for Class A.
    pub fn reasons(&self) -> &[Shortfall] {
        &self.reasons
    }

    /// The classifier's digest.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The verdict for the gate.
    pub const fn verdict(&self) -> ClassVerdict {
        ClassVerdict { class: self.class, digest: self.digest }
    }
}

/// The classifier's verdict for the gate (D-4); minted by [`Classification::verdict`] alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClassVerdict {
    class: Class,
    digest: Digest,
}

impl ClassVerdict {
    /// The class.
    pub const fn class(&self) -> Class {
        self.class
    }

    /// The classifier's digest.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}

#[cfg(test)]
mod tests;
