//! The fields of an intent, as a value: what a salted commitment is made of, and what a
//! reader without the catalogue is shown.
//!
//! | key | value |
//! |---|---|
//! | `arguments` | by name: `value`, and `label` with `sensitivity` and `sources` |
//! | `catalogue` | digest of the catalogue that checked it, in hex |
//! | `kind`, `subject`, `session` | names |
//! | `reads` | list of `key` and `version` |
//! | `request` | the caller's mark, or null |
//! | `snapshot` | digest in hex, or null |
//!
//! Sources are written `user`, `memory`, `policy`, `agent`, `module NAME`, `outside NAME`.
//!
//! INVARIANT (injective): intents whose canonical bytes differ have values that differ.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use crate::encode::{DecodeError, Reader};
use crate::id::{FactKey, KindId, RequestId, SessionId, SnapshotId, SubjectId};
use crate::provenance::{Label, Sensitivity};
use crate::value::{Decimal, Value};

/// The fields of an intent, by its canonical bytes.
///
/// # Errors
/// [`DecodeError`] when they are not the canonical bytes of an intent.
pub fn of_canonical(bytes: &[u8]) -> Result<Value, DecodeError> {
    let mut input = Reader::new(bytes);
    let (kind, subject): (KindId, SubjectId) = (input.value()?, input.value()?);
    let (session, request): (SessionId, Option<RequestId>) = (input.value()?, input.option()?);
    let mut arguments: BTreeMap<Box<str>, Value> = BTreeMap::new();
    for _ in 0..input.count(10)? {
        let name: Box<str> = input.text()?.into();
        if arguments.last_key_value().is_some_and(|(last, _)| *last >= name) {
            return Err(input.invalid("unique arguments in ascending order"));
        }
        let (value, label): (Value, Label) = (input.value()?, input.value()?);
        arguments.insert(name, map([("label", of_label(&label)), ("value", value)]));
    }
    let mut reads = Vec::new();
    for _ in 0..input.count(13)? {
        let (key, version): (FactKey, u64) = (input.value()?, input.u64()?);
        let version = Value::Number(Decimal::from(version));
        reads.push(map([("key", Value::from(key.as_str())), ("version", version)]));
    }
    let (snapshot, catalogue): (Option<SnapshotId>, _) = (input.option()?, input.digest()?);
    input.finish()?;
    let hex = |snapshot: SnapshotId| text(&snapshot.digest().to_string());
    Ok(map([
        ("arguments", Value::Map(arguments)),
        ("catalogue", text(&catalogue.to_string())),
        ("kind", text(kind.as_str())),
        ("reads", Value::List(reads)),
        ("request", request.map_or(Value::Null, |request| text(request.as_str()))),
        ("session", text(session.as_str())),
        ("snapshot", snapshot.map_or(Value::Null, hex)),
        ("subject", text(subject.as_str())),
    ]))
}

fn of_label(label: &Label) -> Value {
    let sources = label.sources().map(|source| text(&format!("{source}")));
    let sensitivity = match label.sensitivity() {
        Sensitivity::Public => "public",
        Sensitivity::Internal => "internal",
        Sensitivity::Personal => "personal",
        Sensitivity::Secret => "secret",
    };
    map([("sensitivity", text(sensitivity)), ("sources", Value::List(sources.collect()))])
}

fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Map(entries.into_iter().map(|(key, value)| (Box::from(key), value)).collect())
}

fn text(text: &str) -> Value {
    Value::from(text)
}
