//! What is remembered of an audience's behaviour: counts, bounded and forgetting.
//!
//! A [`Profile`] is built from [`Observation`]s alone, in their order. What was
//! carried out (allow, modify) is behaviour; what was refused or suspended counts
//! for the pace only, so that attempts cannot teach the model to expect them.
//!
//! - Counts of kinds and of pairs (previous kind, kind). When the total reaches the
//!   configured cap, every count is halved and what falls to zero is forgotten:
//!   exponential forgetting in integers. At most [`MAX_KINDS`] kinds and
//!   [`MAX_PAIRS`] pairs are held; a further one takes the place of the rarest.
//! - The usual surprise: the mean of what each observation's surprise was when it
//!   came (prequential, Dawid 1984), and the mean deviation from it.
//! - Hours of the day in UTC, flags ever seen, the last [`RECENT`] kinds, the pace.
//!
//! INVARIANT (replay): two profiles that took the same observations under the same
//! configuration are equal.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::id::KindId;
use crate::limits::PROFILE_COUNTED;
use crate::modeling::Observation;
use crate::modeling::bits::Bits;
use crate::modeling::config::{BehaviourConfig, PaceConfig};
use crate::time::Timestamp;
use crate::verdict::{SafetyFlags, Verdict};

pub use crate::limits::{
    PROFILE_KINDS as MAX_KINDS, PROFILE_PAIRS as MAX_PAIRS, PROFILE_RECENT as RECENT,
};

/// When the means are halved.
const MEAN_CAP: u32 = 1024;
/// When the windows of the pace are halved.
const WINDOW_CAP: u32 = 64;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Count {
    /// How often the kind was seen; 0 marks a free place.
    seen: u32,
    /// How often a kind was seen right after it.
    left: u32,
}

/// What is remembered of one audience.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profile {
    names: BTreeMap<KindId, u16>,
    counts: Vec<Count>,
    pairs: BTreeMap<(u16, u16), u32>,
    total: u32,
    last: Option<u16>,
    hours: [u32; 24],
    hour_total: u32,
    flags: SafetyFlags,
    recent: VecDeque<(KindId, Timestamp)>,
    means: Means,
    taken: u64,
    pace: Pace,
}

impl Profile {
    /// How many observations were taken in as behaviour.
    pub const fn taken(&self) -> u64 {
        self.taken
    }

    /// How many kinds are held.
    pub fn kinds(&self) -> usize {
        self.names.len()
    }

    /// How often a kind is remembered to have been seen.
    pub fn seen(&self, kind: &KindId) -> u32 {
        self.place(kind).map_or(0, |place| self.count(place).seen)
    }

    /// The sum of all counts.
    pub const fn total(&self) -> u32 {
        self.total
    }

    /// The flags ever seen.
    pub const fn flags(&self) -> SafetyFlags {
        self.flags
    }

    /// The last kinds, oldest first.
    pub fn recent(&self) -> impl DoubleEndedIterator<Item = &(KindId, Timestamp)> {
        self.recent.iter()
    }

    /// The surprise that is usual for this audience.
    pub fn usual(&self) -> Bits {
        self.means.usual()
    }

    /// The mean deviation from the usual surprise.
    pub fn deviation(&self) -> Bits {
        self.means.deviation()
    }

    pub(super) const fn pace(&self) -> &Pace {
        &self.pace
    }

    /// `-log2` of the probability that the model gives to this kind now. See
    /// [`crate::modeling`] for the formula.
    pub fn surprise(&self, kind: &KindId, at: Timestamp, config: &BehaviourConfig) -> Bits {
        let place = self.place(kind);
        let seen = u64::from(place.map_or(0, |place| self.count(place).seen));
        let categories = self.names.len() as u64 + 1;
        let kinds = 2 * u64::from(self.total) + categories;
        let left = u64::from(self.last.map_or(0, |last| self.count(last).left));
        let pair = self.last.zip(place).and_then(|pair| self.pairs.get(&pair));
        let pair = u64::from(pair.copied().unwrap_or(0));
        let weight = u64::from(config.back_off.get());
        let part = pair * kinds + weight * (2 * seen + 1);
        let surprise = Bits::surprise(part, (left + weight) * kinds);
        if !config.hours {
            return surprise;
        }
        let hour = u64::from(self.hours.get(hour(at)).copied().unwrap_or(0));
        surprise.plus(Bits::surprise(2 * hour + 1, 2 * u64::from(self.hour_total) + 24))
    }

