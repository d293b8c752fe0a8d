//! The Safety Envelope v2.0: dimensions × thresholds → one decision (ASM2-4.10, PLAN-4.5.2).
//!
//! Each dimension's risk is held against three thresholds: at or above `limit`
//! Protected Mode, at or above `hold` a person's judgement, at or above `block`
//! nothing. The overall risk is held against three of its own. The strictest
//! answer is the envelope's.
//!
//! The **overall risk** is the highest dimension, or the noisy-or of all dimensions
//! each scaled by its share, whichever is more: many middling dimensions add up, and
//! no dimension is diluted by the others.
//!
//! INVARIANT (monotone): a raised signal never loosens the decision.
//!
//! ```
//! use prospera::risk::Risk;
//! use prospera::safety::{Envelope, RiskSource, Signals};
//! use prospera::verdict::EnvelopeDecision;
//!
//! let envelope = Envelope::default();
//! let mut signals = Signals::UNKNOWN;
//! for source in RiskSource::ALL {
//!     signals = signals.with(source, Some(Risk::ZERO));
//! }
//! assert_eq!(envelope.assess(&signals).decision(), EnvelopeDecision::Allow);
//! let worse = signals.with(RiskSource::IdentityAnomaly, Some(Risk::MAX));
//! assert_eq!(envelope.assess(&worse).decision(), EnvelopeDecision::Block);
//! ```
//!
//! Requirements: PLAN-3.5, PLAN-5.6.1.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use crate::digest::{Digest, Domain};
use crate::encode::Encode;
use crate::id::{KindId, RuleId};
use crate::risk::Risk;
use crate::safety::dimension::{Contribution, DIMENSIONS, Dimension, SOURCES, SPANS, Signals};
use crate::safety::parts::{Bounds, EnvelopeParts, Thresholds};
use crate::verdict::{EnvelopeDecision, EnvelopeVerdict, Reason, ReasonCode};

/// The envelope version this crate reads.
pub const ENVELOPE_VERSION: &str = "2.0";

/// What is wrong with an envelope.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EnvelopeError {
    /// Another version.
    #[error("expected envelope version `{ENVELOPE_VERSION}`, found `{found}`")]
    Version {
        /// The version.
        found: String,
    },
    /// Thresholds out of order.
    #[error(
        "expected limit <= hold <= block in `{place}`, found {limit}, {hold}, {block}",
        limit = thresholds.limit, hold = thresholds.hold, block = thresholds.block
    )]
    Order {
        /// The dimension, or `overall`.
        place: &'static str,
        /// The thresholds.
        thresholds: Thresholds,
    },
    /// Two rules of one id.
    #[error("expected one rule `{id}`, found two")]
    Duplicate {
        /// The id.
        id: RuleId,
    },
    /// A rule that would do nothing, or match everything.
    #[error("rule `{id}`: expected {expected}")]
    Rule {
        /// The id.
        id: RuleId,
        /// What it needs.
        expected: &'static str,
    },
}

/// The Safety Envelope v2.0: checked, immutable, digested.
///
/// INVARIANT (digest): two envelopes with the same digest decide alike; the order of
/// rules in a file does not matter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    pub(super) parts: EnvelopeParts,
    digest: Digest,
}

impl Default for Envelope {
    /// The envelope this crate ships; its file form is documented in [`crate::safety`].
    fn default() -> Self {
        Self::seal(EnvelopeParts::default())
    }
}

impl Envelope {
    /// Checks the parts.
    ///
    /// # Errors
    /// [`EnvelopeError`]: another version, thresholds out of order, an id used twice, or
    /// a rule that takes nothing away or forbids everything.
    pub fn new(mut parts: EnvelopeParts) -> Result<Self, EnvelopeError> {
        if parts.version != ENVELOPE_VERSION {
            return Err(EnvelopeError::Version { found: parts.version });
        }
        parts.overall.checked("overall")?;
        for (dimension, bounds) in Dimension::ALL.iter().zip(&parts.dimensions) {
            bounds.thresholds.checked(dimension.name())?;
        }
        parts.limits.sort_by(|a, b| a.0.cmp(&b.0));
        parts.forbidden.sort_by(|a, b| a.0.cmp(&b.0));
        let mut ids = BTreeSet::new();
        let limit_ids = parts.limits.iter().map(|(id, _)| id);
        for id in limit_ids.chain(parts.forbidden.iter().map(|(id, _)| id)) {
            if !ids.insert(id) {
                return Err(EnvelopeError::Duplicate { id: id.clone() });
            }
        }
        for (id, rule) in &parts.limits {
            if rule.drop_arguments.is_empty() && rule.exclude_modules.is_empty() && !rule.read_only
            {
                let expected = "`drop_arguments`, `exclude_modules` or `read_only`";
                return Err(EnvelopeError::Rule { id: id.clone(), expected });
            }
        }
        for (id, route) in &parts.forbidden {
            route.checked().map_err(|expected| EnvelopeError::Rule { id: id.clone(), expected })?;
        }
        Ok(Self::seal(parts))
    }

    fn seal(parts: EnvelopeParts) -> Self {
        Self { digest: Domain::Envelope.hash(&parts.to_canonical()), parts }
    }

