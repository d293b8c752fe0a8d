//! `linkage.toml`: the model as a file.
//!
//! ```toml
//! version = "2026-11"
//! prior = 999000000000000       # in units of 10^-15, as every probability here
//! sessions = 32                 # compared with so many earlier sessions of the subject
//! hold_below_millibits = 0
//! escalate_below_millibits = -10000   # left out: no score escalates
//!
//! [field.device]                 # its levels, the best first: same, other, withheld
//! m = [900000000000000, 90000000000000, 10000000000000]
//! u = [1000000000000, 899000000000000, 100000000000000]
//! rest = 500000000000           # the share of a value that is not named below
//! [field.device.shares]         # how common a value is
//! kiosk-1 = 20000000000000
//! ```

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;
use core::fmt::Write as _;

use serde::Deserialize;
use toml::Spanned;

use super::field::Field;
use super::model::{FieldModel, Linkage, LinkageBuilder, LinkageError, Terms};
use crate::files::{FileError, read_toml};
use crate::fixed::{Probability, Weight};
use crate::id::Name;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Name,
    prior: Spanned<u64>,
    sessions: Spanned<usize>,
    hold_below_millibits: i64,
    escalate_below_millibits: Option<Spanned<i64>>,
    field: Spanned<BTreeMap<Field, Spanned<FieldFile>>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FieldFile {
    m: Vec<u64>,
    u: Vec<u64>,
    rest: Option<u64>,
    #[serde(default)]
    shares: BTreeMap<Name, u64>,
}

impl Linkage {
    /// Reads a `linkage.toml`; `file` is its name in messages.
    ///
    /// # Errors
    /// [`FileError`] that points at the place.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, FileError> {
        let read: File = read_toml(file, text)?;
        let (prior, sessions) = (read.prior.span(), read.sessions.span());
        let escalates = read.escalate_below_millibits.as_ref().map(Spanned::span);
        let all = read.field.span();
        let mut spans = BTreeMap::new();
        let mut fields = Vec::new();
        for (field, found) in read.field.into_inner() {
            let span = found.span();
            let wrong = |message: String| FileError::at(file, text, span.clone(), message);
            let FieldFile { m, u, rest, shares } = found.into_inner();
            let terms = match rest {
                None if shares.is_empty() => None,
                None => {
                    return Err(wrong(format!(
                        "expected `rest` beside the shares of `{}`",
                        field.name()
                    )));
                }
                Some(rest) => {
                    let shares = shares.into_iter().map(|(v, s)| Ok((v, probability(s)?)));
                    let shares = shares.collect::<Result<_, _>>().map_err(wrong)?;
                    Some(Terms { shares, rest: probability(rest).map_err(wrong)? })
                }
            };
            let all = |numbers: Vec<u64>| numbers.into_iter().map(probability).collect();
            let (m, u): (Result<_, _>, Result<_, _>) = (all(m), all(u));
            fields.push(FieldModel { field, m: m.map_err(wrong)?, u: u.map_err(wrong)?, terms });
            spans.insert(field, span);
        }
        let builder = LinkageBuilder {
            version: read.version,
            prior: probability(*read.prior.get_ref())
                .map_err(|message| FileError::at(file, text, prior.clone(), message))?,
            sessions: *read.sessions.get_ref(),
            hold_below: Weight::from_millibits(read.hold_below_millibits),
            escalate_below: (read.escalate_below_millibits)
                .map(|found| Weight::from_millibits(found.into_inner())),
            fields,
        };
        builder.build().map_err(|error| {
            let span = match error {
                LinkageError::NoField => Some(all),
                LinkageError::Twice { field }
                | LinkageError::Levels { field, .. }
                | LinkageError::Sum { field, .. }
                | LinkageError::Order { field, .. }
                | LinkageError::Terms { field } => spans.get(&field).cloned(),
                LinkageError::Prior { .. } => Some(prior),
                LinkageError::Sessions { .. } => Some(sessions),
                LinkageError::Thresholds { .. } => escalates,
            };
            FileError::at(file, text, span.unwrap_or_default(), error.to_string())
        })
    }

    /// The model as the text of a `linkage.toml`, which reads back as the same model:
    /// thresholds to the thousandth of a bit.
    pub fn to_toml(&self) -> String {
        let rules = self.parts();
        let mut out = String::new();
        let millibits = |weight: Weight| {
            let raw = i128::from(weight.raw()) * 1000;
            (raw + (raw.signum() << 47)) / (1 << 48)
        };
        let list = |numbers: &[Probability]| {
            let numbers: Vec<_> = numbers.iter().map(|p| p.units().to_string()).collect();
            numbers.join(", ")
        };
        // Writing to a string cannot fail.
        let _ = writeln!(out, "version = {}", quoted(rules.version.as_str()));
        let _ = writeln!(out, "prior = {}", rules.prior.units());
        let _ = writeln!(out, "sessions = {}", rules.sessions);
        let _ = writeln!(out, "hold_below_millibits = {}", millibits(rules.hold_below));
        if let Some(below) = rules.escalate_below {
            let _ = writeln!(out, "escalate_below_millibits = {}", millibits(below));
        }
        for model in &rules.fields {
            let name = model.field.name();
            let _ = writeln!(out, "\n# {}", model.field.levels().join(", "));
            let weights = (0..model.m.len())
                .map(|level| model.weight(u8::try_from(level).unwrap_or(u8::MAX)).to_string());
            let _ = writeln!(out, "# bits: {}", weights.collect::<Vec<_>>().join(", "));
            let _ =
                writeln!(out, "[field.{name}]\nm = [{}]\nu = [{}]", list(&model.m), list(&model.u));
            let Some(terms) = &model.terms else { continue };
            let _ = writeln!(out, "rest = {}", terms.rest.units());
            if !terms.shares.is_empty() {
                let _ = writeln!(out, "[field.{name}.shares]");
            }
            for (value, share) in &terms.shares {
                let _ = writeln!(out, "{} = {}", quoted(value.as_str()), share.units());
            }
        }
        out
    }
}

fn probability(units: u64) -> Result<Probability, String> {
    Probability::new(units).ok_or_else(|| {
        format!("expected at most {} units, found {units}", Probability::ONE.units())
    })
}

/// A TOML string. Names have no control characters.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}
