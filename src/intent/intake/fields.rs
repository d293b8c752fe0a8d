//! Reading the fields of one JSON object, each at most once, none left over.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;

use crate::id::{Name, SessionId, SubjectId};
use crate::intent::intake::{Channel, Expanded, Malformed, digest};
use crate::intent::schema::short;
use crate::json;
use crate::limits::Limits;
use crate::value::Value;
use crate::verdict::{Reason, ReasonCode};

/// Why something is malformed, and whose it is as far as that was read.
pub(super) type Refused = (Reason, Option<SubjectId>, Option<SessionId>);

/// The reason that something stands at `path` that should not.
pub(super) fn wrong(path: &str, expected: &str, found: &str) -> Reason {
    let place = if path.is_empty() { "the submission".into() } else { format!("`{path}`") };
    Reason::new(ReasonCode::IntentMalformed)
        .detail(format!("expected {expected} in {place}, found {found}"))
}

/// Reads the bytes as JSON and expands them; what is refused becomes [`Malformed`].
pub(super) fn or_malformed(
    bytes: &[u8],
    channel: &Channel,
    limits: &Limits,
    expand: impl FnOnce(Value) -> Result<Expanded, Refused>,
) -> Result<Expanded, Malformed> {
    let read = json::parse(bytes, limits).map_err(|error| {
        let limit = error.kind().is_limit();
        let code = if limit { ReasonCode::IntentLimit } else { ReasonCode::IntentMalformed };
        (Reason::new(code).detail(format!("{error}")), None, None)
    });
    let whole = read.and_then(expand).and_then(|expanded| match too_many(&expanded, limits) {
        None => Ok(expanded),
        Some(reason) => Err((reason, Some(expanded.subject), Some(expanded.session))),
    });
    whole.map_err(|(reason, subject, session)| Malformed {
        digest: digest(bytes),
        subject: subject.or_else(|| channel.subject.clone()),
        session: session.or_else(|| channel.session.clone()),
        reason,
    })
}

/// Why a request has more arguments, or relies on more facts, than the limits let it.
fn too_many(expanded: &Expanded, limits: &Limits) -> Option<Reason> {
    let limit = limits.intent_items();
    let counts = [("arguments", expanded.arguments.len()), ("facts read", expanded.reads.len())];
    let (what, found) = counts.into_iter().find(|(_, found)| *found > limit)?;
    let detail = format!("expected at most {limit} {what}, found {found}");
    Some(Reason::new(ReasonCode::IntentLimit).detail(detail))
}

/// The fields of one object that are not taken yet.
#[derive(Debug)]
pub(super) struct Fields {
    path: String,
    rest: BTreeMap<Box<str>, Value>,
}

impl Fields {
    pub(super) fn of(path: &str, value: Value) -> Result<Self, Reason> {
        match value {
            Value::Map(rest) => Ok(Self { path: path.into(), rest }),
            other => Err(wrong(path, "an object", other.shape())),
        }
    }

    pub(super) fn path(&self, name: &str) -> String {
        let mut path = self.path.clone();
        json::push_pointer(&mut path, name);
        path
    }

    /// A field that may be missing; `null` is not missing.
    pub(super) fn take(&mut self, name: &str) -> Option<Value> {
        self.rest.remove(name)
    }

    pub(super) fn need(&mut self, name: &str) -> Result<Value, Reason> {
        let found = self.take(name);
        found.ok_or_else(|| wrong(&self.path, &format!("field `{name}`"), "none"))
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<Box<str>>, Reason> {
        match self.take(name) {
            None => Ok(None),
            Some(value) => as_text(&self.path(name), value).map(Some),
        }
    }

    pub(super) fn need_text(&mut self, name: &str) -> Result<Box<str>, Reason> {
        let value = self.need(name)?;
        as_text(&self.path(name), value)
    }

    pub(super) fn name<T: From<Name>>(&mut self, name: &str) -> Result<Option<T>, Reason> {
        let path = self.path(name);
        self.text(name)?.map(|text| as_name(&path, &text)).transpose()
    }

    pub(super) fn object(&mut self, name: &str) -> Result<BTreeMap<Box<str>, Value>, Reason> {
        match self.take(name) {
            None => Ok(BTreeMap::new()),
            Some(value) => Ok(Self::of(&self.path(name), value)?.rest),
        }
    }

    pub(super) fn finish(self) -> Result<(), Reason> {
        match self.rest.keys().next() {
            None => Ok(()),
            Some(name) => Err(wrong(&self.path, "no further field", &format!("`{}`", short(name)))),
        }
    }
}

pub(super) fn as_text(path: &str, value: Value) -> Result<Box<str>, Reason> {
    match value {
        Value::Text(text) => Ok(text),
        other => Err(wrong(path, "a text", other.shape())),
    }
}

pub(super) fn as_name<T: From<Name>>(path: &str, text: &str) -> Result<T, Reason> {
    let name = Name::new(text);
    name.map(T::from).map_err(|error| wrong(path, "a name", &format!("one that is none: {error}")))
}

/// The name found and the channel's: where both are there they must agree.
pub(super) fn agreed<T: From<Name> + Clone + Eq + core::fmt::Display>(
    path: &str,
    found: Option<T>,
    channel: Option<&T>,
) -> Result<T, Reason> {
    match (found, channel) {
        (Some(found), Some(known)) if found != *known => {
            Err(wrong(path, &format!("`{known}`, as of the channel"), &format!("`{found}`")))
        }
        (_, Some(known)) => Ok(known.clone()),
        (Some(found), None) => Ok(found),
        (None, None) => Err(wrong(path, "a name, as the channel has none", "none")),
    }
}
