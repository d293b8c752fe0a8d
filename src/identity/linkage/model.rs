//! The model: what each comparison weighs, and which score is too low. Policy.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::field::Field;
use super::score::{FieldScore, IdentityScore, Link};
use crate::digest::{Digest, Domain};
use crate::encode::{Encode, Writer};
use crate::fixed::{Probability, Weight};
use crate::id::Name;
use crate::identity::SessionOpened;
use crate::limits::{LINKAGE_SESSIONS, LINKAGE_TERMS};

/// Why numbers are no model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LinkageError {
    /// Nothing is compared.
    #[error("expected at least one field, found none")]
    NoField,
    /// A field stands in it twice.
    #[error("expected each field once, found `{}` again", field.name())]
    Twice {
        /// The field.
        field: Field,
    },
    /// Another number of probabilities than the field has levels.
    #[error("expected {expected} probabilities for `{}`, found {found}", field.name())]
    Levels {
        /// The field.
        field: Field,
        /// Its number of levels.
        expected: usize,
        /// How many there are.
        found: usize,
    },
    /// The probabilities of a field are not those of one thing that happens.
    #[error(
        "expected the probabilities of `{}` to be above 0 and to add up to {}, found {found}",
        field.name(),
        Probability::ONE.units()
    )]
    Sum {
        /// The field.
        field: Field,
        /// Their sum, 0 where one of them is 0.
        found: u64,
    },
    /// A level weighs more than one that agrees better.
    #[error(
        "expected level `{}` of `{}` to weigh no more than the one before it",
        level_name(*field, *level),
        field.name()
    )]
    Order {
        /// The field.
        field: Field,
        /// The level.
        level: u8,
    },
    /// Shares of values where no value can be common, or shares of nothing, or too many.
    #[error("expected at most {LINKAGE_TERMS} shares above 0 of values of `{}`", field.name())]
    Terms {
        /// The field.
        field: Field,
    },
    /// Before anything is compared the matter is decided.
    #[error("expected a prior between 0 and 1, found {found}")]
    Prior {
        /// The prior.
        found: Probability,
    },
    /// Compared with no session, or with too many.
    #[error("expected 1 to {LINKAGE_SESSIONS} sessions to compare with, found {found}")]
    Sessions {
        /// The number.
        found: usize,
    },
    /// The threshold that escalates is above the one that holds.
    #[error("expected escalation at or below {hold} bits, found {found}")]
    Thresholds {
        /// Below this a session is inconsistent.
        hold: Weight,
        /// Below this it was to be a mismatch.
        found: Weight,
    },
}

/// Weights as close as this count as equal: shares are rounded.
const SLACK: Weight = Weight::from_raw(1 << 28);

fn level_name(field: Field, level: u8) -> &'static str {
    field.levels().get(usize::from(level)).copied().unwrap_or("unknown")
}

/// How common values are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// The share of each common value.
    pub shares: BTreeMap<Name, Probability>,
    /// The share of a value that is not among them.
    pub rest: Probability,
}

/// What the comparisons of one field weigh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldModel {
    /// The field.
    pub field: Field,
    /// For each level: how often two sessions of one person compare like this.
    pub m: Vec<Probability>,
    /// For each level: how often two sessions of different people do.
    pub u: Vec<Probability>,
    /// How common its values are, where that is known.
    pub terms: Option<Terms>,
}

impl FieldModel {
    fn check(&self) -> Result<(), LinkageError> {
        let (field, expected) = (self.field, self.field.levels().len());
        for probabilities in [&self.m, &self.u] {
            if probabilities.len() != expected {
                let found = probabilities.len();
                return Err(LinkageError::Levels { field, expected, found });
            }
            let empty = probabilities.contains(&Probability::ZERO);
            let sum: u64 = probabilities.iter().map(|p| p.units()).sum();
            if empty || sum != Probability::ONE.units() {
                return Err(LinkageError::Sum { field, found: if empty { 0 } else { sum } });
            }
        }
        for level in 1..expected {
            let level = u8::try_from(level).unwrap_or(u8::MAX);
            if self.weight(level) > self.weight(level.saturating_sub(1)) + SLACK {
                return Err(LinkageError::Order { field, level });
            }
        }
        if let Some(terms) = &self.terms {
            let zero = terms.rest == Probability::ZERO
                || terms.shares.values().any(|share| *share == Probability::ZERO);
            if zero || terms.shares.len() > LINKAGE_TERMS || !field.has_terms() {
                return Err(LinkageError::Terms { field });
            }
        }
        Ok(())
    }

    fn at(&self, level: u8) -> (Probability, Probability) {
        let of = |p: &[Probability]| p.get(usize::from(level)).copied().unwrap_or_default();
        (of(&self.m), of(&self.u))
    }

    /// The weight of a level.
    pub fn weight(&self, level: u8) -> Weight {
        let (m, u) = self.at(level);
        Weight::ratio(m, u)
    }

    /// What agreeing on this very value adds: nothing below full agreement, and never so
    /// little that agreeing less would have weighed more.
    fn adjustment(&self, level: u8, value: Option<&Name>) -> Weight {
        let Some((terms, value)) = self.terms.as_ref().zip(value).filter(|_| level == 0) else {
            return Weight::ZERO;
        };
        let share = terms.shares.get(value).copied().unwrap_or(terms.rest);
        let least = self.weight(1) - self.weight(0);
        Weight::ratio(self.at(0).1, share).max(least)
    }

