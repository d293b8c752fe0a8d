//! Estimating `m` and the prior by expectation maximisation, with `u` given.
//!
//! Dempster, Laird and Rubin (1977) for the latent class model of record linkage (Winkler
//! 1988), in integers: the E step adds weights and takes the probability of the odds, the
//! M step divides counts. Deterministic, and the same everywhere (D-41).
//!
//! Left to itself the method finds *some* two classes that explain the agreements, and
//! nothing says that one of them is "the same person": on all pairs of a real data set it
//! finds "the same street", with five times as many matches as there are, four of five
//! wrong. So it is not left to itself:
//!
//! | what goes wrong | what holds against it |
//! |---|---|
//! | a class that is no match | `u` is given, from pairs known to be chance, and never learnt |
//! | matches drown among random pairs | only pairs of one subject are looked at (blocking) |
//! | the classes change places, or the minority is taken for the matches | fewer than half of the pairs matching is an error ([`EmError::Minority`]) |
//! | the blocking decides a field, so that agreement says nothing | fields in which a subject's sessions never differ are left out ([`crate::identity::linkage::estimate`]) |
//! | a level that was never seen weighs infinitely much | `smoothing` adds a part of a pair to each level |
//! | a clean log makes the prior certain, and nothing weighs against it | the prior is bounded ([`crate::identity::linkage::estimate`]) |
//! | few pairs give a level that weighs more than a better one | such levels are pooled ([`ordered`]) |
//!
//! Error: a weight in the E step is off by less than 2^-47 bit for each field, its
//! probability by less than 10^-15 + 2^-47 · fields; `m` of a level with a share of `s`
//! by less than 10^-13 / s relative. That is below 10^-6 bit of its weight wherever a level
//! has a share of 10^-6, one pair in a million, or more.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::fixed::{Probability, Weight};
use crate::limits::LINKAGE_PAIRS;

/// The level of a comparison in which there was nothing to compare.
pub const NOTHING: u8 = u8::MAX;

/// Comparisons, counted: for each field a level, or [`NOTHING`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Patterns {
    levels: Vec<usize>,
    counts: BTreeMap<Box<[u8]>, u64>,
    pairs: u64,
}

impl Patterns {
    /// None yet, of fields with so many levels each.
    pub const fn new(levels: Vec<usize>) -> Self {
        Self { levels, counts: BTreeMap::new(), pairs: 0 }
    }

    /// Counts a comparison `times`. Says whether it was counted: not where it has another
    /// number of fields, a level that its field lacks, or the pairs are too many.
    pub fn add(&mut self, pattern: &[u8], times: u64) -> bool {
        let fits = pattern.len() == self.levels.len()
            && pattern
                .iter()
                .zip(&self.levels)
                .all(|(level, levels)| *level == NOTHING || usize::from(*level) < *levels);
        let pairs = self.pairs.saturating_add(times);
        if !fits || pairs > LINKAGE_PAIRS {
            return false;
        }
        self.pairs = pairs;
        if let Some(count) = self.counts.get_mut(pattern) {
            *count = count.saturating_add(times);
        } else {
            self.counts.insert(pattern.into(), times);
        }
        true
    }

    /// The same pairs, compared by the fields alone for which `keep` is true.
    #[must_use]
    pub fn only(&self, keep: &[bool]) -> Self {
        let kept = |place: &usize| keep.get(*place).copied().unwrap_or(false);
        let levels = self.levels.iter().enumerate().filter(|(place, _)| kept(place));
        let mut out = Self::new(levels.map(|(_, levels)| *levels).collect());
        for (pattern, count) in self.iter() {
            let levels = pattern.iter().enumerate().filter(|(place, _)| kept(place));
            let pattern: Vec<u8> = levels.map(|(_, level)| *level).collect();
            let _counted = out.add(&pattern, count);
        }
        out
    }

    /// How many pairs there are.
    pub const fn pairs(&self) -> u64 {
        self.pairs
    }

