//! The eight dimensions of risk and the named sources each is made of (PLAN-4.5.1).
//!
//! | dimension | sources | combined by default with |
//! |---|---|---|
//! | identity | `identity-strength`, `identity-anomaly` | noisy-or |
//! | behaviour | `surprise`, `drift` | max (drift is read off the surprise) |
//! | content | `sensitive-outflow`, `sensitive-kind` | max |
//! | provenance | `outside-argument`, `unvouched-argument`, `outside-context` | max |
//! | staleness | `fact-age`, `snapshot` | max |
//! | blast-radius | `capability`, `reach`, `money`, `bulk` | noisy-or |
//! | reversibility | `irreversible` | max |
//! | policy | `audience-state` | max |
//!
//! A source that nothing is known of is not harmless: it counts as the envelope's
//! `unknown` risk (500,000 ppm unless the file says otherwise).
//!
//! INVARIANT (monotone): every [`Combine`] rule rises, or stays, when one of its
//! sources rises. Rounding is upwards only.

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::encode::{Encode, Writer, byte_enum};
use crate::risk::Risk;

/// One dimension of the Safety Envelope v2.0 (PLAN-4.5.2, PLAN-5.6.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dimension {
    /// How unsure it is who acts.
    Identity,
    /// How far the intent departs from the audience's ways.
    Behaviour,
    /// How harmful the content is where it goes.
    Content,
    /// How much of it nobody trusted vouches for.
    Provenance,
    /// How old what it relies on is.
    Staleness,
    /// How much it reaches.
    BlastRadius,
    /// How hard it is to take back.
    Reversibility,
    /// How far it is from what the audience's standing covers.
    Policy,
}

byte_enum!(Dimension, "a dimension of risk", {
    Identity = 1, Behaviour = 2, Content = 3, Provenance = 4, Staleness = 5,
    BlastRadius = 6, Reversibility = 7, Policy = 8,
});

/// How many dimensions there are.
pub const DIMENSIONS: usize = 8;

impl Dimension {
    /// All dimensions in order.
    pub const ALL: [Self; DIMENSIONS] = [
        Self::Identity,
        Self::Behaviour,
        Self::Content,
        Self::Provenance,
        Self::Staleness,
        Self::BlastRadius,
        Self::Reversibility,
        Self::Policy,
    ];

    /// The name in files and reasons.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Behaviour => "behaviour",
            Self::Content => "content",
            Self::Provenance => "provenance",
            Self::Staleness => "staleness",
            Self::BlastRadius => "blast-radius",
            Self::Reversibility => "reversibility",
            Self::Policy => "policy",
        }
    }

    /// Its sources.
    pub fn sources(self) -> impl Iterator<Item = RiskSource> {
        RiskSource::ALL.into_iter().filter(move |source| source.dimension() == self)
    }
}

/// Where each dimension's sources begin in [`RiskSource::ALL`], and how many they are.
///
/// INVARIANT (together): the sources of one dimension stand together, in the order of
/// the dimensions; the build fails otherwise.
#[expect(
    clippy::indexing_slicing,
    reason = "evaluated at compile time, where it would be an error"
)]
pub(super) const SPANS: [(usize, usize); DIMENSIONS] = {
    let mut spans = [(0, 0); DIMENSIONS];
    let mut source = 0;
    let mut before = 0;
    while source < SOURCES {
        let dimension = RiskSource::ALL[source].dimension() as usize;
        assert!(dimension >= before, "sources stand in the order of the dimensions");
        if spans[dimension].1 == 0 {
            spans[dimension].0 = source;
        }
        spans[dimension].1 += 1;
        before = dimension;
        source += 1;
    }
    spans
};

impl fmt::Display for Dimension {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

macro_rules! sources {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $dimension:ident;)*) => {
        /// One named source of risk.
        #[derive(
            Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
        )]
        #[serde(rename_all = "kebab-case")]
        pub enum RiskSource {
            $($(#[$doc])* $variant,)*
        }

        impl RiskSource {
            /// All sources, those of one dimension together.
            pub const ALL: [Self; SOURCES] = [$(Self::$variant),*];

            /// The name in files and reasons.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// The dimension it belongs to.
            pub const fn dimension(self) -> Dimension {
                match self { $(Self::$variant => Dimension::$dimension,)* }
            }
        }
    };
}

