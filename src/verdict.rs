//! What rooms say to each other: verdicts, flags, votes and reasons.
//!
//! Rooms meet in values. Everything one layer concludes and another acts on is
//! a type of this module; none of them can act by itself.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer, byte_enum};
use crate::id::{LayerId, ModuleId, RuleId};
use crate::limits::DETAIL_BYTES;

pub use reason::ReasonCode;

mod reason;

/// How a route ends (D-52), in ascending order of restriction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Executed as asked.
    Allow,
    /// Executed in Protected Mode: narrowed arguments or modules.
    Modify,
    /// A person decides; no answer in time denies.
    StepUp,
    /// Suspended until something is supplied; nothing in time denies.
    Defer,
    /// Refused.
    Deny,
}

impl Verdict {
    /// All verdicts, least restrictive first.
    pub const ALL: [Self; 5] = [Self::Allow, Self::Modify, Self::StepUp, Self::Defer, Self::Deny];

    /// The verdict's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Modify => "modify",
            Self::StepUp => "step-up",
            Self::Defer => "defer",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

byte_enum!(Verdict, "a verdict", { Allow = 1, Modify = 2, StepUp = 3, Defer = 4, Deny = 5, });

/// Why something was decided: a code every reader of a record understands, the
/// rule that decided, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Reason {
    /// The code.
    pub code: ReasonCode,
    /// The rule, where one decided.
    pub rule: Option<RuleId>,
    /// What was found, for people; empty when the code says it all.
    pub detail: Box<str>,
}

impl Reason {
    /// A reason that its code alone explains.
    pub fn new(code: ReasonCode) -> Self {
        Self { code, rule: None, detail: Box::default() }
    }

    /// The same reason with the rule that decided.
    #[must_use]
    pub fn by(mut self, rule: RuleId) -> Self {
        self.rule = Some(rule);
        self
    }

    /// The same reason with what was found. Beyond [`DETAIL_BYTES`] it is cut: what is
    /// found may be as long as whoever sent it likes, a record may not.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<Box<str>>) -> Self {
        let detail = detail.into();
        self.detail = if detail.len() > DETAIL_BYTES { cut(&detail) } else { detail };
        self
    }
}

/// The start of a text and `…`, in [`DETAIL_BYTES`] together.
#[cold]
fn cut(text: &str) -> Box<str> {
    let most = DETAIL_BYTES - '…'.len_utf8();
    let end = (0..=most).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    let mut short = String::from(text.get(..end).unwrap_or_default());
    short.push('…');
    short.into()
}

impl From<ReasonCode> for Reason {
    fn from(code: ReasonCode) -> Self {
        Self::new(code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code.name())?;
        if let Some(rule) = &self.rule {
            write!(f, " [{rule}]")?;
        }
        if !self.detail.is_empty() {
            write!(f, ": {}", self.detail)?;
        }
        Ok(())
    }
}

impl Serialize for Reason {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeStruct as _;
        let mut out = serializer.serialize_struct("Reason", 3)?;
        out.serialize_field("code", self.code.name())?;
        out.serialize_field("rule", &self.rule)?;
        out.serialize_field("detail", &self.detail)?;
        out.end()
    }
}

impl Encode for Reason {
    fn encode(&self, out: &mut Writer) {
        out.u16(self.code.number()).option(self.rule.as_ref()).text(&self.detail);
    }
}

impl Decode for Reason {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        let number = input.u16()?;
        let code = ReasonCode::from_number(number)
            .ok_or_else(|| Reader::bad_tag("a reason code", number, offset))?;
        Ok(Self { code, rule: input.option()?, detail: input.text()?.into() })
    }
}

/// What is dangerous about an intent, as a set. Known from the catalogue at
/// Step 2; flags raised later are recorded beside the Routing ID (D-23).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct SafetyFlags(u32);

macro_rules! flags {
    ($($(#[$doc:meta])* $name:ident = $bit:literal, $text:literal;)*) => {
        impl SafetyFlags {
            $($(#[$doc])* pub const $name: Self = Self(1 << $bit);)*

            /// Every flag with its name.
            pub const ALL: &'static [(Self, &'static str)] = &[$((Self::$name, $text)),*];
            const MASK: u32 = 0 $(| 1 << $bit)*;
        }
    };
}

flags! {
    /// Changes something outside prospera.
    EFFECT = 0, "effect";
    /// Leaves the organisation: a mail, a post, a request to somebody's server.
    EXTERNAL = 1, "external";
    /// Cannot be taken back.
    IRREVERSIBLE = 2, "irreversible";
    /// Moves money or commits to moving it.
    FINANCIAL = 3, "financial";
    /// Touches credentials, keys or permissions.
    CREDENTIALS = 4, "credentials";
    /// Touches personal data.
    PERSONAL_DATA = 5, "personal-data";
    /// A privileged operation: refused to an escalated audience without exception (D-10).
    PRIVILEGED = 6, "privileged";
    /// Reads what outsiders may have written.
    READS_OUTSIDE = 7, "reads-outside";
    /// Many targets at once.
    BULK = 8, "bulk";
    /// An argument carries a value from outside.
    OUTSIDE_ARGUMENT = 9, "outside-argument";
}

impl SafetyFlags {
    /// No flag.
    pub const NONE: Self = Self(0);

    /// The set's bits.
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// From bits; `None` when a bit has no meaning.
    pub const fn from_bits(bits: u32) -> Option<Self> {
        if bits & !Self::MASK == 0 { Some(Self(bits)) } else { None }
    }

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether all of `other` is in this set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether any of `other` is in this set.
    pub const fn intersects(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The flag of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|(_, text)| *text == name).map(|(flag, _)| *flag)
    }

    /// The names of the flags in the set, in the order of their bits.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::ALL.iter().filter(move |(flag, _)| self.contains(*flag)).map(|(_, text)| *text)
    }
}