    /// Takes the next observation.
    pub(super) fn observe(
        &mut self,
        observation: &Observation,
        behaviour: &BehaviourConfig,
        pace: &PaceConfig,
    ) {
        let Observation { kind, flags, at, verdict } = observation;
        self.pace.observe(*at, pace);
        if !matches!(verdict, Verdict::Allow | Verdict::Modify) {
            return;
        }
        if self.taken > 0 {
            self.means.take(self.surprise(kind, *at, behaviour));
        }
        let own = self.place(kind).unwrap_or_else(|| self.make_place(kind));
        if let Some(count) = self.counts.get_mut(usize::from(own)) {
            count.seen += 1;
            self.total += 1;
        }
        if let Some(last) = self.last {
            self.take_pair((last, own));
        }
        self.last = Some(own);
        if let Some(hour) = self.hours.get_mut(hour(*at)) {
            *hour += 1;
            self.hour_total += 1;
        }
        self.flags = self.flags.union(*flags);
        if self.recent.len() >= RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back((kind.clone(), *at));
        self.taken = self.taken.saturating_add(1);
        if self.total >= behaviour.forget_at {
            self.halve();
        }
    }

    fn place(&self, kind: &KindId) -> Option<u16> {
        self.names.get(kind).copied()
    }

    fn count(&self, place: u16) -> Count {
        self.counts.get(usize::from(place)).copied().unwrap_or_default()
    }

    /// A place for a kind that has none: the lowest free one, else that of the
    /// rarest kind (of equally rare ones, the first by name).
    fn make_place(&mut self, kind: &KindId) -> u16 {
        if self.names.len() >= MAX_KINDS {
            let rarest =
                self.names.iter().min_by_key(|(name, place)| (self.count(**place).seen, *name));
            if let Some((name, place)) = rarest.map(|(name, place)| (name.clone(), *place)) {
                self.names.remove(&name);
                self.drop_place(place);
            }
        }
        let free = self.counts.iter().position(|count| count.seen == 0);
        let place = free.unwrap_or(self.counts.len());
        if free.is_none() {
            self.counts.push(Count::default());
        }
        let place = u16::try_from(place).unwrap_or(u16::MAX);
        self.names.insert(kind.clone(), place);
        place
    }

    fn drop_place(&mut self, place: u16) {
        if let Some(count) = self.counts.get_mut(usize::from(place)) {
            self.total = self.total.saturating_sub(count.seen);
            *count = Count::default();
        }
        self.pairs.retain(|(from, to), _| *from != place && *to != place);
        self.last = self.last.filter(|last| *last != place);
        self.recount();
    }

    fn take_pair(&mut self, pair: (u16, u16)) {
        if self.pairs.len() >= MAX_PAIRS && !self.pairs.contains_key(&pair) {
            let rarest = self.pairs.iter().min_by_key(|(pair, count)| (**count, **pair));
            if let Some((rarest, count)) = rarest.map(|(pair, count)| (*pair, *count)) {
                self.pairs.remove(&rarest);
                if let Some(from) = self.counts.get_mut(usize::from(rarest.0)) {
                    from.left = from.left.saturating_sub(count);
                }
            }
        }
        *self.pairs.entry(pair).or_default() += 1;
        if let Some(from) = self.counts.get_mut(usize::from(pair.0)) {
            from.left += 1;
        }
    }

    fn halve(&mut self) {
        for count in &mut self.counts {
            count.seen /= 2;
        }
        let counts = &self.counts;
        self.names.retain(|_, place| counts.get(usize::from(*place)).is_some_and(|c| c.seen > 0));
        // The last kind may be left once more than its halved count says, so a pair
        // can outlive its first kind: it goes with it.
        let held = |place: u16| counts.get(usize::from(place)).is_some_and(|c| c.seen > 0);
        self.pairs.retain(|(from, to), count| {
            *count /= 2;
            *count > 0 && held(*from) && held(*to)
        });
        self.last = self.last.filter(|last| self.count(*last).seen > 0);
        self.total = self.counts.iter().map(|count| count.seen).sum();
        for hour in &mut self.hours {
            *hour /= 2;
        }
        self.hour_total = self.hours.iter().sum();
        self.recount();
    }

    /// Counts again how often each kind was left.
    fn recount(&mut self) {
        for count in &mut self.counts {
            count.left = 0;
        }
        for ((from, _), times) in &self.pairs {
            if let Some(count) = self.counts.get_mut(usize::from(*from)) {
                count.left += times;
            }
        }
    }
}

impl Encode for Profile {
    fn room(&self) -> usize {
        512 + 32 * self.names.len() + 8 * self.pairs.len()
    }

