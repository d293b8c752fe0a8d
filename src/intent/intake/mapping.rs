//! Foreign JSON records as requests: `intake.toml` says which field is what.
//!
//! Recorded logs of agents come in as many forms as there are recorders. A mapping
//! names, by JSON pointer (RFC 6901), where in a record the parts of a request
//! stand; what stands elsewhere must be named as ignored, or the record is refused.
//!
//! ```toml
//! version = "1"
//! subject = "customer"                    # whom all records are for; or
//!                                         # subject_field = "/user", or ["/team", "/user"]
//! kind = "/function"
//! arguments = "/args"
//! objective = "/prompt"
//! session = ["/suite", "/task"]           # joined with `/`
//! request = ["/step"]                     # optional; joined likewise
//! ignored = ["difficulty", "error"]       # top-level names
//!
//! [instruction]                           # optional: who wrote the objective
//! field = "/origin"
//! [instruction.sources]
//! typed = "user"
//! page = { outside = "web" }
//! ```
//!
//! Without `instruction` the objectives are the channel's.
//!
//! A log whose records say which call was an attack already holds the answer: a
//! policy that refuses what such a field calls an attack shows nothing of how it does
//! without. To see that, route the attacked session with the user's own objective:
//! replace [`Expanded::objective`] and [`Expanded::instruction`] before submitting.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Deserialize;
use toml::Spanned;

use crate::digest::{Digest, Domain};
use crate::encode::{Encode, Writer};
use crate::files::{FileError, read_toml};
use crate::id::{Name, RequestId, SessionId, SubjectId};
use crate::intent::Objective;
use crate::intent::intake::fields::{agreed, as_name, or_malformed, wrong};
use crate::intent::intake::{Channel, Expanded, Malformed, digest};
use crate::intent::schema::short;
use crate::json;
use crate::limits::Limits;
use crate::provenance::Source;
use crate::value::Value;
use crate::verdict::Reason;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Name,
    subject: Option<SubjectId>,
    subject_field: Option<Spanned<Pointers>>,
    kind: Spanned<String>,
    arguments: Spanned<String>,
    objective: Spanned<String>,
    session: Vec<Spanned<String>>,
    #[serde(default)]
    request: Vec<Spanned<String>>,
    #[serde(default)]
    ignored: BTreeSet<Box<str>>,
    instruction: Option<InstructionFile>,
}

/// One pointer, or several that are joined.
#[derive(Deserialize)]
#[serde(untagged)]
enum Pointers {
    One(String),
    Several(Vec<String>),
}

/// The pointers, each at the place where the field stands: an untagged value has lost
/// its own.
fn into_list(found: Spanned<Pointers>) -> Vec<Spanned<String>> {
    let span = found.span();
    let list = match found.into_inner() {
        Pointers::One(one) => alloc::vec![one],
        Pointers::Several(list) => list,
    };
    list.into_iter().map(|pointer| Spanned::new(span.clone(), pointer)).collect()
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InstructionFile {
    field: Spanned<String>,
    sources: BTreeMap<Box<str>, Source>,
}

/// Where a record says who wrote the objective, and which source each value is.
type Instruction = (Box<str>, BTreeMap<Box<str>, Source>);

/// How a foreign record becomes a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    version: Name,
    subject: Option<SubjectId>,
    subject_field: Vec<Box<str>>,
    kind: Box<str>,
    arguments: Box<str>,
    objective: Box<str>,
    session: Vec<Box<str>>,
    request: Vec<Box<str>>,
    ignored: BTreeSet<Box<str>>,
    instruction: Option<Instruction>,
    /// Top-level names that a pointer starts with.
    used: BTreeSet<Box<str>>,
    digest: Digest,
}

impl Encode for Mapping {
    /// The text `intake mapping v1`, version, optional subject; then, each as count
    /// and texts, the pointers of subject, kind, arguments, objective, session and
    /// request, the ignored names, and the instruction's pointer; then count and per
    /// instruction value its text and source.
    fn encode(&self, out: &mut Writer) {
        out.text("intake mapping v1").value(&self.version).option(self.subject.as_ref());
        texts(out, self.subject_field.iter());
        texts(out, [&self.kind].into_iter());
        texts(out, [&self.arguments].into_iter());
        texts(out, [&self.objective].into_iter());
        texts(out, self.session.iter());
        texts(out, self.request.iter());
        texts(out, self.ignored.iter());
        match &self.instruction {
            None => texts(out, [].into_iter()),
            Some((field, sources)) => {
                texts(out, [field].into_iter());
                out.count(sources.len());
                for (value, source) in sources {
                    out.text(value).value(source);
                }
            }
        }
    }
}