/// How many sources there are.
pub const SOURCES: usize = 17;

sources! {
    /// What is missing to certainty about who acts.
    IdentityStrength = "identity-strength", Identity;
    /// How far identity contradicts what is known (ASM2-7.5).
    IdentityAnomaly = "identity-anomaly", Identity;
    /// Surprise found at Step 3.
    Surprise = "surprise", Behaviour;
    /// Drift found at Step 3: none 0, soft 300,000, hard 600,000. Governance rules on it (D-22).
    Drift = "drift", Behaviour;
    /// The most sensitive argument of an intent that leaves the organisation:
    /// public 0, internal 150,000, personal 450,000, secret 1,000,000.
    SensitiveOutflow = "sensitive-outflow", Content;
    /// The kind touches credentials (350,000) or personal data (200,000).
    SensitiveKind = "sensitive-kind", Content;
    /// An argument carries a value from outside: 500,000 with an effect, otherwise 150,000.
    OutsideArgument = "outside-argument", Provenance;
    /// An argument that only the agent vouches for: 200,000 with an effect,
    /// otherwise 50,000. Unknown when an argument names no source at all.
    UnvouchedArgument = "unvouched-argument", Provenance;
    /// The session has read from outside: 250,000 with an effect, otherwise 50,000.
    OutsideContext = "outside-context", Provenance;
    /// The age of the oldest fact relied on, against the envelope's full age.
    FactAge = "fact-age", Staleness;
    /// 0 when no fact is relied on or a snapshot is named; otherwise unknown.
    Snapshot = "snapshot", Staleness;
    /// The capability tier: observe 0, act 150,000, commit 300,000, privileged 500,000.
    Capability = "capability", BlastRadius;
    /// It leaves the organisation: 150,000.
    Reach = "reach", BlastRadius;
    /// It moves money: 150,000.
    Money = "money", BlastRadius;
    /// Many targets at once: 200,000.
    Bulk = "bulk", BlastRadius;
    /// It cannot be taken back: 450,000.
    Irreversible = "irreversible", Reversibility;
    /// The audience's state: VERIFIED and PRIVILEGED 0, BASE 50,000, INIT 300,000,
    /// RESTRICTED, HOLD and ESCALATED 450,000; what the last two forbid is decided by
    /// the state itself.
    AudienceState = "audience-state", Policy;
}

byte_enum!(RiskSource, "a source of risk", {
    IdentityStrength = 1, IdentityAnomaly = 2, Surprise = 3, Drift = 4, SensitiveOutflow = 5,
    SensitiveKind = 6, OutsideArgument = 7, UnvouchedArgument = 8, OutsideContext = 9,
    FactAge = 10, Snapshot = 11, Capability = 12, Reach = 13, Money = 14, Bulk = 15,
    Irreversible = 16, AudienceState = 17,
});

impl fmt::Display for RiskSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What each source says; `None` where nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Signals(pub(super) [Option<Risk>; SOURCES]);

impl Signals {
    /// Nothing is known of any source.
    pub const UNKNOWN: Self = Self([None; SOURCES]);

    /// The signals in the order of [`RiskSource::ALL`].
    pub const fn from_array(signals: [Option<Risk>; SOURCES]) -> Self {
        Self(signals)
    }

    /// The signals with one of them set.
    #[must_use]
    pub fn with(mut self, source: RiskSource, risk: Option<Risk>) -> Self {
        if let Some(slot) = self.0.get_mut(source as usize) {
            *slot = risk;
        }
        self
    }

    /// What one source says.
    pub fn get(&self, source: RiskSource) -> Option<Risk> {
        self.0.get(source as usize).copied().flatten()
    }
}

/// How the sources of a dimension become one risk. `c` is a source's risk times its weight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combine {
    /// `1 - (1-c1)(1-c2)…`: independent causes (noisy-or, Pearl 1988).
    NoisyOr,
    /// The highest `c`: sources that say the same thing twice.
    Max,
    /// The sum of all `c` over the sum of all weights: a weighted mean.
    Weighted,
}

byte_enum!(Combine, "a combination rule", { NoisyOr = 1, Max = 2, Weighted = 3, });

