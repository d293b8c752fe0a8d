//! Where a value came from, carried to the argument it ends up in.
//!
//! A [`Label`] is the set of [`Source`]s that flowed into a value and its
//! [`Sensitivity`]. Labels form a join semilattice: combining two values joins
//! their labels (union of sources, higher sensitivity), and a join never forgets.
//! (Denning, "A lattice model of secure information flow", CACM 19(5), 1976;
//! applied to agents as in `CaMeL`, arXiv:2503.18813.)
//!
//! ```
//! use prospera::provenance::{Label, Source};
//! let user = Label::from(Source::User);
//! let page = Label::from(Source::Outside("web".parse()?));
//! let both = user.join(&page);
//! assert!(both.is_outside() && both.has_user());
//! # Ok::<(), prospera::id::NameError>(())
//! ```

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use serde::{Deserialize, Serialize};

use crate::encode::{Decode, DecodeError, Encode, Reader, Writer, byte_enum};
use crate::id::{ModuleId, Name};

pub use pattern::{SourcePattern, SourcePatternError};

mod pattern;

/// One origin of a value.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Source {
    /// The person or system the intent is done for said so.
    User,
    /// A fact of the Memory System.
    Memory,
    /// A constant of the policy folder.
    Policy,
    /// The agent made it up; nobody vouches for it.
    Agent,
    /// The output of a module.
    Module(ModuleId),
    /// A document, page, mail or feed from outside, by the name of its source.
    Outside(Name),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("user"),
            Self::Memory => f.write_str("memory"),
            Self::Policy => f.write_str("policy"),
            Self::Agent => f.write_str("agent"),
            Self::Module(module) => write!(f, "module {module}"),
            Self::Outside(name) => write!(f, "outside {name}"),
        }
    }
}

impl Encode for Source {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::User => out.u8(1),
            Self::Memory => out.u8(2),
            Self::Policy => out.u8(3),
            Self::Agent => out.u8(4),
            Self::Module(module) => out.u8(5).value(module),
            Self::Outside(name) => out.u8(6).value(name),
        };
    }
}

impl Decode for Source {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        Ok(match input.u8()? {
            1 => Self::User,
            2 => Self::Memory,
            3 => Self::Policy,
            4 => Self::Agent,
            5 => Self::Module(input.value()?),
            6 => Self::Outside(input.value()?),
            other => return Err(Reader::bad_tag("a source", other, offset)),
        })
    }
}

/// How much harm a value's disclosure does, in ascending order.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Sensitivity {
    /// Anybody may know.
    #[default]
    Public,
    /// The organisation may know.
    Internal,
    /// Personal data.
    Personal,
    /// A credential or a secret.
    Secret,
}

byte_enum!(Sensitivity, "a sensitivity", { Public = 0, Internal = 1, Personal = 2, Secret = 3, });

/// The sources of a value and its sensitivity.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Label {
    /// In ascending order, each once; shared, because a label is copied far more often
    /// than it grows.
    sources: Sources,
    #[serde(default)]
    sensitivity: Sensitivity,
}

/// Sources in ascending order, each once. Cloning copies a pointer.
///
/// INVARIANT (canonical): `None` stands for no source; a slice is never empty.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(from = "BTreeSet<Source>", into = "Vec<Source>")]
struct Sources(Option<Arc<[Source]>>);

impl Sources {
    /// From sources in ascending order, each once.
    fn of(sources: Vec<Source>) -> Self {
        Self((!sources.is_empty()).then(|| sources.into()))
    }

    fn as_slice(&self) -> &[Source] {
        self.0.as_deref().unwrap_or_default()
    }

    fn absorb(&mut self, other: &Self) {
        let (own, new) = (self.as_slice(), other.as_slice());
        if new.iter().all(|source| own.binary_search(source).is_ok()) {
            return;
        }
        if own.is_empty() {
            self.clone_from(other);
            return;
        }
        // Most often one ends before the other begins.
        let follows = |first: &[Source], second: &[Source]| {
            first.last().zip(second.first()).is_some_and(|(last, next)| last < next)
        };
        *self = if follows(own, new) {
            Self(Some(own.iter().chain(new).cloned().collect()))
        } else if follows(new, own) {
            Self(Some(new.iter().chain(own).cloned().collect()))
        } else {
            let mut all: Vec<Source> = own.iter().chain(new).cloned().collect();
            all.sort_unstable();
            all.dedup();
            Self::of(all)
        };
    }
}

impl From<BTreeSet<Source>> for Sources {
    fn from(sources: BTreeSet<Source>) -> Self {
        Self::of(sources.into_iter().collect())
    }
}

