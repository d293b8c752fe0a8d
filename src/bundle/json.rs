//! The JSON form: the same content as the binary one, with what it says beside it.
//!
//! ```json
//! {
//!   "format": "prospera evidence bundle", "version": 1,
//!   "route": "64 hex digits",
//!   "checkpoint": "the signed note",
//!   "records": [{"record": "hex of the canonical bytes", "path": ["64 hex digits"],
//!                "index": 7, "kind": "evidence-block", "says": {}, …}],
//!   "payloads": [{"digest": "…", "plain": "hex", "says": {}},
//!                {"digest": "…", "fields": {"to": {"salt": "…", "text": "bob"},
//!                                           "sum": {"withheld": "…"}}}]
//! }
//! ```
//!
//! A leaf that is shown has its `salt`, and its value as `text`, `number` (exact, as text),
//! `bool`, `null`, `list` or `map` (the latter two empty); one that is not is `withheld`.
//! `entries` and `items` hold what a map and a list hold.
//!
//! INVARIANT (what it says): what is read is written again and compared, white space aside.
//! So nothing in a JSON bundle that is accepted differs from the bytes that are checked.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::Write as _;

use serde_json::{Map, Value as Json, json};

use super::{BUNDLE_VERSION, Bundle, Content, Payload, Proven};
use crate::audience::lineage::LineageEvent;
use crate::commitment::{Fields, Part, Salt};
use crate::digest::Digest;
use crate::encode::DecodeError;
use crate::governance::GovernanceDecision;
use crate::identity::SessionOpened;
use crate::limits::{BUNDLE_BYTES, FIELD_DEPTH};
use crate::routing::payloads::value_of;
use crate::routing::{EvidenceBlock, Outcome, PolicyPinned};
use crate::ssot::merkle::Hash;
use crate::ssot::note::{Note, NoteError};
use crate::ssot::record::{Record, RecordKind};
use crate::value::{Decimal, Value};

const FORMAT: &str = "prospera evidence bundle";