impl fmt::Display for SafetyFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("none");
        }
        for (i, name) in self.names().enumerate() {
            write!(f, "{}{name}", if i == 0 { "" } else { " " })?;
        }
        Ok(())
    }
}

impl fmt::Debug for SafetyFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SafetyFlags({self})")
    }
}

impl Serialize for SafetyFlags {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.names())
    }
}

impl<'de> Deserialize<'de> for SafetyFlags {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Names;
        impl<'de> serde::de::Visitor<'de> for Names {
            type Value = SafetyFlags;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of safety flags")
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<SafetyFlags, A::Error> {
                let mut set = SafetyFlags::NONE;
                while let Some(name) = seq.next_element::<String>()? {
                    let flag = SafetyFlags::from_name(&name).ok_or_else(|| {
                        let known = SafetyFlags::ALL.iter().map(|(_, text)| *text);
                        let known = known.collect::<Vec<_>>().join(", ");
                        serde::de::Error::custom(alloc::format!(
                            "expected one of {known}, found `{name}`"
                        ))
                    })?;
                    set = set.union(flag);
                }
                Ok(set)
            }
        }
        deserializer.deserialize_seq(Names)
    }
}

impl Encode for SafetyFlags {
    fn encode(&self, out: &mut Writer) {
        out.u32(self.0);
    }
}

impl Decode for SafetyFlags {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bits = input.u32()?;
        Self::from_bits(bits).ok_or_else(|| input.invalid("known safety flags"))
    }
}

/// What one engine thinks of the audience, as of the snapshot an intent is routed on.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Vote {
    /// Nothing known yet.
    #[default]
    Abstain,
    /// Last time it let the audience pass.
    Agree,
    /// Last time it flagged or stopped the audience.
    Dissent,
}

/// The engine consensus vector (IRM-3.1.5): one [`Vote`] per layer, two bits each.
///
/// Identity's and the Intent Engine's votes are those of the route itself; the
/// others are standing votes from the session's last route.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Consensus(u16);

impl Consensus {
    /// All abstain.
    pub const NONE: Self = Self(0);

    /// The vote of one engine.
    pub const fn vote(self, layer: LayerId) -> Vote {
        match (self.0 >> (2 * layer as u16)) & 0b11 {
            1 => Vote::Agree,
            2 => Vote::Dissent,
            _ => Vote::Abstain,
        }
    }

    /// The vector with one engine's vote set.
    #[must_use]
    pub const fn with(self, layer: LayerId, vote: Vote) -> Self {
        let shift = 2 * layer as u16;
        Self((self.0 & !(0b11 << shift)) | ((vote as u16) << shift))
    }

    /// The vector's bits: two per layer, Identity lowest; 0 abstain, 1 agree, 2 dissent.
    pub const fn bits(self) -> u16 {
        self.0
    }
}

impl fmt::Debug for Consensus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Consensus({self})")
    }
}

impl fmt::Display for Consensus {
    /// One character per layer in order: `+` agree, `-` dissent, `.` abstain.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        LayerId::ALL.iter().try_for_each(|layer| {
            f.write_str(match self.vote(*layer) {
                Vote::Agree => "+",
                Vote::Dissent => "-",
                Vote::Abstain => ".",
            })
        })
    }
}

impl Serialize for Consensus {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl Encode for Consensus {
    fn encode(&self, out: &mut Writer) {
        out.u16(self.0);
    }
}

impl Decode for Consensus {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bits = input.u16()?;
        if LayerId::ALL.iter().any(|l| (bits >> (2 * *l as u16)) & 0b11 == 3) {
            return Err(input.invalid("a consensus vector"));
        }
        Ok(Self(bits))
    }
}

/// Behavioural drift (IRM-4.3, D-22), in ascending order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// As before.
    #[default]
    None,
    /// Unusual: goes on, flagged; Governance must rule on the flag.
    Soft,
    /// Inconsistent: suspended and referred to Governance.
    Hard,
}

byte_enum!(Drift, "a drift", { None = 0, Soft = 1, Hard = 2, });