impl From<Sources> for Vec<Source> {
    fn from(sources: Sources) -> Self {
        sources.as_slice().to_vec()
    }
}

impl Label {
    /// The label of nothing: no source, public. The neutral element of [`Label::join`].
    pub const fn empty() -> Self {
        Self { sources: Sources(None), sensitivity: Sensitivity::Public }
    }

    /// The same sources with at least this sensitivity.
    #[must_use]
    pub fn with_sensitivity(mut self, sensitivity: Sensitivity) -> Self {
        self.sensitivity = self.sensitivity.max(sensitivity);
        self
    }

    /// The label of a value that both flowed into.
    #[must_use]
    pub fn join(mut self, other: &Self) -> Self {
        self.absorb(other);
        self
    }

    /// Joins `other` into this label.
    pub fn absorb(&mut self, other: &Self) {
        self.sources.absorb(&other.sources);
        self.sensitivity = self.sensitivity.max(other.sensitivity);
    }

    /// The sources in order.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.as_slice().iter()
    }

    /// The sensitivity.
    pub const fn sensitivity(&self) -> Sensitivity {
        self.sensitivity
    }

    /// Whether the user is among the sources.
    pub fn has_user(&self) -> bool {
        self.sources.as_slice().binary_search(&Source::User).is_ok()
    }

    /// Whether anything from outside is among the sources.
    pub fn is_outside(&self) -> bool {
        self.sources.as_slice().iter().any(|s| matches!(s, Source::Outside(_)))
    }

    /// Whether every source is one that `allowed` accepts. An empty label has no
    /// source to vouch for it and is never within anything.
    pub fn within(&self, allowed: impl Fn(&Source) -> bool) -> bool {
        !self.sources.as_slice().is_empty() && self.sources.as_slice().iter().all(allowed)
    }
}

impl From<Source> for Label {
    fn from(source: Source) -> Self {
        Self { sources: Sources(Some(Arc::new([source]))), sensitivity: Sensitivity::Public }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sources.as_slice().is_empty() {
            return f.write_str("no source");
        }
        for (i, source) in self.sources.as_slice().iter().enumerate() {
            f.write_str(if i == 0 { "" } else { " + " })?;
            source.fmt(f)?;
        }
        Ok(())
    }
}

impl Encode for Label {
    fn encode(&self, out: &mut Writer) {
        out.list(self.sources.as_slice()).value(&self.sensitivity);
    }
}

impl Decode for Label {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut sources = Vec::new();
        for _ in 0..input.count(1)? {
            let source: Source = input.value()?;
            if sources.last().is_some_and(|last| *last >= source) {
                return Err(input.invalid("unique sources in ascending order"));
            }
            sources.push(source);
        }
        Ok(Self { sources: Sources::of(sources), sensitivity: input.value()? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> [Source; 6] {
        [
            Source::User,
            Source::Memory,
            Source::Agent,
            Source::Module("m".parse().unwrap()),
            Source::Module("n".parse().unwrap()),
            Source::Outside("web".parse().unwrap()),
        ]
    }

    fn chosen(bits: u32) -> BTreeSet<Source> {
        let numbered = all().into_iter().enumerate();
        numbered.filter(|(i, _)| bits & (1 << i) != 0).map(|(_, source)| source).collect()
    }

    fn label(sources: &BTreeSet<Source>) -> Label {
        sources.iter().cloned().fold(Label::empty(), |label, s| label.join(&Label::from(s)))
    }

    /// Every pair of sets of six sources, against sets.
    #[test]
    fn a_join_is_the_union() {
        for (one, other) in (0..64).flat_map(|one| (0..64).map(move |other| (one, other))) {
            let (one, other) = (chosen(one), chosen(other));
            let joined = label(&one).join(&label(&other));
            let union: BTreeSet<_> = one.union(&other).cloned().collect();
            assert!(joined.sources().eq(&union), "{one:?} + {other:?} = {joined}");
            assert_eq!(joined, label(&union), "one label, whatever the way to it");
            assert_eq!(Label::from_canonical(&joined.to_canonical()).as_ref(), Ok(&joined));
            let json = serde_json::to_string(&joined).unwrap();
            assert_eq!(serde_json::from_str::<Label>(&json).unwrap(), joined);
            assert_eq!(joined.has_user(), union.contains(&Source::User));
        }
    }

    #[test]
    fn sources_out_of_order_are_no_label() {
        let mut bytes = label(&chosen(0b11)).to_canonical();
        bytes.swap(4, 5);
        assert!(matches!(Label::from_canonical(&bytes), Err(DecodeError::Invalid { .. })));
    }
}