impl Mapping {
    /// Reads an `intake.toml`; `file` is its name in messages.
    ///
    /// # Errors
    /// [`FileError`] that points at the place.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, FileError> {
        let read: File = read_toml(file, text)?;
        let pointer = |field: Spanned<String>| {
            if field.get_ref().len() > 1 && field.get_ref().starts_with('/') {
                return Ok(Box::<str>::from(field.into_inner()));
            }
            let message =
                format!("expected a JSON pointer such as `/kind`, found `{}`", field.get_ref());
            Err(FileError::at(file, text, field.span(), message))
        };
        let pointers = |fields: Vec<Spanned<String>>| {
            fields.into_iter().map(pointer).collect::<Result<Vec<_>, _>>()
        };
        if read.session.is_empty() {
            let message = "expected at least one field in `session`, found none";
            return Err(FileError::at(file, text, 0..0, message));
        }
        let subject_field = read.subject_field.map(into_list).unwrap_or_default();
        if let (Some(_), Some(field)) = (&read.subject, subject_field.first()) {
            let message = "expected `subject` or `subject_field`, found both";
            return Err(FileError::at(file, text, field.span(), message));
        }
        let mut mapping = Self {
            version: read.version,
            subject: read.subject,
            subject_field: pointers(subject_field)?,
            kind: pointer(read.kind)?,
            arguments: pointer(read.arguments)?,
            objective: pointer(read.objective)?,
            session: pointers(read.session)?,
            request: pointers(read.request)?,
            ignored: read.ignored,
            instruction: match read.instruction {
                None => None,
                Some(found) => Some((pointer(found.field)?, found.sources)),
            },
            used: BTreeSet::new(),
            digest: Digest::ZERO,
        };
        mapping.used = mapping.pointers().map(top).collect();
        mapping.digest = Domain::Policy.hash(&mapping.to_canonical());
        Ok(mapping)
    }

    fn pointers(&self) -> impl Iterator<Item = &str> {
        [&self.kind, &self.arguments, &self.objective]
            .into_iter()
            .chain(&self.session)
            .chain(&self.request)
            .chain(&self.subject_field)
            .chain(self.instruction.iter().map(|(field, _)| field))
            .map(|pointer| &**pointer)
    }

    /// Its digest, in [`Domain::Policy`].
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Reads one record.
    ///
    /// # Errors
    /// [`Malformed`], to be routed as it is.
    pub fn read(
        &self,
        bytes: &[u8],
        channel: &Channel,
        limits: &Limits,
    ) -> Result<Expanded, Malformed> {
        or_malformed(bytes, channel, limits, |record| {
            let subject = self.subject_of(&record, channel).map_err(|e| (e, None, None))?;
            let session = joined::<SessionId>(&record, &self.session, "session")
                .map_err(|reason| (reason, Some(subject.clone()), None))?;
            self.expand(&record, (subject.clone(), session.clone()), bytes, channel)
                .map_err(|reason| (reason, Some(subject), Some(session)))
        })
    }

    fn subject_of(&self, record: &Value, channel: &Channel) -> Result<SubjectId, Reason> {
        let found = match &*self.subject_field {
            [] => self.subject.clone(),
            [field] => Some(as_name(field, text_at(record, field)?)?),
            fields => Some(joined(record, fields, "subject")?),
        };
        agreed("/subject", found, channel.subject.as_ref())
    }

    fn expand(
        &self,
        record: &Value,
        (subject, session): (SubjectId, SessionId),
        bytes: &[u8],
        channel: &Channel,
    ) -> Result<Expanded, Reason> {
        let Value::Map(entries) = record else {
            return Err(wrong("", "an object", record.shape()));
        };
        let known = |name: &str| self.used.contains(name) || self.ignored.contains(name);
        if let Some(name) = entries.keys().find(|name| !known(name)) {
            let found = format!("`{}`", short(name));
            return Err(wrong("", "no field beside those mapped or ignored", &found));
        }
        let arguments = match json::at(record, &self.arguments) {
            Some(Value::Map(arguments)) => arguments.clone(),
            other => {
                let found = other.map_or("nothing", Value::shape);
                return Err(wrong(&self.arguments, "an object", found));
            }
        };
        let request: Option<RequestId> = match &*self.request {
            [] => None,
            fields => Some(joined(record, fields, "request")?),
        };
        let instruction = match &self.instruction {
            None => channel.instruction.clone(),
            Some((field, sources)) => {
                let found = text_at(record, field)?;
                let unknown =
                    || wrong(field, "a value with a source", &format!("`{}`", short(found)));
                sources.get(found).ok_or_else(unknown)?.clone()
            }
        };
        Ok(Expanded {
            kind: text_at(record, &self.kind)?.into(),
            subject,
            session,
            request,
            objective: Objective::new(text_at(record, &self.objective)?),
            instruction,
            arguments,
            claimed: BTreeMap::new(),
            reads: Vec::new(),
            snapshot: None,
            digest: digest(bytes),
        })
    }
}

/// Count and texts.
fn texts<'a>(out: &mut Writer, texts: impl ExactSizeIterator<Item = &'a Box<str>>) {
    out.count(texts.len());
    for text in texts {
        out.text(text);
    }
}

/// The top-level name a pointer starts with.
fn top(pointer: &str) -> Box<str> {
    let first = pointer.split('/').nth(1).unwrap_or_default();
    first.replace("~1", "/").replace("~0", "~").into()
}

fn text_at<'a>(record: &'a Value, pointer: &str) -> Result<&'a str, Reason> {
    match json::at(record, pointer) {
        Some(Value::Text(text)) => Ok(text),
        Some(other) => Err(wrong(pointer, "a text", other.shape())),
        None => Err(wrong(pointer, "a text", "nothing")),
    }
}

/// The fields' parts, joined to one name.
fn joined<T: From<Name>>(record: &Value, fields: &[Box<str>], what: &str) -> Result<T, Reason> {
    let parts: Result<Vec<String>, Reason> = fields
        .iter()
        .map(|field| match json::at(record, field) {
            // A `/` inside a part is escaped, so that two lists never join to one name.
            Some(Value::Text(text)) => Ok(text.replace('~', "~0").replace('/', "~1")),
            Some(Value::Number(number)) => Ok(number.to_string()),
            Some(other) => Err(wrong(field, "a text or number", other.shape())),
            None => Err(wrong(field, &format!("a part of the {what}"), "nothing")),
        })
        .collect();
    as_name(fields.first().map_or("", |field| field), &parts?.join("/"))
}
