//! Estimating a model from the sessions of a log.
//!
//! | | from |
//! |---|---|
//! | `u` | all pairs of a random sample of subjects, one random session of each: two different people, compared by chance |
//! | shares of values | the same sample: how many of the subjects have the value |
//! | `m`, prior | each session with the ones before it of its subject (expectation and maximization) |
//!
//! The share of matches that is found is not taken for a prior as it is: of a log in which
//! nothing was ever stolen it is one, to ten digits, and no evidence would weigh against it.
//! The prior is never above what so many pairs can say (`(n + 1) / (n + 2)`, Laplace's rule
//! of succession), nor above 0.999.
//!
//! A subject counts once in the sample, however many sessions it has: a device that one
//! person uses a thousand times is not common. Pairs of one subject may be of two people,
//! where a session was stolen; how many are is what the prior says.
//!
//! Randomness is a seed (D-41): the same sessions in the same order with the same seed give
//! the same model.
//!
//! ```
//! use prospera::identity::linkage::estimate::{Estimator, EstimateError};
//! let estimator = Estimator::new(7);
//! assert!(matches!(estimator.finish("2026-11".parse()?), Err(EstimateError::Pairs { .. })));
//! # Ok::<(), prospera::id::NameError>(())
//! ```

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use super::em::{EmError, NOTHING, Patterns, Settings, fit, ordered};
use super::field::Field;
use super::model::{FieldModel, Linkage, LinkageBuilder, LinkageError, Terms};
use crate::fixed::{Probability, Weight};
use crate::id::Name;
use crate::identity::SessionOpened;
use crate::limits::LINKAGE_TERMS;

/// Sessions that a session is compared with, before it.
const BEFORE: usize = 8;
/// Subjects in the sample.
const SAMPLE: usize = 2048;
/// Fewest pairs of one subject that anything is learnt from.
const FEWEST: u64 = 30;
/// Fewest subjects in the sample.
const SUBJECTS: usize = 10;

/// Most that a prior is worth, whatever was found: one session in a thousand is another's.
const SUREST: Probability = match Probability::new(999_000_000_000_000) {
    Some(surest) => surest,
    None => Probability::ZERO,
};

/// With how many sessions the model compares a new one.
const SESSIONS: usize = 32;
/// Below these the model holds and escalates: at one to one, and at one to a thousand.
const HOLD_BELOW: i64 = 0;
const ESCALATE_BELOW: i64 = -10_000;

/// Takes in sessions, subject by subject.
#[derive(Debug)]
#[must_use = "`finish` gives the model"]
pub struct Estimator {
    random: Random,
    before: VecDeque<SessionOpened>,
    drawn: Option<SessionOpened>,
    of_subject: u64,
    subjects: u64,
    sample: Vec<SessionOpened>,
    pairs: Patterns,
}

/// A model and what it was made from.
#[derive(Debug)]
pub struct Estimate {
    /// The model.
    pub linkage: Linkage,
    /// Subjects that were seen.
    pub subjects: u64,
    /// Subjects in the sample.
    pub sample: usize,
    /// Pairs of one subject.
    pub pairs: u64,
    /// Pairs of different subjects.
    pub chance: u64,
    /// After how many rounds the numbers came to rest.
    pub rounds: u32,
    /// Fields that were left out: two sessions of one subject never differ in them, because
    /// nobody's do, or because the subject decides them. Either way agreement is no evidence.
    pub left_out: Vec<Field>,
    /// Fields with levels that were pooled, because a worse one weighed more.
    pub pooled: Vec<Field>,
}