/// Why a text is no bundle in JSON.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JsonError {
    /// More than [`BUNDLE_BYTES`].
    #[error("expected a bundle of at most {BUNDLE_BYTES} bytes, found {found}")]
    TooLarge {
        /// How many there are.
        found: usize,
    },
    /// It is no JSON.
    #[error("expected JSON: {0}")]
    Syntax(#[from] serde_json::Error),
    /// A part is missing or of another form.
    #[error("expected {expected} at `{place}`")]
    Form {
        /// What.
        expected: &'static str,
        /// Where.
        place: String,
    },
    /// A record or payload cannot be read.
    #[error("`{place}` cannot be read: {source}")]
    Body {
        /// Where.
        place: String,
        /// Why not.
        source: DecodeError,
    },
    /// The checkpoint is no note.
    #[error("`checkpoint` cannot be read: {0}")]
    Checkpoint(#[from] NoteError),
    /// What it says is not what its bytes say, or it is written in another way than a
    /// bundle is.
    #[error("the text differs from what its bytes say, at byte {offset} (white space not counted)")]
    Says {
        /// Where the first difference is.
        offset: usize,
    },
}

impl Bundle {
    /// The form for reading.
    pub fn to_json(&self) -> Json {
        let named = self.named();
        let part = |digest: Digest| named.iter().find(|n| n.digest == digest).map(|n| n.part);
        let payloads = self.payloads.iter().map(|payload| shown(payload, part(payload.digest)));
        json!({
            "format": FORMAT,
            "version": BUNDLE_VERSION,
            "route": self.route,
            "checkpoint": self.checkpoint.to_string(),
            "records": self.records.iter().map(record).collect::<Vec<_>>(),
            "payloads": payloads.collect::<Vec<_>>(),
        })
    }

    /// Reads the form for reading. Nothing of it may be believed before it is verified.
    ///
    /// # Errors
    /// [`JsonError`].
    pub fn from_json(text: &str) -> Result<Self, JsonError> {
        if text.len() > BUNDLE_BYTES {
            return Err(JsonError::TooLarge { found: text.len() });
        }
        let json: Json = serde_json::from_str(text)?;
        let at = At { json: &json, place: String::new() };
        if at.get("format")?.text()? != FORMAT {
            return Err(at.get("format")?.form("`prospera evidence bundle`"));
        }
        if at.get("version")?.json.as_u64() != Some(u64::from(BUNDLE_VERSION)) {
            return Err(at.get("version")?.form("version 1"));
        }
        let route = at.get("route")?.digest()?;
        let checkpoint = Note::parse(at.get("checkpoint")?.text()?.as_bytes())?;
        let mut records = Vec::new();
        for item in at.get("records")?.items()? {
            let bytes = item.get("record")?.hex()?;
            let record = Record::decode_sealed(&bytes).map_err(|source| item.body(source))?;
            let path = item.get("path")?.items()?;
            let path = path.iter().map(|hash| Ok(Hash::from_bytes(*hash.digest()?.as_bytes())));
            records.push(Proven { record, path: path.collect::<Result<_, JsonError>>()? });
        }
        let mut payloads = Vec::new();
        for item in at.get("payloads")?.items()? {
            let digest = item.get("digest")?.digest()?;
            let content = match item.json.get("plain") {
                Some(_) => Content::Plain(item.get("plain")?.hex()?.into()),
                None => Content::Salted(item.get("fields")?.fields(FIELD_DEPTH)?),
            };
            payloads.push(Payload { digest, content });
        }
        let bundle = Self { route, checkpoint, records, payloads };
        if let Some(expected) = bundle.out_of_order() {
            return Err(at.form(expected));
        }
        let written = bundle.to_json().to_string();
        match difference(text, &written) {
            None => Ok(bundle),
            Some(offset) => Err(JsonError::Says { offset }),
        }
    }
}

/// Where two texts of JSON differ, white space outside of texts aside.
fn difference(text: &str, written: &str) -> Option<usize> {
    let (mut inside, mut escaped) = (false, false);
    let significant = text.bytes().filter(|byte| {
        if inside {
            (inside, escaped) = match byte {
                _ if escaped => (true, false),
                b'\\' => (true, true),
                b'"' => (false, false),
                _ => (true, false),
            };
            return true;
        }
        inside = *byte == b'"';
        !matches!(byte, b' ' | b'\n' | b'\r' | b'\t')
    });
    let mut expected = written.bytes();
    let mut offset = 0;
    for byte in significant {
        if expected.next() != Some(byte) {
            return Some(offset);
        }
        offset += 1;
    }
    expected.next().map(|_| offset)
}

fn record(proven: &Proven) -> Json {
    let record = &proven.record;
    let path: Vec<String> = proven.path.iter().map(ToString::to_string).collect();
    json!({
        "index": record.index(),
        "stream": record.stream().to_string(),
        "sequence": record.sequence(),
        "time": record.timestamp().to_string(),
        "kind": record.kind().name(),
        "digest": record.digest(),
        "says": says(record),
        "record": hex(record.bytes()),
        "path": path,
    })
}

/// What a record's body says, as far as this version knows its kind.
fn says(record: &Record) -> Json {
    fn of<T: serde::Serialize>(value: Option<T>) -> Json {
        value.and_then(|value| serde_json::to_value(value).ok()).unwrap_or(Json::Null)
    }
    match record.kind() {
        RecordKind::EvidenceBlock => of(record.read::<EvidenceBlock>().ok()),
        RecordKind::Outcome => of(record.read::<Outcome>().ok()),
        RecordKind::PolicyPinned => of(record.read::<PolicyPinned>().ok()),
        RecordKind::AudienceEvent => {
            of(record.read::<LineageEvent>().ok().map(|event| format!("{event}")))
        }
        RecordKind::SessionOpened => record.read::<SessionOpened>().ok().map_or(Json::Null, |o| {
            let names = |names: &crate::identity::Scopes| of(Some(names));
            let links = o.claims.delegation.iter();
            let link = |l: &crate::identity::DelegationLink| {
                json!({"principal": l.principal, "granted": names(&l.granted)})
            };
            json!({
                "principal": o.claims.principal, "kind": o.claims.kind.name(),
                "subject": o.claims.subject, "session": o.claims.session,
                "roles": of(Some(&o.claims.roles)), "scopes": names(&o.scopes),
                "delegation": links.map(link).collect::<Vec<_>>(),
                "consent": o.claims.consent, "claims": o.claims.digest(),
                "verified_at": o.verified_at.to_string(),
            })
        }),
        RecordKind::GovernanceDecision => {
            record.read::<GovernanceDecision>().ok().map_or(Json::Null, |d| {
                json!({
                    "matter": d.matter().name(), "granted": d.granted(),
                    "decider": d.decider(), "role": d.role(), "note": d.note(),
                    "decided_at": d.decided_at().to_string(),
                    "expires_at": d.expires_at().to_string(),
                })
            })
        }
        _ => Json::Null,
    }
}

fn shown(payload: &Payload, part: Option<Part>) -> Json {
    let mut out = Map::new();
    out.insert("digest".into(), json!(payload.digest));
    out.insert("part".into(), json!(part.map(Part::name)));
    match &payload.content {
        Content::Plain(bytes) => {
            let value = part.and_then(|part| value_of(part, bytes).ok());
            out.insert("says".into(), json!(value));
            out.insert("plain".into(), json!(hex(bytes)));
        }
        Content::Salted(fields) => {
            out.insert("fields".into(), fields_json(fields));
        }
    }
    Json::Object(out)
}

fn fields_json(fields: &Fields) -> Json {
    match fields {
        Fields::Withheld(digest) => json!({ "withheld": digest }),
        Fields::Leaf(salt, value) => {
            let (name, value) = match value {
                Value::Null => ("null", Json::Null),
                Value::Bool(value) => ("bool", json!(value)),
                Value::Number(number) => ("number", json!(number.to_string())),
                Value::Text(text) => ("text", json!(text)),
                Value::List(_) => ("list", json!([])),
                Value::Map(_) => ("map", json!({})),
            };
            let mut out = Map::new();
            out.insert(name.into(), value);
            out.insert("salt".into(), json!(hex(salt.as_bytes())));
            Json::Object(out)
        }
        Fields::Map(entries) => {
            let entries: Map<String, Json> =
                entries.iter().map(|(key, f)| (String::from(&**key), fields_json(f))).collect();
            json!({ "entries": entries })
        }
        Fields::List(items) => {
            json!({ "items": items.iter().map(fields_json).collect::<Vec<_>>() })
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a text cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

/// A place in the text.
struct At<'a> {
    json: &'a Json,
    place: String,
}

impl<'a> At<'a> {
    fn form(&self, expected: &'static str) -> JsonError {
        JsonError::Form { expected, place: self.place.clone() }
    }

    fn body(&self, source: DecodeError) -> JsonError {
        JsonError::Body { place: self.place.clone(), source }
    }

    fn get(&self, key: &'static str) -> Result<Self, JsonError> {
        let place =
            if self.place.is_empty() { key.into() } else { format!("{}.{key}", self.place) };
        match self.json.get(key) {
            Some(json) => Ok(At { json, place }),
            None => Err(JsonError::Form { expected: "a value", place }),
        }
    }

    fn text(&self) -> Result<&'a str, JsonError> {
        self.json.as_str().ok_or_else(|| self.form("a text"))
    }

    fn digest(&self) -> Result<Digest, JsonError> {
        self.text()?.parse().map_err(|_| self.form("64 hex digits"))
    }

    fn items(&self) -> Result<Vec<Self>, JsonError> {
        let items = self.json.as_array().ok_or_else(|| self.form("a list"))?;
        let at = |(number, json)| At { json, place: format!("{}[{number}]", self.place) };
        Ok(items.iter().enumerate().map(at).collect())
    }

    fn hex(&self) -> Result<Vec<u8>, JsonError> {
        let text = self.text()?.as_bytes();
        let digit = |byte: &u8| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        };
        let pairs = text.chunks(2).map(|pair| match pair {
            [high, low] => Some((digit(high)? << 4) | digit(low)?),
            _ => None,
        });
        pairs.collect::<Option<_>>().ok_or_else(|| self.form("pairs of hex digits"))
    }

    fn fields(&self, depth: usize) -> Result<Fields, JsonError> {
        let Some(below) = depth.checked_sub(1) else {
            return Err(self.form("fields nested less deep"));
        };
        if self.json.get("withheld").is_some() {
            return Ok(Fields::Withheld(self.get("withheld")?.digest()?));
        }
        if let Some(entries) = self.json.get("entries") {
            let entries = entries.as_object().ok_or_else(|| self.form("fields by key"))?;
            let mut out = BTreeMap::new();
            for (key, json) in entries {
                let at = At { json, place: format!("{}.{key}", self.place) };
                out.insert(Box::<str>::from(key.as_str()), at.fields(below)?);
            }
            return Ok(Fields::Map(out.into_iter().collect()));
        }
        if self.json.get("items").is_some() {
            let items = self.get("items")?.items()?;
            let items = items.iter().map(|item| item.fields(below)).collect::<Result<_, _>>()?;
            return Ok(Fields::List(items));
        }
        let salt = Salt::from_bytes(*self.get("salt")?.digest()?.as_bytes());
        Ok(Fields::Leaf(salt, self.leaf()?))
    }

    fn leaf(&self) -> Result<Value, JsonError> {
        let get = |key: &str| self.json.get(key);
        if let Some(text) = get("text") {
            let text = text.as_str().ok_or_else(|| self.form("a text"))?;
            return Ok(Value::from(text));
        }
        if let Some(number) = get("number") {
            let number = number.as_str().and_then(|text| text.parse::<Decimal>().ok());
            return number.map(Value::Number).ok_or_else(|| self.form("a number in quotes"));
        }
        if let Some(value) = get("bool") {
            return value.as_bool().map(Value::Bool).ok_or_else(|| self.form("true or false"));
        }
        match (get("null"), get("list"), get("map")) {
            (Some(_), None, None) => Ok(Value::Null),
            (None, Some(_), None) => Ok(Value::List(Vec::new())),
            (None, None, Some(_)) => Ok(Value::Map(BTreeMap::new())),
            _ => Err(self.form("a field")),
        }
    }
}
