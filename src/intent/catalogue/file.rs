//! `catalogue.toml`:
//! ```toml
//! version = "2026-01"
//!
//! [[kind]]
//! kind = "send_money"
//! description = "Sends money to an account."
//! tier = "commit"                        # observe, act, commit or privileged
//! flags = ["effect", "financial"]
//! scope = "payments"
//! reads_outside = "bank"                 # only where its output comes from outside
//! schema = "schemas/send_money.json"     # or the schema itself: '{"type": "object"}'
//! ```

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use serde::Deserialize;
use toml::Spanned;

use crate::files::{FileError, read_toml};
use crate::id::{KindId, Name};
use crate::intent::schema::JsonSchema;
use crate::intent::{Catalogue, KindSpec};
use crate::verdict::{CapabilityTier, SafetyFlags};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Name,
    #[serde(default)]
    kind: Vec<Spanned<KindFile>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KindFile {
    kind: Spanned<KindId>,
    description: Box<str>,
    tier: CapabilityTier,
    flags: SafetyFlags,
    scope: Name,
    reads_outside: Option<Name>,
    schema: Spanned<String>,
}

impl Catalogue {
    /// Reads a `catalogue.toml`; `file` is its name in messages, `load` gives the
    /// content of a schema file by the path that stands in it, or says why it cannot.
    ///
    /// # Errors
    /// [`FileError`] that points at the place.
    pub fn from_toml(
        file: &str,
        text: &str,
        mut load: impl FnMut(&str) -> Result<String, String>,
    ) -> Result<Self, FileError> {
        let read: File = read_toml(file, text)?;
        let mut seen: Vec<(KindId, usize)> = Vec::new();
        let mut builder = Self::builder(read.version);
        for entry in read.kind {
            let entry = entry.into_inner();
            let span = entry.kind.span();
            let id = entry.kind.into_inner();
            if let Some((_, first)) = seen.iter().find(|(other, _)| *other == id) {
                let line = FileError::at(file, text, *first..*first, "").line();
                let message = format!("expected each kind once, found `{id}` of line {line} again");
                return Err(FileError::at(file, text, span, message));
            }
            seen.push((id.clone(), span.start));
            let place = entry.schema.span();
            let wrong = |message: String| FileError::at(file, text, place.clone(), message);
            let named = entry.schema.into_inner();
            let loaded = if named.trim_start().starts_with('{') {
                named
            } else {
                load(&named).map_err(|why| {
                    wrong(format!("expected a schema file, found none at `{named}`: {why}"))
                })?
            };
            let check = JsonSchema::new(&loaded).map_err(|error| wrong(error.to_string()))?;
            let mut kind = KindSpec::new(id, entry.scope)
                .description(&entry.description)
                .tier(entry.tier)
                .flags(entry.flags)
                .check(check);
            if let Some(source) = entry.reads_outside {
                kind = kind.reads_outside(source);
            }
            builder = builder.kind(kind);
        }
        builder.build().map_err(|error| FileError::at(file, text, 0..0, error.to_string()))
    }
}
