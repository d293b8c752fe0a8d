//! Which sources a rule speaks of.
//!
//! A [`SourcePattern`] is written as one word: `user`, `memory`, `policy`,
//! `agent`, `module` (any), `module:NAME`, `outside` (any) or `outside:NAME`.
//!
//! ```
//! use prospera::provenance::{Source, SourcePattern};
//! let any: SourcePattern = "outside".parse()?;
//! let web: SourcePattern = "outside:web".parse()?;
//! let mail = Source::Outside("mail".parse()?);
//! assert!(any.matches(&mail) && !web.matches(&mail));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

use alloc::string::{String, ToString};
use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::encode::{Encode, Writer};
use crate::id::{ModuleId, Name, NameError};
use crate::provenance::Source;

/// A class of sources.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum SourcePattern {
    /// [`Source::User`].
    User,
    /// [`Source::Memory`].
    Memory,
    /// [`Source::Policy`].
    Policy,
    /// [`Source::Agent`].
    Agent,
    /// The output of any module, or of the named one.
    Module(Option<ModuleId>),
    /// Anything from outside, or from the named source.
    Outside(Option<Name>),
}

/// A text that names no class of sources.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SourcePatternError {
    /// The word is unknown.
    #[error(
        "expected `user`, `memory`, `policy`, `agent`, `module`, `module:NAME`, `outside` or `outside:NAME`, found `{found}`"
    )]
    Unknown {
        /// The text, at most 64 characters of it.
        found: String,
    },
    /// What stands behind the colon is no name.
    #[error(transparent)]
    Name(#[from] NameError),
}

impl SourcePattern {
    /// Whether a source is of this class.
    pub fn matches(&self, source: &Source) -> bool {
        match (self, source) {
            (Self::User, Source::User)
            | (Self::Memory, Source::Memory)
            | (Self::Policy, Source::Policy)
            | (Self::Agent, Source::Agent)
            | (Self::Module(None), Source::Module(_))
            | (Self::Outside(None), Source::Outside(_)) => true,
            (Self::Module(Some(name)), Source::Module(found)) => name == found,
            (Self::Outside(Some(name)), Source::Outside(found)) => name == found,
            _ => false,
        }
    }
}

impl FromStr for SourcePattern {
    type Err = SourcePatternError;

    fn from_str(text: &str) -> Result<Self, SourcePatternError> {
        Ok(match text {
            "user" => Self::User,
            "memory" => Self::Memory,
            "policy" => Self::Policy,
            "agent" => Self::Agent,
            "module" => Self::Module(None),
            "outside" => Self::Outside(None),
            _ => match text.split_once(':') {
                Some(("module", name)) => Self::Module(Some(name.parse()?)),
                Some(("outside", name)) => Self::Outside(Some(name.parse()?)),
                _ => {
                    let found = text.chars().take(64).collect();
                    return Err(SourcePatternError::Unknown { found });
                }
            },
        })
    }
}

impl TryFrom<String> for SourcePattern {
    type Error = SourcePatternError;

    fn try_from(text: String) -> Result<Self, SourcePatternError> {
        text.parse()
    }
}

impl From<SourcePattern> for String {
    fn from(pattern: SourcePattern) -> Self {
        pattern.to_string()
    }
}

impl fmt::Display for SourcePattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::User => f.write_str("user"),
            Self::Memory => f.write_str("memory"),
            Self::Policy => f.write_str("policy"),
            Self::Agent => f.write_str("agent"),
            Self::Module(None) => f.write_str("module"),
            Self::Module(Some(name)) => write!(f, "module:{name}"),
            Self::Outside(None) => f.write_str("outside"),
            Self::Outside(Some(name)) => write!(f, "outside:{name}"),
        }
    }
}

impl Encode for SourcePattern {
    fn encode(&self, out: &mut Writer) {
        out.text(&self.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_read_and_show_alike_and_match_their_class_alone() {
        let sources = [
            Source::User,
            Source::Memory,
            Source::Policy,
            Source::Agent,
            Source::Module("m".parse().unwrap()),
            Source::Outside("web".parse().unwrap()),
        ];
        let texts = ["user", "memory", "policy", "agent", "module", "outside"];
        for (i, text) in texts.iter().enumerate() {
            let pattern: SourcePattern = text.parse().unwrap();
            assert_eq!(pattern.to_string(), *text);
            for (j, source) in sources.iter().enumerate() {
                assert_eq!(pattern.matches(source), i == j, "{text} {source}");
            }
        }
        assert!("outside:web".parse::<SourcePattern>().unwrap().matches(&sources[5]));
        assert!(!"module:other".parse::<SourcePattern>().unwrap().matches(&sources[4]));
        for bad in ["", "User", "outside:", "anything", "web:outside"] {
            assert!(bad.parse::<SourcePattern>().is_err(), "{bad}");
        }
    }
}