/// What one source adds to its dimension.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contribution {
    /// The source.
    pub source: RiskSource,
    /// What it says, or the default for unknown.
    pub value: Risk,
    /// Its weight.
    pub weight: Risk,
    /// Value times weight, rounded up.
    pub contribution: Risk,
    /// Whether nothing was known of it.
    pub unknown: bool,
}

impl Contribution {
    /// Nothing from any source, in the order of [`RiskSource::ALL`].
    #[expect(
        clippy::indexing_slicing,
        reason = "evaluated at compile time, where it would be an error"
    )]
    pub(super) const NONE: [Self; SOURCES] = {
        let nothing = Self {
            source: RiskSource::IdentityStrength,
            value: Risk::ZERO,
            weight: Risk::ZERO,
            contribution: Risk::ZERO,
            unknown: false,
        };
        let mut all = [nothing; SOURCES];
        let mut place = 0;
        while place < SOURCES {
            all[place].source = RiskSource::ALL[place];
            place += 1;
        }
        all
    };
}

impl fmt::Display for Contribution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unknown = if self.unknown { " (unknown)" } else { "" };
        write!(
            f,
            "{} {}{unknown} x {} = {}",
            self.source, self.value, self.weight, self.contribution
        )
    }
}

impl Combine {
    /// Combines the contributions of one dimension, in their order.
    pub(super) fn apply(self, parts: &[Contribution]) -> Risk {
        match self {
            Self::NoisyOr => parts.iter().fold(Risk::ZERO, |sum, part| sum.or(part.contribution)),
            Self::Max => parts.iter().fold(Risk::ZERO, |most, part| most.max(part.contribution)),
            Self::Weighted => {
                let (mut sum, mut weights) = (0_u64, 0_u64);
                for part in parts {
                    sum += u64::from(part.contribution.ppm());
                    weights += u64::from(part.weight.ppm());
                }
                match (sum * u64::from(Risk::MAX.ppm())).checked_div(weights) {
                    Some(mean) if mean * weights == sum * u64::from(Risk::MAX.ppm()) => {
                        Risk::saturating(mean)
                    }
                    Some(mean) => Risk::saturating(mean + 1),
                    None => Risk::ZERO,
                }
            }
        }
    }
}

impl Encode for Signals {
    /// The signals in the order of [`RiskSource::ALL`], each optional.
    fn encode(&self, out: &mut Writer) {
        for signal in &self.0 {
            out.option(signal.as_ref());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plan_4_5_1_sources_stand_in_the_order_of_their_numbers_and_dimensions() {
        for (i, source) in RiskSource::ALL.into_iter().enumerate() {
            assert_eq!(source as usize, i);
            assert_eq!(usize::from(source.to_canonical()[0]), i + 1);
        }
        assert!(RiskSource::ALL.is_sorted_by_key(|s| s.dimension()));
        assert!(Dimension::ALL.iter().all(|d| d.sources().count() > 0));
        let counted: usize = Dimension::ALL.iter().map(|d| d.sources().count()).sum();
        assert_eq!(counted, SOURCES);
    }

    #[test]
    fn rules_combine_as_documented() {
        let part = |value: u32, weight: u32| {
            let (value, weight) = (Risk::from_ppm(value).unwrap(), Risk::from_ppm(weight).unwrap());
            Contribution {
                source: RiskSource::Surprise,
                value,
                weight,
                contribution: value.scale(weight),
                unknown: false,
            }
        };
        let parts = [part(500_000, 1_000_000), part(500_000, 500_000)];
        assert_eq!(Combine::NoisyOr.apply(&parts).ppm(), 625_000);
        assert_eq!(Combine::Max.apply(&parts).ppm(), 500_000);
        assert_eq!(Combine::Weighted.apply(&parts).ppm(), 500_000);
        let uneven = [part(1, 1_000_000), part(0, 500_000)];
        assert_eq!(Combine::Weighted.apply(&uneven).ppm(), 1, "rounded up");
        for rule in [Combine::NoisyOr, Combine::Max, Combine::Weighted] {
            assert_eq!(rule.apply(&[]), Risk::ZERO);
            assert_eq!(rule.apply(&[part(700_000, 0)]), Risk::ZERO);
        }
    }
}
