//! Names: who, what and where, as short checked texts.
//!
//! A [`Name`] is 1 to 200 bytes of UTF-8 without control characters and without
//! space at either end. Cloning one copies a pointer. Each use has a type of its
//! own, so that a subject cannot stand where a session is expected.
//!
//! ```
//! use prospera::id::{SessionId, SubjectId};
//! let subject: SubjectId = "alice@example.org".parse()?;
//! assert!("".parse::<SessionId>().is_err());
//! assert_eq!(subject.as_str(), "alice@example.org");
//! # Ok::<(), prospera::id::NameError>(())
//! ```

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::digest::Digest;
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer, byte_enum};
use crate::limits::NAME_BYTES;

/// A short checked text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(Arc<str>);

/// A text that is no name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// Nothing, or more than [`NAME_BYTES`].
    #[error("expected a name of 1 to {NAME_BYTES} bytes, found {found}")]
    Length {
        /// The length in bytes.
        found: usize,
    },
    /// A control character, or space at an end.
    #[error(
        "expected a name without control characters or outer space, found one at byte {position} of `{found}`"
    )]
    Character {
        /// Byte offset of the character.
        position: usize,
        /// The text, control characters escaped.
        found: String,
    },
}

impl Name {
    /// Checks and wraps a text.
    ///
    /// # Errors
    /// [`NameError`] when the text is empty, too long or has a forbidden character.
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() || text.len() > NAME_BYTES {
            return Err(NameError::Length { found: text.len() });
        }
        let bad = |position| NameError::Character {
            position,
            found: text.chars().flat_map(char::escape_default).collect(),
        };
        if let Some((position, _)) = text.char_indices().find(|(_, c)| c.is_control()) {
            return Err(bad(position));
        }
        if text.starts_with(char::is_whitespace) {
            return Err(bad(0));
        }
        if text.ends_with(char::is_whitespace) {
            return Err(bad(text.len() - 1));
        }
        Ok(Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.0)
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Name {
    type Error = NameError;

    fn try_from(text: String) -> Result<Self, NameError> {
        Self::new(&text)
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        String::from(&*name.0)
    }
}

impl core::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl Encode for Name {
    fn encode(&self, out: &mut Writer) {
        out.text(&self.0);
    }
}

impl Decode for Name {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let text = input.text()?;
        Self::new(text).map_err(|_| input.invalid("a name"))
    }
}

macro_rules! names {
    ($($(#[$doc:meta])* $type:ident,)*) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $type(Name);

        impl $type {
            /// Checks and wraps a text.
            ///
            /// # Errors
            /// [`NameError`] as [`Name::new`].
            pub fn new(text: &str) -> Result<Self, NameError> {
                Name::new(text).map(Self)
            }

            /// The text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }

            /// The name itself.
            pub const fn name(&self) -> &Name {
                &self.0
            }
        }

        impl From<Name> for $type {
            fn from(name: Name) -> Self {
                Self(name)
            }
        }

        impl FromStr for $type {
            type Err = NameError;
            fn from_str(text: &str) -> Result<Self, NameError> {
                Self::new(text)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl core::borrow::Borrow<str> for $type {
            fn borrow(&self) -> &str {
                self.as_str()
            }
        }

        impl Encode for $type {
            fn encode(&self, out: &mut Writer) {
                self.0.encode(out);
            }
        }

        impl Decode for $type {
            fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Name::decode(input).map(Self)
            }
        }
    )*};
}

names! {
    /// Whom an intent is done for: the audience's subject.
    SubjectId,
    /// One session of a subject.
    SessionId,
    /// Who acts: the token's subject, the last of a delegation chain, an approver.
    PrincipalId,
    /// A kind of intent in the catalogue.
    KindId,
    /// A module that carries out effects.
    ModuleId,
    /// A rule of any policy: governance rule, table row, matrix cell, kernel rule.
    RuleId,
    /// An execution template of the routing table.
    TemplateId,
    /// A key of the Memory System.
    FactKey,
    /// The caller's own mark for one request.
    RequestId,
}

/// The context snapshot an intent is routed on (IRM-3.1.3): the digest of the last
/// record of the subject's memory stream, zeros when it has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SnapshotId(Digest);

impl SnapshotId {
    /// The snapshot that ends in the record with this digest.
    pub const fn new(digest: Digest) -> Self {
        Self(digest)
    }

    /// The digest of the last record.
    pub const fn digest(&self) -> Digest {
        self.0
    }

    pub(crate) const fn digest_bytes(&self) -> &[u8; crate::digest::DIGEST_LEN] {
        self.0.as_bytes()
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Encode for SnapshotId {
    fn encode(&self, out: &mut Writer) {
        out.digest(&self.0);
    }
}

impl Decode for SnapshotId {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.digest().map(Self)
    }
}

/// The eight layers of the routing path, in their order (IRM-2), as run-time values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LayerId {
    /// Step 1.
    Identity,
    /// Step 2.
    Intent,
    /// Step 3.
    Modeling,
    /// Step 4.
    Memory,
    /// Step 5.
    Safety,
    /// Step 6.
    Governance,
    /// Step 7.
    Pipeline,
    /// Step 8.
    Execution,
}

impl LayerId {
    /// All layers in routing order.
    pub const ALL: [Self; 8] = [
        Self::Identity,
        Self::Intent,
        Self::Modeling,
        Self::Memory,
        Self::Safety,
        Self::Governance,
        Self::Pipeline,
        Self::Execution,
    ];

    /// The specification's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "Identity",
            Self::Intent => "Intent Engine",
            Self::Modeling => "Modeling",
            Self::Memory => "Memory",
            Self::Safety => "Safety",
            Self::Governance => "Governance",
            Self::Pipeline => "Pipeline",
            Self::Execution => "Execution",
        }
    }

    /// The step's number in IRM §4, from 1.
    pub const fn step(self) -> u8 {
        self as u8 + 1
    }
}

