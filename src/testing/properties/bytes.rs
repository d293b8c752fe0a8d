//! Bytes and texts from outside: files, JSON, submissions.

use std::format;

use super::super::world::Setup;
use super::super::{Broken, Held, must};
use super::route::Walk;
use crate::audience::matrix::Matrix;
use crate::digest::Digest;
use crate::execution::files::ModulesFile;
use crate::governance::Policy;
use crate::identity::IdentityPolicy;
use crate::intent::intake::{Channel, Mapping, mcp, native};
use crate::intent::{Catalogue, Objective, Submission};
use crate::json::{self, JsonErrorKind};
use crate::limits::Limits;
use crate::modeling::ModelingConfig;
use crate::provenance::Source;
use crate::routing::RoutingTable;
use crate::safety::Envelope;
use crate::value::Value;

/// A file of a policy folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileKind {
    /// `table.toml`.
    Table,
    /// `governance.toml`.
    Governance,
    /// `envelope.toml`.
    Envelope,
    /// `matrix.toml`.
    Matrix,
    /// `catalogue.toml`.
    Catalogue,
    /// `modules.toml`.
    Modules,
    /// `identity.toml`.
    Identity,
    /// `modeling.toml`.
    Modeling,
    /// `intake.toml`.
    Intake,
}

impl FileKind {
    /// All kinds.
    pub const ALL: [Self; 9] = [
        Self::Table,
        Self::Governance,
        Self::Envelope,
        Self::Matrix,
        Self::Catalogue,
        Self::Modules,
        Self::Identity,
        Self::Modeling,
        Self::Intake,
    ];

    /// The digest of what a text says, where it is a file of this kind.
    pub fn load(self, text: &str) -> Option<Digest> {
        match self {
            Self::Table => RoutingTable::from_toml("f", text).ok().map(|f| f.digest()),
            Self::Governance => Policy::from_toml("f", text).ok().map(|f| f.digest()),
            Self::Envelope => Envelope::from_toml("f", text).ok().map(|f| f.digest()),
            Self::Matrix => Matrix::from_toml(text).ok().map(|f| f.digest()),
            Self::Catalogue => {
                let load = |_: &str| Err("no schema files here".into());
                Catalogue::from_toml("f", text, load).ok().map(|f| f.digest())
            }
            Self::Modules => ModulesFile::parse("f", text).ok().map(|f| f.digest()),
            Self::Identity => IdentityPolicy::from_toml("f", text).ok().map(|f| f.digest()),
            Self::Modeling => ModelingConfig::from_toml("f", text).ok().map(|f| f.digest()),
            Self::Intake => Mapping::from_toml("f", text).ok().map(|f| f.digest()),
        }
    }
}

/// A text is a policy file of this kind or is refused; and what a file says has one
/// digest, whatever comments stand in it.
///
/// # Errors
/// [`Broken`] with the two digests.
pub fn files_load_soundly(kind: FileKind, text: &str) -> Held {
    let Some(digest) = kind.load(text) else { return Ok(()) };
    let property = "files_load_soundly";
    let again = kind.load(text);
    must(property, again == Some(digest), || format!("{kind:?}: {digest}, then {again:?}"))?;
    let commented = kind.load(&format!("# what it says\n{text}\n# is said\n"));
    must(property, commented == Some(digest), || {
        format!("{kind:?}: {digest}, with comments {commented:?}")
    })
}

