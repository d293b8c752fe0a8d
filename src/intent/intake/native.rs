//! The project's own JSON: one request.
//!
//! ```json
//! {"kind": "send_money", "subject": "alice", "session": "s-1", "request": "r-7",
//!  "objective": "Pay the rent.", "arguments": {"to": "DE1", "amount": 1200},
//!  "labels": {"to": ["user", {"outside": "mail"}]},
//!  "reads": [{"key": "landlord", "version": 3}], "snapshot": "<64 hex digits>"}
//! ```
//!
//! `kind` is required, as are `subject`, `session` and `objective` where the channel
//! has none of its own. Where it has, `subject` and `session` must agree with it. An
//! unknown field is refused. `labels` names sources that flowed into an argument:
//! they are added to what is found.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::vec::Vec;

use crate::digest::Digest;
use crate::id::{SessionId, SnapshotId, SubjectId};
use crate::intent::intake::fields::{Fields, agreed, as_name, or_malformed, wrong};
use crate::intent::intake::{Channel, Expanded, Malformed, digest};
use crate::intent::schema::short;
use crate::intent::{Objective, ReadFact};
use crate::limits::Limits;
use crate::provenance::Source;
use crate::value::Value;
use crate::verdict::Reason;

/// Reads one request.
///
/// # Errors
/// [`Malformed`], to be routed as it is.
pub fn read(bytes: &[u8], channel: &Channel, limits: &Limits) -> Result<Expanded, Malformed> {
    or_malformed(bytes, channel, limits, |value| {
        let mut fields = Fields::of("", value).map_err(|reason| (reason, None, None))?;
        // Read first, so that what is refused is still known to be somebody's.
        let subject = fields
            .name::<SubjectId>("subject")
            .and_then(|found| agreed("/subject", found, channel.subject.as_ref()))
            .map_err(|reason| (reason, None, None))?;
        let session = fields
            .name::<SessionId>("session")
            .and_then(|found| agreed("/session", found, channel.session.as_ref()))
            .map_err(|reason| (reason, Some(subject.clone()), None))?;
        expand(fields, (subject.clone(), session.clone()), bytes, channel)
            .map_err(|reason| (reason, Some(subject), Some(session)))
    })
}

fn expand(
    mut fields: Fields,
    (subject, session): (SubjectId, SessionId),
    bytes: &[u8],
    channel: &Channel,
) -> Result<Expanded, Reason> {
    let kind = fields.need_text("kind")?;
    let request = fields.name("request")?;
    let objective = fields.text("objective")?.map(|text| Objective::new(&text));
    let objective = objective
        .or_else(|| channel.objective.clone())
        .ok_or_else(|| wrong("", "field `objective`, as the channel has none", "none"))?;
    let arguments = fields.object("arguments")?;
    let mut claimed = BTreeMap::new();
    for (name, sources) in fields.object("labels")? {
        let path = format!("/labels/{}", short(&name));
        if !arguments.contains_key(&name) {
            return Err(wrong(&path, "the label of an argument", "no such argument"));
        }
        claimed.insert(name, list(&path, sources, source)?);
    }
    let reads = fields.take("reads").map(|reads| list("/reads", reads, read_fact)).transpose()?;
    let snapshot = fields.text("snapshot")?.map(|text| {
        text.parse::<Digest>().map(SnapshotId::new).map_err(|error| {
            wrong("/snapshot", "a digest", &format!("a text that is none: {error}"))
        })
    });
    fields.finish()?;
    Ok(Expanded {
        kind,
        subject,
        session,
        request,
        objective,
        instruction: channel.instruction.clone(),
        arguments,
        claimed,
        reads: reads.unwrap_or_default(),
        snapshot: snapshot.transpose()?,
        digest: digest(bytes),
    })
}

fn list<T>(
    path: &str,
    value: Value,
    each: impl Fn(&str, Value) -> Result<T, Reason>,
) -> Result<Vec<T>, Reason> {
    let Value::List(items) = value else {
        return Err(wrong(path, "a list", value.shape()));
    };
    items.into_iter().enumerate().map(|(i, item)| each(&format!("{path}/{i}"), item)).collect()
}

/// A source as [`Source`] is written in JSON: `"user"`, `{"outside": "web"}`.
fn source(path: &str, value: Value) -> Result<Source, Reason> {
    let unknown = |found: &str| {
        let found = format!("`{}`", short(found));
        wrong(path, "`user`, `memory`, `policy`, `agent`, `module` or `outside`", &found)
    };
    match value {
        Value::Text(text) => Ok(match &*text {
            "user" => Source::User,
            "memory" => Source::Memory,
            "policy" => Source::Policy,
            "agent" => Source::Agent,
            other => return Err(unknown(other)),
        }),
        Value::Map(entries) => {
            let mut entries = entries.into_iter();
            match (entries.next(), entries.next()) {
                (Some((key, Value::Text(name))), None) => match &*key {
                    "outside" => Ok(Source::Outside(as_name(path, &name)?)),
                    "module" => Ok(Source::Module(as_name(path, &name)?)),
                    other => Err(unknown(other)),
                },
                _ => Err(wrong(path, "one kind of source and its name", "a map of another form")),
            }
        }
        other => Err(wrong(path, "a source", other.shape())),
    }
}

fn read_fact(path: &str, value: Value) -> Result<ReadFact, Reason> {
    let mut fields = Fields::of(path, value)?;
    let key = fields.name("key")?.ok_or_else(|| wrong(path, "field `key`", "none"))?;
    let found = fields.need("version")?;
    let whole = found.as_number().filter(|number| number.scale() == 0);
    let version = whole.and_then(|number| u64::try_from(number.mantissa()).ok());
    let version =
        version.ok_or_else(|| wrong(&fields.path("version"), "a version number", found.shape()))?;
    fields.finish()?;
    Ok(ReadFact { key, version })
}