    /// In this order: the kinds with their places (`u16`), per place how often it was seen
    /// (`u32`), the pairs of places with their counts (`u32`), the last place, the 24 hours,
    /// flags, the recent kinds with their times, the two means (`u64`) and their count
    /// (`u32`), how many observations were taken (`u64`), and the pace: window (`u64`),
    /// current and before (`u32`), sum (`u64`), windows (`u32`).
    fn encode(&self, out: &mut Writer) {
        out.count(self.names.len());
        for (kind, place) in &self.names {
            out.value(kind).u16(*place);
        }
        out.count(self.counts.len());
        for count in &self.counts {
            out.u32(count.seen);
        }
        out.count(self.pairs.len());
        for ((from, to), count) in &self.pairs {
            out.u16(*from).u16(*to).u32(*count);
        }
        match self.last {
            Some(last) => out.u8(1).u16(last),
            None => out.u8(0),
        };
        for hour in &self.hours {
            out.u32(*hour);
        }
        out.value(&self.flags).count(self.recent.len());
        for (kind, at) in &self.recent {
            out.value(kind).value(at);
        }
        out.u64(self.means.surprise).u64(self.means.deviation).u32(self.means.count);
        out.u64(self.taken);
        let pace = &self.pace;
        out.u64(pace.window).u32(pace.current).u32(pace.before).u64(pace.sum).u32(pace.windows);
    }
}

impl Decode for Profile {
    /// Refuses what no observations lead to: sums that could overflow, places of nothing.
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut profile = Self::default();
        let kinds = input.count(6)?;
        for _ in 0..kinds {
            let (kind, place) = (input.value::<KindId>()?, input.u16()?);
            if profile.names.last_key_value().is_some_and(|(last, _)| *last >= kind) {
                return Err(input.invalid("kinds in ascending order"));
            }
            profile.names.insert(kind, place);
        }
        let places = input.count(4)?;
        profile.counts.reserve(places.min(MAX_KINDS));
        for _ in 0..places {
            profile.counts.push(Count { seen: input.u32()?, left: 0 });
        }
        let held: Vec<u16> = profile.names.values().copied().collect();
        let taken = |place: &u16| profile.count(*place).seen > 0;
        let mut distinct = held.clone();
        distinct.sort_unstable();
        distinct.dedup();
        let counted = profile.counts.iter().filter(|count| count.seen > 0).count();
        let whole = distinct.len() == held.len() && counted == held.len();
        if kinds > MAX_KINDS || places > MAX_KINDS || !whole || !held.iter().all(taken) {
            return Err(input.invalid("at most 256 kinds, each with a place of its own"));
        }
        let seen = profile.counts.iter().map(|count| count.seen);
        profile.total = bounded(seen).ok_or_else(|| input.invalid("counts that can go on"))?;
        for _ in 0..input.count(8)? {
            let (pair, count) = ((input.u16()?, input.u16()?), input.u32()?);
            let after = profile.pairs.last_key_value().is_none_or(|(last, _)| *last < pair);
            let known =
                distinct.binary_search(&pair.0).is_ok() && distinct.binary_search(&pair.1).is_ok();
            if !after || !known || count == 0 || profile.pairs.len() >= MAX_PAIRS {
                return Err(input.invalid("at most 4096 pairs of known kinds in order"));
            }
            profile.pairs.insert(pair, count);
        }
        bounded(profile.pairs.values().copied())
            .ok_or_else(|| input.invalid("counts that can go on"))?;
        profile.recount();
        if input.bool()? {
            let last = input.u16()?;
            if distinct.binary_search(&last).is_err() {
                return Err(input.invalid("a last kind that is known"));
            }
            profile.last = Some(last);
        }
        for hour in &mut profile.hours {
            *hour = input.u32()?;
        }
        profile.hour_total = bounded(profile.hours.iter().copied())
            .ok_or_else(|| input.invalid("hours that can go on"))?;
        profile.flags = input.value()?;
        let recent = input.count(12)?;
        if recent > RECENT {
            return Err(input.invalid("at most 16 recent kinds"));
        }
        for _ in 0..recent {
            profile.recent.push_back((input.value()?, input.value()?));
        }
        let (surprise, deviation, count) = (input.u64()?, input.u64()?, input.u32()?);
        profile.means = Means { surprise, deviation, count };
        profile.taken = input.u64()?;
        profile.pace = Pace {
            window: input.u64()?,
            current: input.u32()?,
            before: input.u32()?,
            sum: input.u64()?,
            windows: input.u32()?,
        };
        // The mean of one surprise is a `u32`, so is the count of one window.
        let mean = u64::from(u32::MAX) * u64::from(count);
        let paced = u64::from(u32::MAX) * u64::from(profile.pace.windows);
        let sound = count < MEAN_CAP && surprise <= mean && deviation <= mean;
        if !sound || profile.pace.windows >= WINDOW_CAP || profile.pace.sum > paced {
            return Err(input.invalid("means of what was counted"));
        }
        Ok(profile)
    }
}