impl fmt::Display for LayerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

byte_enum!(LayerId, "a layer", {
    Identity = 1, Intent = 2, Modeling = 3, Memory = 4,
    Safety = 5, Governance = 6, Pipeline = 7, Execution = 8,
});

/// The subsystem a record comes from (ASM2-9, "source subsystem").
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Subsystem {
    /// Identity System.
    Identity,
    /// Intent System.
    Intent,
    /// Modeling System.
    Modeling,
    /// Memory System.
    Memory,
    /// Safety System.
    Safety,
    /// Governance Layer.
    Governance,
    /// Pipeline System.
    Pipeline,
    /// Execution System.
    Execution,
    /// Audience State Machine.
    Audience,
    /// Routing System.
    Routing,
    /// The log itself.
    Ssot,
}

impl Subsystem {
    /// The subsystem's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Identity => "identity",
            Self::Intent => "intent",
            Self::Modeling => "modeling",
            Self::Memory => "memory",
            Self::Safety => "safety",
            Self::Governance => "governance",
            Self::Pipeline => "pipeline",
            Self::Execution => "execution",
            Self::Audience => "audience",
            Self::Routing => "routing",
            Self::Ssot => "ssot",
        }
    }
}

byte_enum!(Subsystem, "a subsystem", {
    Identity = 1, Intent = 2, Modeling = 3, Memory = 4, Safety = 5, Governance = 6,
    Pipeline = 7, Execution = 8, Audience = 9, Routing = 10, Ssot = 11,
});

impl From<LayerId> for Subsystem {
    fn from(layer: LayerId) -> Self {
        match layer {
            LayerId::Identity => Self::Identity,
            LayerId::Intent => Self::Intent,
            LayerId::Modeling => Self::Modeling,
            LayerId::Memory => Self::Memory,
            LayerId::Safety => Self::Safety,
            LayerId::Governance => Self::Governance,
            LayerId::Pipeline => Self::Pipeline,
            LayerId::Execution => Self::Execution,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_refuse_what_would_confuse_a_reader() {
        for bad in ["", " a", "a ", "a\nb", "a\u{7f}"] {
            assert!(Name::new(bad).is_err(), "{bad:?}");
        }
        assert!(Name::new(&"x".repeat(NAME_BYTES)).is_ok());
        assert!(Name::new(&"x".repeat(NAME_BYTES + 1)).is_err());
    }
}