/// The strict reader and `serde_json` agree on what JSON is; the strict reader refuses
/// beyond that only what it says it refuses: names given twice, numbers it cannot hold
/// exactly, and what is larger than a bound.
///
/// # Errors
/// [`Broken`] with what each reader says.
pub fn json_agrees(bytes: &[u8]) -> Held {
    let property = "json_agrees";
    let ours = json::parse(bytes, &Limits::DEFAULT);
    let theirs = serde_json::from_slice::<serde_json::Value>(bytes);
    match (ours, theirs) {
        (Err(_), Err(_)) => Ok(()),
        (Ok(ours), Err(error)) => {
            Err(Broken::new(property, format!("{ours} is read where serde_json says: {error}")))
        }
        (Err(error), Ok(theirs)) => {
            let known = error.kind().is_limit()
                || matches!(
                    error.kind(),
                    JsonErrorKind::Duplicate { .. } | JsonErrorKind::Number(_)
                );
            must(property, known, || format!("{error}, where serde_json reads {theirs}"))
        }
        (Ok(ours), Ok(theirs)) => {
            must(property, same(&ours, &theirs), || format!("{ours} is read as {theirs}"))?;
            match json::parse(format!("{ours}").as_bytes(), &Limits::DEFAULT) {
                Ok(again) => must(property, again == ours, || format!("{ours}, then {again}")),
                Err(error) => must(property, error.kind().is_limit(), || {
                    format!("{ours} cannot be read back: {error}")
                }),
            }?;
            super::round_trip(&ours)
        }
    }
}

/// Whether two readings are the same. Numbers with a fraction or an exponent are not
/// compared: one of the two is a double.
fn same(ours: &Value, theirs: &serde_json::Value) -> bool {
    match (ours, theirs) {
        (Value::Null, serde_json::Value::Null) => true,
        (Value::Bool(a), serde_json::Value::Bool(b)) => a == b,
        (Value::Number(a), serde_json::Value::Number(b)) => match (b.as_i64(), b.as_u64()) {
            (None, None) => true,
            (Some(b), _) => a.as_i64() == Some(b),
            (_, Some(b)) => a.scale() == 0 && a.mantissa() == i128::from(b),
        },
        (Value::Text(a), serde_json::Value::String(b)) => **a == **b,
        (Value::List(a), serde_json::Value::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Value::Map(a), serde_json::Value::Object(b)) => {
            a.len() == b.len() && a.iter().all(|(key, a)| b.get(&**key).is_some_and(|b| same(a, b)))
        }
        _ => false,
    }
}

/// The whole way from bytes: each line is a submission of the sample world
/// ([`Setup::sample`]). A line's first byte says what else happens: see
/// `fuzz/README.md`.
///
/// # Errors
/// [`Broken`] as [`super::script_is_sound`].
pub fn routes_from_bytes(bytes: &[u8]) -> Held {
    let failed = |error| Broken::new("routes_from_bytes", error);
    let world = Setup::sample().and_then(Setup::build).map_err(failed)?;
    let mut walk = Walk::open(&world)?;
    for line in bytes.split(|byte| *byte == b'\n').take(16) {
        match line {
            [b'+', ..] => walk.answer(true)?,
            [b'-', ..] => walk.answer(false)?,
            [b'~', digits @ ..] => {
                let millis = digits.iter().take(8).fold(0_u64, |n, d| n * 10 + u64::from(d % 10));
                world.clock.advance_millis(millis);
            }
            [b'>', agent @ ..] => {
                let context = walk.context();
                walk.submit(read(agent, Source::Agent, &world.catalogue, &context), || {
                    read(agent, Source::Agent, &world.catalogue, &context)
                })?;
            }
            line => {
                let context = walk.context();
                walk.submit(read(line, Source::User, &world.catalogue, &context), || {
                    read(line, Source::User, &world.catalogue, &context)
                })?;
            }
        }
    }
    walk.finish()
}

/// A line as a submission: the native form, or MCP's where it says `jsonrpc`.
fn read(
    line: &[u8],
    from: Source,
    catalogue: &Catalogue,
    context: &crate::provenance::Label,
) -> Submission {
    let mut channel = Channel::new(from);
    let jsonrpc = line.windows(9).any(|window| window == b"\"jsonrpc\"");
    let expanded = if jsonrpc {
        channel.subject = "alice".parse().ok();
        channel.session = "s-1".parse().ok();
        channel.objective = Some(Objective::new("Do what was asked."));
        mcp::read(line, &channel, &Limits::DEFAULT)
    } else {
        native::read(line, &channel, &Limits::DEFAULT)
    };
    match expanded {
        Ok(expanded) => expanded.submit(catalogue, context, None),
        Err(malformed) => Submission::Malformed(malformed),
    }
}
