//! Lines that speak for the host: sessions, facts, the user's words, decisions.
//!
//! ```json
//! {"session": {"token_file": "tokens/alice.jwt"}}
//! {"session": {"token": "eyJ…"}}
//! {"session": {"id": "s-1", "subject": "alice"}}
//! {"session": {"token_file": "tokens/alice.jwt", "signals": {"device": "d-1", "network": "AS64496/192.0.2.0"}}}
//! {"user": {"session": "s-1", "text": "Pay the rent."}}
//! {"fact": {"session": "s-1", "key": "landlord", "value": "DE1", "sources": ["user"]}}
//! {"decide": {"request": "r-7", "session": "s-1", "by": "s-boss", "grant": true}}
//! {"review": {"subject": "alice", "by": "s-boss"}}
//! {"release": {"subject": "alice", "by": "s-boss", "to": "BASE"}}
//! ```

use std::fmt::{self, Write as _};

use prospera::audience::state::State;
use prospera::id::{FactKey, Name, PrincipalId, SessionId, SubjectId};
use prospera::identity::{PrincipalKind, Signals};
use prospera::provenance::{Sensitivity, SourcePattern};
use serde::Deserialize;
use zeroize::Zeroizing;

/// One line of control.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Control {
    Session(SessionLine),
    User(UserLine),
    Fact(FactLine),
    Decide(DecideLine),
    Review(ReviewLine),
    Release(ReleaseLine),
}

/// A signed token as it stands in a line: whoever has it can act with it until it ends.
/// Not shown by `Debug`, and wiped when dropped.
pub(crate) struct Bearer(Zeroizing<String>);

impl<'de> Deserialize<'de> for Bearer {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|token| Self(Zeroizing::new(token)))
    }
}

impl Bearer {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Bearer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Bearer(hidden)")
    }
}

/// Opens a session: by a token, or by the host's word.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct SessionLine {
    pub(crate) token: Option<Bearer>,
    pub(crate) token_file: Option<String>,
    pub(crate) id: Option<SessionId>,
    pub(crate) subject: Option<SubjectId>,
    pub(crate) principal: Option<PrincipalId>,
    pub(crate) kind: Option<PrincipalKind>,
    pub(crate) roles: Option<Vec<Name>>,
    pub(crate) consent: Option<bool>,
    #[serde(default)]
    pub(crate) signals: Signals,
}

/// What the user of a session said.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct UserLine {
    pub(crate) session: SessionId,
    pub(crate) text: String,
}

/// A fact to remember.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FactLine {
    pub(crate) session: SessionId,
    pub(crate) key: FactKey,
    /// Read from the line itself, where numbers are exact.
    #[serde(default, rename = "value")]
    pub(crate) _value: serde::de::IgnoredAny,
    #[serde(default)]
    pub(crate) sources: Vec<SourcePattern>,
    #[serde(default)]
    pub(crate) sensitivity: Sensitivity,
    pub(crate) context: Option<Name>,
}

/// A person's answer to a route that was stepped up.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct DecideLine {
    pub(crate) request: String,
    pub(crate) session: SessionId,
    pub(crate) by: SessionId,
    pub(crate) grant: bool,
    #[serde(default)]
    pub(crate) note: String,
}

/// Governance has reviewed an escalation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReviewLine {
    pub(crate) subject: SubjectId,
    pub(crate) by: SessionId,
    #[serde(default)]
    pub(crate) note: String,
}

/// Governance lets a subject leave HOLD.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ReleaseLine {
    pub(crate) subject: SubjectId,
    pub(crate) by: SessionId,
    pub(crate) to: State,
    #[serde(default)]
    pub(crate) note: String,
}

const NAMES: [&str; 6] = ["session", "user", "fact", "decide", "review", "release"];

/// Whether a JSON value is a line of control: a map of one such name and a map.
pub(crate) fn is_control(value: &prospera::value::Value) -> bool {
    use prospera::value::Value;
    let Value::Map(entries) = value else { return false };
    let mut entries = entries.iter();
    matches!(
        (entries.next(), entries.next()),
        (Some((name, Value::Map(_))), None) if NAMES.contains(&&**name)
    )
}

/// Reads a line of control.
pub(crate) fn read(bytes: &[u8]) -> Result<Control, String> {
    serde_json::from_slice(bytes).map_err(|error| {
        let text = error.to_string();
        unquoted(text.split(" at line").next().unwrap_or_default())
    })
}

/// A message without the long texts that stand quoted in it: a token in the wrong place
/// must not be repeated.
fn unquoted(message: &str) -> String {
    let mut out = String::with_capacity(message.len());
    for (place, part) in message.split(['"', '`']).enumerate() {
        // Every second part stands between quotes.
        let quoted = place % 2 == 1;
        let length = part.chars().count();
        if place > 0 {
            out.push('`');
        }
        if quoted && length > LONGEST_QUOTED {
            // Writing to a text cannot fail.
            let _ = write!(out, "({length} characters)");
        } else {
            out.push_str(part);
        }
    }
    out
}

/// Longest text of a line that a message repeats, in characters.
const LONGEST_QUOTED: usize = 40;
