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
    sources: BTreeSet<Source>,
    #[serde(default)]
    sensitivity: Sensitivity,
}

impl Label {
    /// The label of nothing: no source, public. The neutral element of [`Label::join`].
    pub const fn empty() -> Self {
        Self { sources: BTreeSet::new(), sensitivity: Sensitivity::Public }
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
        self.sources.extend(other.sources.iter().cloned());
        self.sensitivity = self.sensitivity.max(other.sensitivity);
    }

    /// The sources in order.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.sources.iter()
    }

    /// The sensitivity.
    pub const fn sensitivity(&self) -> Sensitivity {
        self.sensitivity
    }

    /// Whether the user is among the sources.
    pub fn has_user(&self) -> bool {
        self.sources.contains(&Source::User)
    }

    /// Whether anything from outside is among the sources.
    pub fn is_outside(&self) -> bool {
        self.sources.iter().any(|s| matches!(s, Source::Outside(_)))
    }

    /// Whether every source is one that `allowed` accepts. An empty label has no
    /// source to vouch for it and is never within anything.
    pub fn within(&self, allowed: impl Fn(&Source) -> bool) -> bool {
        !self.sources.is_empty() && self.sources.iter().all(allowed)
    }
}

impl From<Source> for Label {
    fn from(source: Source) -> Self {
        Self { sources: BTreeSet::from([source]), sensitivity: Sensitivity::Public }
    }
}

impl fmt::Display for Label {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.sources.is_empty() {
            return f.write_str("no source");
        }
        for (i, source) in self.sources.iter().enumerate() {
            f.write_str(if i == 0 { "" } else { " + " })?;
            source.fmt(f)?;
        }
        Ok(())
    }
}

impl Encode for Label {
    fn encode(&self, out: &mut Writer) {
        out.count(self.sources.len());
        for source in &self.sources {
            out.value(source);
        }
        out.value(&self.sensitivity);
    }
}

impl Decode for Label {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let mut sources = BTreeSet::new();
        for _ in 0..input.count(1)? {
            let source: Source = input.value()?;
            if sources.last().is_some_and(|last| *last >= source) {
                return Err(input.invalid("unique sources in ascending order"));
            }
            sources.insert(source);
        }
        Ok(Self { sources, sensitivity: input.value()? })
    }
}