    fn score(&self, new: &SessionOpened, earlier: &SessionOpened) -> Option<FieldScore> {
        let level = self.field.compare(new, earlier)?;
        let (m, u) = self.at(level);
        let adjustment = self.adjustment(level, self.field.term(new));
        Some(FieldScore { field: self.field, level, m, u, adjustment })
    }
}

impl Encode for FieldModel {
    fn encode(&self, out: &mut Writer) {
        out.value(&self.field);
        for probabilities in [&self.m, &self.u] {
            out.count(probabilities.len());
            for probability in probabilities {
                out.u64(probability.units());
            }
        }
        out.bool(self.terms.is_some());
        if let Some(terms) = &self.terms {
            out.u64(terms.rest.units()).count(terms.shares.len());
            for (value, share) in &terms.shares {
                out.value(value).u64(share.units());
            }
        }
    }
}

/// A linkage model. Immutable; one of the parts of a policy set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linkage {
    rules: LinkageBuilder,
    digest: Digest,
}

/// Puts a [`Linkage`] together.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use = "a builder does nothing until it builds"]
pub struct LinkageBuilder {
    /// The model's version.
    pub version: Name,
    /// How likely a session is its subject's own, before anything is compared.
    pub prior: Probability,
    /// With how many earlier sessions a new one is compared.
    pub sessions: usize,
    /// A score below this is inconsistent (ASM2-8.1).
    pub hold_below: Weight,
    /// A score below this is a mismatch (ASM2-7.5). `None`: none is.
    pub escalate_below: Option<Weight>,
    /// What is compared.
    pub fields: Vec<FieldModel>,
}

impl LinkageBuilder {
    /// The model.
    ///
    /// # Errors
    /// [`LinkageError`] with the first number that cannot be.
    pub fn build(mut self) -> Result<Linkage, LinkageError> {
        self.fields.sort_by_key(|model| model.field);
        if self.fields.is_empty() {
            return Err(LinkageError::NoField);
        }
        let mut pairs = self.fields.iter().zip(self.fields.iter().skip(1));
        if let Some((model, _)) = pairs.find(|(one, next)| one.field == next.field) {
            return Err(LinkageError::Twice { field: model.field });
        }
        for model in &self.fields {
            model.check()?;
        }
        if self.prior == Probability::ZERO || self.prior == Probability::ONE {
            return Err(LinkageError::Prior { found: self.prior });
        }
        if !(1..=LINKAGE_SESSIONS).contains(&self.sessions) {
            return Err(LinkageError::Sessions { found: self.sessions });
        }
        if let Some(found) = self.escalate_below.filter(|below| *below > self.hold_below) {
            return Err(LinkageError::Thresholds { hold: self.hold_below, found });
        }
        let mut linkage = Linkage { rules: self, digest: Digest::ZERO };
        linkage.digest = Domain::Policy.hash(&linkage.to_canonical());
        Ok(linkage)
    }
}

impl Linkage {
    /// Its parts.
    pub const fn parts(&self) -> &LinkageBuilder {
        &self.rules
    }

    /// Its digest, in [`Domain::Policy`].
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// With how many earlier sessions a new one is compared.
    pub const fn sessions(&self) -> usize {
        self.rules.sessions
    }

    /// The score of a session that is being opened against earlier ones of its subject, the
    /// oldest first: that of the best of the last [`Linkage::sessions`], the latest of
    /// equals.
    pub fn score<'e>(
        &self,
        new: &SessionOpened,
        earlier: impl IntoIterator<Item = &'e SessionOpened>,
    ) -> IdentityScore {
        let mut compared = 0_u32;
        let mut best: Option<(Weight, Link)> = None;
        let earlier: Vec<_> = earlier.into_iter().collect();
        let skipped = earlier.len().saturating_sub(self.rules.sessions);
        for earlier in earlier.into_iter().skip(skipped) {
            let link = self.compare(new, earlier);
            let total = link.total();
            compared = compared.saturating_add(1);
            if best.as_ref().is_none_or(|(most, _)| total >= *most) {
                best = Some((total, link));
            }
        }
        IdentityScore {
            session: new.claims.session.clone(),
            model: self.digest,
            hold_below: self.rules.hold_below,
            escalate_below: self.rules.escalate_below,
            compared,
            link: best.map(|(_, link)| link),
        }
    }

    /// The comparison of a session with one earlier session.
    pub fn compare(&self, new: &SessionOpened, earlier: &SessionOpened) -> Link {
        Link {
            with: earlier.claims.session.clone(),
            prior: self.rules.prior,
            fields: self.rules.fields.iter().filter_map(|f| f.score(new, earlier)).collect(),
        }
    }
}

impl Encode for Linkage {
    /// The text `linkage v1`, version, prior (`u64`), sessions (`u64`), the threshold of
    /// a hold, optionally that of an escalation (`u64` each, two's complement, 2^-48 bit);
    /// the fields in order: field, m and u (lists of `u64`), optionally the shares: rest,
    /// then value and share of each.
    fn encode(&self, out: &mut Writer) {
        let rules = &self.rules;
        out.text("linkage v1").value(&rules.version).u64(rules.prior.units());
        out.u64(rules.sessions as u64).u64(rules.hold_below.raw().cast_unsigned());
        out.bool(rules.escalate_below.is_some());
        if let Some(below) = rules.escalate_below {
            out.u64(below.raw().cast_unsigned());
        }
        out.list(&rules.fields);
    }
}