    /// The different comparisons with their numbers, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], u64)> {
        self.counts.iter().map(|(pattern, count)| (&**pattern, *count))
    }

    /// For each field, how often each level occurs, as a share of the pairs in which there
    /// was something to compare; `smoothing` as in [`Settings`]. Of random pairs this is `u`.
    pub fn shares(&self, smoothing: Probability) -> Vec<Vec<Probability>> {
        self.count(smoothing, |_| Probability::ONE).0
    }

    /// For each field, how many pairs there are at each level.
    pub fn totals(&self) -> Vec<Vec<u64>> {
        let mut totals: Vec<Vec<u64>> =
            self.levels.iter().map(|levels| alloc::vec![0; *levels]).collect();
        for (pattern, count) in self.iter() {
            for (level, of_field) in pattern.iter().zip(&mut totals) {
                if let Some(total) = of_field.get_mut(usize::from(*level)) {
                    *total = total.saturating_add(count);
                }
            }
        }
        totals
    }

    /// The M step: the shares of levels and the share of matches, each pair counted as much
    /// as it matches.
    fn count(
        &self,
        smoothing: Probability,
        part: impl Fn(&[u8]) -> Probability,
    ) -> (Vec<Vec<Probability>>, Probability) {
        let smoothing = u128::from(smoothing.units());
        let mut sums: Vec<Vec<u128>> =
            self.levels.iter().map(|levels| alloc::vec![smoothing; *levels]).collect();
        let mut matched: u128 = 0;
        for (pattern, count) in self.iter() {
            let weight = u128::from(count) * u128::from(part(pattern).units());
            matched += weight;
            for (level, sums) in pattern.iter().zip(&mut sums) {
                if let Some(sum) = sums.get_mut(usize::from(*level)) {
                    *sum += weight;
                }
            }
        }
        let all = u128::from(self.pairs) * u128::from(Probability::ONE.units());
        (sums.iter().map(|sums| normalised(sums)).collect(), Probability::from_parts(matched, all))
    }
}

/// Shares that add up to exactly one; what rounding leaves goes to the greatest.
fn normalised(sums: &[u128]) -> Vec<Probability> {
    let whole: u128 = sums.iter().sum();
    let mut shares: Vec<Probability> =
        sums.iter().map(|sum| Probability::from_parts(*sum, whole)).collect();
    settle(&mut shares);
    shares
}

/// Makes probabilities add up to exactly one, at the cost of the greatest.
fn settle(shares: &mut [Probability]) {
    let sum: u64 = shares.iter().map(|share| share.units()).sum();
    let one = Probability::ONE.units();
    if let Some(greatest) = shares.iter_mut().max() {
        let units = (greatest.units() + one).saturating_sub(sum);
        *greatest = Probability::new(units).unwrap_or(Probability::ONE);
    }
}

/// Where the estimation starts and when it ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The share of matches to start from.
    pub prior: Probability,
    /// The share of the best level among matches to start from; the others share the rest.
    pub agreement: Probability,
    /// What is added to the count of each level, as a part of a pair.
    pub smoothing: Probability,
    /// It ends when no number changes by more.
    pub tolerance: Probability,
    /// It ends after so many rounds in any case.
    pub rounds: u32,
}