/// What is taken away from an intent in Protected Mode (D-52, "modify"). It only
/// ever takes away: arguments are left out, effects are dropped, modules excluded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Narrowing {
    /// Arguments that are left out.
    pub drop_arguments: Vec<Box<str>>,
    /// Modules that may not be used.
    pub exclude_modules: Vec<ModuleId>,
    /// Nothing with an effect may be done.
    pub read_only: bool,
}

impl Narrowing {
    /// Whether it takes nothing away.
    pub fn is_empty(&self) -> bool {
        self.drop_arguments.is_empty() && self.exclude_modules.is_empty() && !self.read_only
    }

    /// Takes away what either takes away.
    pub fn absorb(&mut self, other: Self) {
        self.drop_arguments.extend(other.drop_arguments);
        self.drop_arguments.sort_unstable();
        self.drop_arguments.dedup();
        self.exclude_modules.extend(other.exclude_modules);
        self.exclude_modules.sort_unstable();
        self.exclude_modules.dedup();
        self.read_only |= other.read_only;
    }
}

/// How an execution path is run (IRM-3.2), in ascending order of restriction.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum SafetyMode {
    /// As the template says.
    #[default]
    Normal,
    /// Protected Mode: narrowed arguments or modules.
    Protected,
    /// Nothing with an effect.
    ReadOnly,
}

byte_enum!(SafetyMode, "a safety mode", { Normal = 0, Protected = 1, ReadOnly = 2, });

/// What a module may do to the world (PLAN-6, "capability tier"), in ascending order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum CapabilityTier {
    /// Reads only.
    #[default]
    Observe,
    /// Effects inside the organisation that can be undone.
    Act,
    /// Effects that leave the organisation or cannot be undone.
    Commit,
    /// Privileged operations.
    Privileged,
}

byte_enum!(CapabilityTier, "a capability tier", { Observe = 0, Act = 1, Commit = 2, Privileged = 3, });

/// The decision of the Safety Envelope v2.0, in ascending order of restriction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EnvelopeDecision {
    /// Within every bound.
    Allow,
    /// Only in Protected Mode.
    Limit,
    /// Only after a person looked.
    Hold,
    /// Not at all (ASM2-7.2: escalates the audience).
    Block,
}

byte_enum!(EnvelopeDecision, "an envelope decision", { Allow = 0, Limit = 1, Hold = 2, Block = 3, });

macro_rules! gate_verdicts {
    ($($(#[$doc:meta])* $type:ident($decision:ty);)*) => {$(
        $(#[$doc])*
        ///
        /// Minted by its component alone; bound to the component's digest.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub struct $type {
            decision: $decision,
            digest: Digest,
        }

        impl $type {
            pub(crate) const fn mint(decision: $decision, digest: Digest) -> Self {
                Self { decision, digest }
            }

            /// What was decided.
            pub const fn decision(&self) -> $decision {
                self.decision
            }

            /// The digest of the rules it was decided under.
            pub const fn digest(&self) -> Digest {
                self.digest
            }
        }
    )*};
}

gate_verdicts! {
    /// The verdict of the Safety Envelope v2.0.
    EnvelopeVerdict(EnvelopeDecision);
    /// The verdict of the Kernel Constitutional Rules v1.2.
    KernelVerdict(KernelDecision);
}

/// The decision of the Kernel Constitutional Rules v1.2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KernelDecision {
    /// Constitutional, also for privileged operations.
    ConstitutionalClearance,
    /// Constitutional for what is not privileged.
    Clear,
    /// A violation of the rule with this number (index into the kernel's list).
    Violation(u8),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consensus_holds_a_vote_per_layer() {
        let mut vector = Consensus::NONE;
        for layer in LayerId::ALL {
            for vote in [Vote::Agree, Vote::Dissent, Vote::Abstain, Vote::Agree] {
                vector = vector.with(layer, vote);
                assert_eq!(vector.vote(layer), vote);
            }
        }
        assert_eq!(vector.bits(), 0x5555);
        assert!(Consensus::from_canonical(&[0b11, 0]).is_err());
    }

    #[test]
    fn a_detail_is_cut_between_characters() {
        let of = |text: &str| Reason::new(ReasonCode::NoRule).detail(text).detail;
        let whole = "x".repeat(DETAIL_BYTES);
        assert_eq!(*of(&whole), *whole);
        for long in ["x".repeat(DETAIL_BYTES + 1), "é€😀".repeat(DETAIL_BYTES)] {
            let cut = of(&long);
            let kept = cut.strip_suffix('…').unwrap();
            assert!(long.starts_with(kept), "{cut}");
            assert!((DETAIL_BYTES - 3..=DETAIL_BYTES).contains(&cut.len()), "{}", cut.len());
        }
    }

    #[test]
    fn flags_have_names_and_known_bits_only() {
        let set = SafetyFlags::EFFECT.union(SafetyFlags::FINANCIAL);
        assert_eq!(alloc::format!("{set}"), "effect financial");
        assert!(SafetyFlags::from_bits(1 << 31).is_none());
        assert_eq!(SafetyFlags::from_canonical(&set.to_canonical()), Ok(set));
    }
}