    /// Kinds that its rules name and the catalogue does not have, each with its rule:
    /// `catalogue` gives the kinds that exist.
    pub fn unknown_kinds<'a>(
        &self,
        catalogue: impl IntoIterator<Item = &'a str>,
    ) -> Vec<(RuleId, KindId)> {
        let known: BTreeSet<&str> = catalogue.into_iter().collect();
        let limits = self.parts.limits.iter().map(|(id, rule)| (id, rule.kinds.as_ref()));
        let forbidden = self.parts.forbidden.iter().map(|(id, rule)| (id, rule.kinds.as_ref()));
        let named = limits.chain(forbidden);
        let kinds = named.flat_map(|(id, kinds)| kinds.into_iter().flatten().map(move |k| (id, k)));
        let unknown = kinds.filter(|(_, kind)| !known.contains(kind.as_str()));
        unknown.map(|(id, kind)| (id.clone(), kind.clone())).collect()
    }

    /// The digest of everything it decides by.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Its parts.
    pub const fn parts(&self) -> &EnvelopeParts {
        &self.parts
    }

    /// Scores all dimensions and decides. Total, deterministic, no allocation.
    pub fn assess(&self, signals: &Signals) -> Assessment {
        let parts = &self.parts;
        let mut contributions = Contribution::NONE;
        for ((part, signal), weight) in contributions.iter_mut().zip(&signals.0).zip(&parts.weights)
        {
            part.value = signal.unwrap_or(parts.unknown);
            part.unknown = signal.is_none();
            part.weight = *weight;
            part.contribution = part.value.scale(*weight);
        }
        let mut risks = [Risk::ZERO; DIMENSIONS];
        let (mut highest, mut joint) = (Risk::ZERO, Risk::ZERO);
        let mut decision = EnvelopeDecision::Allow;
        for ((risk, bounds), (from, count)) in risks.iter_mut().zip(&parts.dimensions).zip(SPANS) {
            let of = contributions.get(from..from + count).unwrap_or_default();
            *risk = bounds.combine.apply(of);
            highest = highest.max(*risk);
            joint = joint.or(risk.scale(bounds.share));
            decision = decision.max(bounds.thresholds.decide(*risk));
        }
        let overall = highest.max(joint);
        decision = decision.max(parts.overall.decide(overall));
        Assessment { risks, contributions, overall, decision }
    }

    /// The bounds of one dimension.
    pub fn bounds(&self, dimension: Dimension) -> &Bounds {
        let [first, ..] = &self.parts.dimensions;
        self.parts.dimensions.get(dimension as usize).unwrap_or(first)
    }

    /// The verdict for the audience's gate, bound to this envelope's digest.
    ///
    /// INVARIANT (one mint): called by the Safety System alone.
    pub(super) fn verdict(&self, decision: EnvelopeDecision) -> EnvelopeVerdict {
        EnvelopeVerdict::mint(decision, self.digest)
    }

    /// Whether a dimension's risk reached at least its limit.
    pub(super) fn limited(&self, assessment: &Assessment, dimension: Dimension) -> bool {
        self.bounds(dimension).thresholds.decide(assessment.risk(dimension))
            >= EnvelopeDecision::Limit
    }

    /// Why: one reason per threshold reached, then one per dimension above zero.
    pub fn explain(&self, assessment: &Assessment) -> Vec<Reason> {
        let mut reasons = Vec::new();
        let overall = ("overall", assessment.overall, &self.parts.overall);
        let each =
            Dimension::ALL.map(|d| (d.name(), assessment.risk(d), &self.bounds(d).thresholds));
        for (place, risk, thresholds) in core::iter::once(overall).chain(each) {
            let decision = thresholds.decide(risk);
            let code = match decision {
                EnvelopeDecision::Allow => continue,
                EnvelopeDecision::Limit => ReasonCode::RiskLimit,
                EnvelopeDecision::Hold => ReasonCode::RiskHold,
                EnvelopeDecision::Block => ReasonCode::RiskBlock,
            };
            let threshold = thresholds.threshold(decision);
            reasons
                .push(Reason::new(code).detail(format!("{place} {risk}, threshold {threshold}")));
        }
        reasons.extend(assessment.reasons());
        reasons
    }
}

/// What the envelope found: every score with its parts, in fixed arrays.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Assessment {
    risks: [Risk; DIMENSIONS],
    contributions: [Contribution; SOURCES],
    overall: Risk,
    decision: EnvelopeDecision,
}

impl Assessment {
    /// The risk in one dimension.
    pub fn risk(&self, dimension: Dimension) -> Risk {
        self.risks.get(dimension as usize).copied().unwrap_or(Risk::MAX)
    }

    /// The overall risk.
    pub const fn overall(&self) -> Risk {
        self.overall
    }

    /// The envelope's decision.
    pub const fn decision(&self) -> EnvelopeDecision {
        self.decision
    }

    /// What each source added.
    pub const fn contributions(&self) -> &[Contribution; SOURCES] {
        &self.contributions
    }

    /// The scores as reasons: the overall risk, then each dimension above zero with its sources.
    pub fn reasons(&self) -> Vec<Reason> {
        let scored = |detail: String| Reason::new(ReasonCode::RiskScored).detail(detail);
        let mut reasons = alloc::vec![scored(format!("overall {}", self.overall))];
        for dimension in Dimension::ALL {
            let risk = self.risk(dimension);
            if risk == Risk::ZERO {
                continue;
            }
            let mut detail = format!("{dimension} {risk}");
            let parts = self
                .contributions
                .iter()
                .filter(|p| p.source.dimension() == dimension && p.contribution > Risk::ZERO);
            for (i, part) in parts.enumerate() {
                let joint = if i == 0 { ": " } else { "; " };
                // Writing to a text cannot fail.
                let _ = write!(detail, "{joint}{part}");
            }
            reasons.push(scored(detail));
        }
        reasons
    }
}