/// Why there is no model.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EstimateError {
    /// Too few pairs of sessions of one subject, or too few subjects.
    #[error(
        "expected at least {FEWEST} pairs of sessions of one subject and {SUBJECTS} subjects, \
         found {pairs} and {subjects}"
    )]
    Pairs {
        /// The pairs.
        pairs: u64,
        /// The subjects.
        subjects: usize,
    },
    /// The estimation found something else than was looked for.
    #[error(transparent)]
    Em(#[from] EmError),
    /// Nothing tells people apart.
    #[error(transparent)]
    Model(#[from] LinkageError),
}

impl Estimator {
    /// Nothing seen yet.
    pub fn new(seed: u64) -> Self {
        Self {
            random: Random(seed),
            before: VecDeque::new(),
            drawn: None,
            of_subject: 0,
            subjects: 0,
            sample: Vec::new(),
            pairs: Patterns::new(Field::ALL.iter().map(|field| field.levels().len()).collect()),
        }
    }

    /// Takes the next session of the subject at hand.
    pub fn session(&mut self, opened: SessionOpened) {
        for earlier in &self.before {
            // Beyond the bound nothing more is learnt.
            let _counted = self.pairs.add(&pattern(&opened, earlier), 1);
        }
        self.of_subject = self.of_subject.saturating_add(1);
        if self.random.below(self.of_subject) == 0 {
            self.drawn = Some(opened.clone());
        }
        if self.before.len() == BEFORE {
            self.before.pop_front();
        }
        self.before.push_back(opened);
    }

    /// The sessions that follow are another subject's.
    pub fn next_subject(&mut self) {
        self.before.clear();
        self.of_subject = 0;
        let Some(drawn) = self.drawn.take() else { return };
        self.subjects = self.subjects.saturating_add(1);
        if self.sample.len() < SAMPLE {
            self.sample.push(drawn);
            return;
        }
        let place = usize::try_from(self.random.below(self.subjects)).unwrap_or(usize::MAX);
        if let Some(kept) = self.sample.get_mut(place) {
            *kept = drawn;
        }
    }

    /// The model of what was seen, under this version.
    ///
    /// # Errors
    /// [`EstimateError`].
    pub fn finish(mut self, version: Name) -> Result<Estimate, EstimateError> {
        self.next_subject();
        let (pairs, subjects) = (self.pairs.pairs(), self.sample.len());
        if pairs < FEWEST || subjects < SUBJECTS {
            return Err(EstimateError::Pairs { pairs, subjects });
        }
        // In what never differs within a subject the subject itself is what agrees: counted as
        // evidence it would make a match of every pair.
        let keep: Vec<bool> = self.pairs.totals().iter().map(|of| differs(of)).collect();
        let (same, chance) = (self.pairs.only(&keep), self.chance().only(&keep));
        let settings = Settings::default();
        let u = chance.shares(settings.smoothing);
        let fit = fit(&same, &u, &settings)?;
        let (mut fields, mut left_out, mut pooled) = (Vec::new(), Vec::new(), Vec::new());
        let mut found = fit.m.iter().zip(u);
        for (field, keep) in Field::ALL.into_iter().zip(keep) {
            let Some((own, u)) = keep.then(|| found.next()).flatten() else {
                left_out.push(field);
                continue;
            };
            let m = ordered(own, &u);
            if m != *own {
                pooled.push(field);
            }
            fields.push(FieldModel { field, m: whole(m), u, terms: terms(field, &self.sample) });
        }
        let linkage = LinkageBuilder {
            version,
            prior: believed(fit.prior, pairs),
            sessions: SESSIONS,
            hold_below: Weight::from_millibits(HOLD_BELOW),
            escalate_below: Some(Weight::from_millibits(ESCALATE_BELOW)),
            fields,
        };
        Ok(Estimate {
            linkage: linkage.build()?,
            subjects: self.subjects,
            sample: subjects,
            pairs,
            chance: chance.pairs(),
            rounds: fit.rounds,
            left_out,
            pooled,
        })
    }

    /// All pairs of the sample.
    fn chance(&self) -> Patterns {
        let mut chance = Patterns::new(Field::ALL.iter().map(|f| f.levels().len()).collect());
        for (place, one) in self.sample.iter().enumerate() {
            for other in self.sample.iter().skip(place + 1) {
                let _counted = chance.add(&pattern(one, other), 1);
            }
        }
        chance
    }
}

/// Pooled shares, rounded down, made to add up to one: what is missing, a few units at most,
/// goes where it keeps the order, to the best level.
fn whole(mut m: Vec<Probability>) -> Vec<Probability> {
    let sum: u64 = m.iter().map(|m| m.units()).sum();
    if let Some(best) = m.first_mut() {
        let units = best.units() + Probability::ONE.units().saturating_sub(sum);
        *best = Probability::new(units).unwrap_or(Probability::ONE);
    }
    m
}

/// The prior that a share of matches among so many pairs is worth.
fn believed(found: Probability, pairs: u64) -> Probability {
    let most = u128::from(pairs);
    let most = Probability::from_parts(most + 1, most + 2).min(SUREST);
    found.min(most)
}

/// Whether there is anything in which two sessions differ.
fn differs(totals: &[u64]) -> bool {
    totals.iter().filter(|total| **total > 0).count() > 1
}

fn pattern(new: &SessionOpened, earlier: &SessionOpened) -> [u8; Field::ALL.len()] {
    Field::ALL.map(|field| field.compare(new, earlier).unwrap_or(NOTHING))
}

/// How common the values of a field are among the subjects of the sample: the most common
/// of those that more than one has, and the share of a single subject for all others.
fn terms(field: Field, sample: &[SessionOpened]) -> Option<Terms> {
    if !field.has_terms() {
        return None;
    }
    let mut counts: BTreeMap<&Name, u64> = BTreeMap::new();
    for value in sample.iter().filter_map(|session| field.term(session)) {
        *counts.entry(value).or_default() += 1;
    }
    let whole: u64 = counts.values().sum();
    if whole == 0 {
        return None;
    }
    let share = |count: u64| Probability::from_parts(count.into(), whole.into());
    let mut common: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 1).collect();
    common.sort_by(|(a, more), (b, less)| less.cmp(more).then(a.cmp(b)));
    let shares = common.into_iter().take(LINKAGE_TERMS);
    Some(Terms {
        shares: shares.map(|(value, count)| (value.clone(), share(count))).collect(),
        rest: share(1),
    })
}

/// Numbers from a seed: `SplitMix64` (Steele, Lea and Flood, OOPSLA 2014).
#[derive(Debug)]
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `end`, which is not 0. That small ones are likelier by one part in
    /// 2^64 / `end` does not matter here.
    fn below(&mut self, end: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(end);
        u64::try_from(wide >> 64).unwrap_or(0)
    }
}