impl Default for Settings {
    /// 0.3; 0.95; half a pair; 10^-9; 200.
    fn default() -> Self {
        Self {
            prior: Probability::from_parts(3, 10),
            agreement: Probability::from_parts(95, 100),
            smoothing: Probability::from_parts(1, 2),
            tolerance: Probability::from_parts(1, 1_000_000_000),
            rounds: 200,
        }
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fit {
    /// The share of pairs that match.
    pub prior: Probability,
    /// For each field and level, how often matches compare like this.
    pub m: Vec<Vec<Probability>>,
    /// After how many rounds.
    pub rounds: u32,
    /// Whether the numbers had come to rest by then.
    pub settled: bool,
}

/// Why nothing was estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EmError {
    /// There is nothing to learn from.
    #[error("expected pairs to compare, found none")]
    NoPairs,
    /// `u` is not that of these fields.
    #[error("expected u of {expected} fields with their levels, found another")]
    Shape {
        /// The number of fields.
        expected: usize,
    },
    /// Most of the pairs would not match. They were chosen to, so the two classes that were
    /// found are not those looked for.
    #[error("expected most pairs of one subject to match, found a share of {found}")]
    Minority {
        /// The share of matches.
        found: Probability,
    },
}

/// Estimates the share of matches among these pairs, and `m`, under a given `u`.
///
/// # Errors
/// [`EmError`].
pub fn fit(pairs: &Patterns, u: &[Vec<Probability>], settings: &Settings) -> Result<Fit, EmError> {
    let expected = pairs.levels.len();
    if pairs.pairs == 0 {
        return Err(EmError::NoPairs);
    }
    if u.len() != expected || u.iter().zip(&pairs.levels).any(|(u, levels)| u.len() != *levels) {
        return Err(EmError::Shape { expected });
    }
    let begin = |levels: &usize| {
        let others = u64::try_from(levels.saturating_sub(1)).unwrap_or(1).max(1);
        let other = settings.agreement.complement().units() / others;
        let other = Probability::new(other).unwrap_or_default();
        // What division leaves belongs to the best level, which stands first.
        let best = Probability::new(other.units().saturating_mul(others)).unwrap_or_default();
        let mut m = alloc::vec![other; *levels];
        if let Some(first) = m.first_mut() {
            *first = best.complement();
        }
        m
    };
    let mut fit = Fit {
        prior: inner(settings.prior),
        m: pairs.levels.iter().map(begin).collect(),
        rounds: 0,
        settled: false,
    };
    while !fit.settled && fit.rounds < settings.rounds {
        let weights = weights(&fit.m, u);
        let odds = Weight::odds(fit.prior);
        let matches = |pattern: &[u8]| Probability::of_odds(odds + weight_of(pattern, &weights));
        let (m, prior) = pairs.count(settings.smoothing, matches);
        let prior = inner(prior);
        let change = m.iter().flatten().zip(fit.m.iter().flatten());
        let most = change.map(|(a, b)| a.units().abs_diff(b.units())).max().unwrap_or(0);
        let most = most.max(prior.units().abs_diff(fit.prior.units()));
        fit.settled = most < settings.tolerance.units();
        fit.rounds += 1;
        (fit.m, fit.prior) = (m, prior);
    }
    if fit.prior < Probability::from_parts(1, 2) {
        return Err(EmError::Minority { found: fit.prior });
    }
    Ok(fit)
}

/// Neither impossible nor certain.
fn inner(p: Probability) -> Probability {
    let least = Probability::new(1).unwrap_or_default();
    p.clamp(least, least.complement())
}

/// The weight of each level of each field.
pub fn weights(m: &[Vec<Probability>], u: &[Vec<Probability>]) -> Vec<Vec<Weight>> {
    let of_field = |(m, u): (&Vec<Probability>, &Vec<Probability>)| {
        m.iter().zip(u).map(|(m, u)| Weight::ratio(*m, *u)).collect()
    };
    m.iter().zip(u).map(of_field).collect()
}

/// What a comparison weighs, the prior aside.
pub fn weight_of(pattern: &[u8], weights: &[Vec<Weight>]) -> Weight {
    let of_level = |(level, weights): (&u8, &Vec<Weight>)| {
        weights.get(usize::from(*level)).copied().unwrap_or_default()
    };
    pattern.iter().zip(weights).map(of_level).sum()
}

/// Pools levels that weigh more than a better one with it, until none does (the pool
/// adjacent violators algorithm): together they keep their share, and weigh the same.
pub fn ordered(m: &[Probability], u: &[Probability]) -> Vec<Probability> {
    // Each pool: its m, its u, how many levels it has.
    let mut pools: Vec<(u128, u128, usize)> = Vec::new();
    for (m, u) in m.iter().zip(u) {
        pools.push((u128::from(m.units()), u128::from(u.units()).max(1), 1));
        while let [.., better, last] = pools.as_slice() {
            // Both sides are below 10^30.
            if last.0 * better.1 <= better.0 * last.1 {
                break;
            }
            let pooled = (better.0 + last.0, better.1 + last.1, better.2 + last.2);
            pools.truncate(pools.len().saturating_sub(2));
            pools.push(pooled);
        }
    }
    let mut out = Vec::with_capacity(m.len());
    let mut u = u.iter();
    for (m, whole, levels) in pools {
        if levels == 1 {
            let _own = u.next();
            out.push(Probability::new(u64::try_from(m).unwrap_or(0)).unwrap_or_default());
            continue;
        }
        for u in u.by_ref().take(levels) {
            let units = m * u128::from(u.units()) / whole;
            out.push(Probability::new(u64::try_from(units).unwrap_or(0)).unwrap_or_default());
        }
    }
    out
}
