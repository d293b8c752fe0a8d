//! What a Safety Envelope is made of, before it is checked.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::string::String;
use alloc::vec::Vec;

use crate::encode::{Encode, Writer};
use crate::id::{KindId, ModuleId, RuleId};
use crate::provenance::Sensitivity;
use crate::risk::Risk;
use crate::safety::dimension::{Combine, DIMENSIONS, Dimension, RiskSource, SOURCES};
use crate::safety::envelope::{ENVELOPE_VERSION, EnvelopeError};
use crate::safety::forbidden::ForbiddenRoute;
use crate::verdict::{EnvelopeDecision, SafetyFlags};

/// Three thresholds in ascending order; each is reached at its own value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// From here on Protected Mode.
    pub limit: Risk,
    /// From here on a person's judgement.
    pub hold: Risk,
    /// From here on nothing.
    pub block: Risk,
}

impl Thresholds {
    /// The decision at this risk.
    pub fn decide(&self, risk: Risk) -> EnvelopeDecision {
        if risk >= self.block {
            EnvelopeDecision::Block
        } else if risk >= self.hold {
            EnvelopeDecision::Hold
        } else if risk >= self.limit {
            EnvelopeDecision::Limit
        } else {
            EnvelopeDecision::Allow
        }
    }

    pub(super) fn threshold(&self, decision: EnvelopeDecision) -> Risk {
        match decision {
            EnvelopeDecision::Allow => Risk::ZERO,
            EnvelopeDecision::Limit => self.limit,
            EnvelopeDecision::Hold => self.hold,
            EnvelopeDecision::Block => self.block,
        }
    }

    pub(super) fn checked(self, place: &'static str) -> Result<(), EnvelopeError> {
        if self.limit <= self.hold && self.hold <= self.block {
            Ok(())
        } else {
            Err(EnvelopeError::Order { place, thresholds: self })
        }
    }
}

impl Encode for Thresholds {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.limit).value(&self.hold).value(&self.block);
    }
}

/// How one dimension is scored and bounded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How its sources combine.
    pub combine: Combine,
    /// How much of it goes into the overall risk.
    pub share: Risk,
    /// Its thresholds.
    pub thresholds: Thresholds,
}

/// What Protected Mode takes away where a dimension reached its limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LimitRule {
    /// Dimensions it is for; empty: every one, and the overall risk.
    pub dimensions: BTreeSet<Dimension>,
    /// Kinds it is for; `None`: every kind.
    pub kinds: Option<BTreeSet<KindId>>,
    /// Flags of which all must be set.
    pub flags_all: SafetyFlags,
    /// Arguments that are left out.
    pub drop_arguments: Vec<Box<str>>,
    /// Modules that may not be used.
    pub exclude_modules: Vec<ModuleId>,
    /// Nothing with an effect.
    pub read_only: bool,
}

/// The parts of an envelope before they are checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvelopeParts {
    /// Must be [`ENVELOPE_VERSION`].
    pub version: String,
    /// What a source counts as when nothing is known of it.
    pub unknown: Risk,
    /// The age at which a fact is fully stale, in milliseconds.
    pub full_age_millis: u64,
    /// The most sensitive value that may leave the organisation.
    pub outflow: Sensitivity,
    /// Thresholds of the overall risk.
    pub overall: Thresholds,
    /// Per dimension, in the order of [`Dimension::ALL`].
    pub dimensions: [Bounds; DIMENSIONS],
    /// Per source, in the order of [`RiskSource::ALL`].
    pub weights: [Risk; SOURCES],
    /// Protected Mode's rules by id.
    pub limits: Vec<(RuleId, LimitRule)>,
    /// The forbidden routes by id.
    pub forbidden: Vec<(RuleId, ForbiddenRoute)>,
}

impl Default for EnvelopeParts {
    fn default() -> Self {
        let at = |limit, hold, block| Thresholds {
            limit: Risk::saturating(limit),
            hold: Risk::saturating(hold),
            block: Risk::saturating(block),
        };
        let bounds =
            |combine, thresholds| Bounds { combine, share: Risk::saturating(250_000), thresholds };
        let (or, max) = (Combine::NoisyOr, Combine::Max);
        Self {
            version: ENVELOPE_VERSION.into(),
            unknown: Risk::saturating(500_000),
            full_age_millis: 30 * 24 * 3_600_000,
            outflow: Sensitivity::Personal,
            overall: at(650_000, 720_000, 800_000),
            dimensions: [
                bounds(or, at(500_000, 650_000, 800_000)),
                bounds(max, at(600_000, 750_000, 950_000)),
                bounds(max, at(600_000, 750_000, 900_000)),
                bounds(max, at(600_000, 750_000, 900_000)),
                bounds(max, at(500_000, 700_000, 900_000)),
                bounds(or, at(650_000, 750_000, 900_000)),
                bounds(max, at(600_000, 800_000, 950_000)),
                bounds(max, at(400_000, 600_000, 900_000)),
            ],
            // Surprise is Governance's to rule on, and an old fact is no crime: by themselves
            // neither reaches the risk that restricts an audience.
            weights: RiskSource::ALL.map(|source| match source {
                RiskSource::Surprise => Risk::saturating(500_000),
                RiskSource::FactAge => Risk::saturating(550_000),
                _ => Risk::MAX,
            }),
            limits: Vec::new(),
            forbidden: Vec::new(),
        }
    }
}

impl Encode for LimitRule {
    fn encode(&self, out: &mut Writer) {
        out.count(self.dimensions.len());
        for dimension in &self.dimensions {
            out.value(dimension);
        }
        encode_kinds(self.kinds.as_ref(), out);
        out.value(&self.flags_all).count(self.drop_arguments.len());
        for name in &self.drop_arguments {
            out.text(name);
        }
        out.list(&self.exclude_modules).bool(self.read_only);
    }
}

pub(super) fn encode_kinds(kinds: Option<&BTreeSet<KindId>>, out: &mut Writer) {
    match kinds {
        None => {
            out.u8(0);
        }
        Some(kinds) => {
            out.u8(1).count(kinds.len());
            for kind in kinds {
                out.value(kind);
            }
        }
    }
}

impl Encode for EnvelopeParts {
    /// Version, unknown, full age, outflow, overall thresholds, per dimension (rule,
    /// share, thresholds), weights, limit rules, forbidden routes; rules in id order.
    fn encode(&self, out: &mut Writer) {
        out.text(&self.version).value(&self.unknown).u64(self.full_age_millis);
        out.value(&self.outflow).value(&self.overall);
        for bounds in &self.dimensions {
            out.value(&bounds.combine).value(&bounds.share).value(&bounds.thresholds);
        }
        for weight in &self.weights {
            out.value(weight);
        }
        out.count(self.limits.len());
        for (id, rule) in &self.limits {
            out.value(id).value(rule);
        }
        out.count(self.forbidden.len());
        for (id, route) in &self.forbidden {
            out.value(id).value(route);
        }
    }
}