/// The sum, where counting on from it cannot overflow.
fn bounded(counts: impl Iterator<Item = u32>) -> Option<u32> {
    let sum = counts.map(u64::from).try_fold(0_u64, u64::checked_add)?;
    u32::try_from(sum).ok().filter(|sum| *sum <= PROFILE_COUNTED)
}

/// The hour of the day in UTC.
pub(super) fn hour(at: Timestamp) -> usize {
    usize::try_from(at.as_millis() / 3_600_000 % 24).unwrap_or(0)
}

/// Running mean of surprise and of its deviation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Means {
    surprise: u64,
    deviation: u64,
    count: u32,
}

impl Means {
    fn usual(&self) -> Bits {
        Bits::from_raw(self.surprise.checked_div(self.count.into()).unwrap_or(0))
    }

    fn deviation(&self) -> Bits {
        Bits::from_raw(self.deviation.checked_div(self.count.into()).unwrap_or(0))
    }

    fn take(&mut self, surprise: Bits) {
        let off = if self.count > 0 { surprise.raw().abs_diff(self.usual().raw()) } else { 0 };
        self.surprise += u64::from(surprise.raw());
        self.deviation += u64::from(off);
        self.count += 1;
        if self.count >= MEAN_CAP {
            self.surprise /= 2;
            self.deviation /= 2;
            self.count /= 2;
        }
    }
}

/// How many observations come in a window of time: the current window, the one
/// before, and the mean of all windows that had any.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Pace {
    window: u64,
    current: u32,
    before: u32,
    sum: u64,
    windows: u32,
}

impl Pace {
    fn observe(&mut self, at: Timestamp, config: &PaceConfig) {
        // A clock that went back counts into the current window.
        let window = (at.as_millis() / config.millis()).max(self.window);
        if window > self.window {
            if self.current > 0 {
                self.sum += u64::from(self.current);
                self.windows += 1;
            }
            if self.windows >= WINDOW_CAP {
                self.sum /= 2;
                self.windows /= 2;
            }
            self.before = if window - self.window == 1 { self.current } else { 0 };
            self.current = 0;
            self.window = window;
        }
        self.current = self.current.saturating_add(1);
    }

    /// How many came within one window's length before `now`, the one that is asked
    /// about included. The window before counts by the share that still overlaps.
    pub(super) fn now(&self, now: Timestamp, config: &PaceConfig) -> u64 {
        let length = config.millis();
        let window = (now.as_millis() / length).max(self.window);
        let (current, before) = match window - self.window {
            0 => (self.current, self.before),
            1 => (0, self.current),
            _ => (0, 0),
        };
        let overlap = length - now.as_millis() % length;
        u64::from(current) + 1 + u64::from(before).saturating_mul(overlap) / length
    }

    /// Whether `found` in a window is more than `factor` times what is usual.
    pub(super) const fn exceeds(&self, found: u64, factor: u32) -> bool {
        found.saturating_mul(self.windows as u64) > self.sum.saturating_mul(factor as u64)
    }

    /// How many windows the mean rests on.
    pub(super) const fn windows(&self) -> u32 {
        self.windows
    }

    /// What is usual in a window, rounded down.
    pub(super) fn usual(&self) -> u64 {
        self.sum.checked_div(self.windows.into()).unwrap_or(0)
    }
}

#[cfg(test)]
impl Profile {
    pub(super) fn pair_count(&self) -> usize {
        self.pairs.len()
    }

    pub(super) fn seen_after_last(&self, kind: &KindId) -> u32 {
        let pair = self.last.zip(self.place(kind));
        pair.and_then(|pair| self.pairs.get(&pair)).copied().unwrap_or(0)
    }

    /// The sums agree with what they are sums of.
    pub(super) fn check(&self) {
        let held: Vec<_> = self.names.values().map(|place| self.count(*place)).collect();
        assert!(held.iter().all(|count| count.seen > 0));
        assert_eq!(self.total, held.iter().map(|count| count.seen).sum::<u32>());
        assert_eq!(self.hour_total, self.hours.iter().sum::<u32>());
        let left = held.iter().map(|count| count.left).sum::<u32>();
        assert_eq!(left, self.pairs.values().sum::<u32>());
        let known = |place: &u16| self.names.values().any(|held| held == place);
        assert!(self.pairs.keys().all(|(from, to)| known(from) && known(to)));
        assert!(self.last.as_ref().is_none_or(known));
        assert!(self.counts.len() <= MAX_KINDS);
    }
}
