//! `modeling.toml`, the file of a [`ModelingConfig`].
//!
//! ```toml
//! version = "2026-01"
//!
//! [behaviour]                       # every field may be left out
//! soft = 600000                     # parts per million
//! hard = 800000
//! min-history = 16
//! neutral = 0
//! tolerance-millibits = 4000
//! back-off = 8
//! forget-at = 4096
//! hours = false
//!
//! [context]
//! new-flags = "soft"                # "none", "soft" or "hard"
//! watched-flags = ["financial", "credentials"]
//! missing-predecessor = "soft"
//! pace = { window-seconds = 60, floor = 30, soft = 4, hard = 16, min-windows = 4 }
//!
//! [[requires-before]]
//! kind = "confirm_transfer"
//! any-of = ["prepare_transfer"]
//! within-seconds = 600
//!
//! [[preference]]                    # exactly one of unwanted, quiet-hours, cap
//! id = "no-newsletters"
//! subject = "alice"                 # everybody's when left out
//! strength = "hard"
//! kinds = ["send_newsletter"]       # all kinds when left out
//! unwanted = true
//!
//! [[preference]]
//! id = "night"
//! strength = "soft"
//! quiet-hours = { from = "22:00", until = "06:00" }   # UTC
//!
//! [[preference]]
//! id = "small-payments"
//! strength = "soft"
//! kinds = ["pay"]
//! cap = { argument = "amount", at-most = "250.00" }
//! ```

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use crate::files::{FileError, read_toml};
use crate::id::{KindId, Name, RuleId, SubjectId};
use crate::modeling::{
    BehaviourConfig, ContextConfig, ModelingConfig, ModelingError, Preference, Requirement,
    Statement, TimeOfDay,
};
use crate::value::Decimal;
use crate::verdict::Drift;

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    version: Name,
    behaviour: Option<Spanned<BehaviourConfig>>,
    context: Option<Spanned<ContextConfig>>,
    #[serde(default)]
    requires_before: Vec<Spanned<Requirement>>,
    #[serde(default)]
    preference: Vec<Spanned<PreferenceTable>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct PreferenceTable {
    id: RuleId,
    subject: Option<SubjectId>,
    strength: Drift,
    #[serde(default)]
    kinds: Vec<KindId>,
    unwanted: Option<bool>,
    quiet_hours: Option<QuietHours>,
    cap: Option<Cap>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct QuietHours {
    from: TimeOfDay,
    until: TimeOfDay,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Cap {
    argument: Box<str>,
    at_most: Decimal,
}

impl ModelingConfig {
    /// Reads and checks a `modeling.toml`. `file` is its name, for messages.
    ///
    /// # Errors
    /// [`FileError`] at the place that is wrong.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, FileError> {
        let read: File = read_toml(file, text)?;
        let mut preferences = Vec::with_capacity(read.preference.len());
        let mut places = Vec::with_capacity(read.preference.len());
        for table in read.preference {
            let span = table.span();
            let preference = table.into_inner().into_preference();
            let wrong = |message| FileError::at(file, text, span.clone(), message);
            preferences.push(preference.map_err(wrong)?);
            places.push(span);
        }
        let span_of = |span: Option<Range<usize>>| span.unwrap_or(0..0);
        let behaviour_span = span_of(read.behaviour.as_ref().map(Spanned::span));
        let context_span = span_of(read.context.as_ref().map(Spanned::span));
        let requirement_spans: Vec<_> = read.requires_before.iter().map(Spanned::span).collect();
        let config = Self {
            version: read.version,
            behaviour: read.behaviour.map(Spanned::into_inner).unwrap_or_default(),
            context: read.context.map(Spanned::into_inner).unwrap_or_default(),
            requires_before: read.requires_before.into_iter().map(Spanned::into_inner).collect(),
            preferences,
        };
        let place = |error: &ModelingError| match error {
            ModelingError::Thresholds { field, .. } | ModelingError::Range { field, .. } => {
                if field.starts_with("context") { context_span } else { behaviour_span }
            }
            ModelingError::Requirement { position, .. } => {
                span_of(requirement_spans.get(*position).cloned())
            }
            ModelingError::Preference { position, .. } => span_of(places.get(*position).cloned()),
        };
        match config.check() {
            Ok(()) => Ok(config),
            Err(error) => {
                let message = error.to_string();
                Err(FileError::at(file, text, place(&error), message))
            }
        }
    }
}

impl PreferenceTable {
    fn into_preference(self) -> Result<Preference, String> {
        let Self { id, subject, strength, kinds, unwanted, quiet_hours, cap } = self;
        let unwanted = unwanted.filter(|unwanted| *unwanted);
        let statement = match (unwanted, quiet_hours, cap) {
            (Some(_), None, None) => Statement::Unwanted,
            (None, Some(QuietHours { from, until }), None) => Statement::QuietHours { from, until },
            (None, None, Some(Cap { argument, at_most })) => Statement::Cap { argument, at_most },
            (a, b, c) => {
                let found = u8::from(a.is_some()) + u8::from(b.is_some()) + u8::from(c.is_some());
                return Err(alloc::format!(
                    "preference `{id}`: expected exactly one of `unwanted = true`, `quiet-hours` and `cap`, found {found}"
                ));
            }
        };
        Ok(Preference { id, subject, kinds, strength, statement })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of this module's documentation.
    fn example() -> String {
        let source = include_str!("file.rs");
        let lines = source.lines().skip_while(|line| *line != "//! ```toml").skip(1);
        let lines = lines.take_while(|line| *line != "//! ```");
        let lines = lines.map(|line| line.trim_start_matches("//!").trim_start());
        lines.collect::<Vec<_>>().join("\n")
    }

    fn error(text: &str) -> FileError {
        ModelingConfig::from_toml("modeling.toml", text).unwrap_err()
    }

    #[test]
    fn the_documented_file_is_read() {
        let config = ModelingConfig::from_toml("modeling.toml", &example()).unwrap();
        assert_eq!(config.behaviour, BehaviourConfig::default());
        assert_eq!(config.context.pace, ContextConfig::default().pace);
        assert_eq!(config.preferences.len(), 3);
        let cap = Statement::Cap { argument: "amount".into(), at_most: "250".parse().unwrap() };
        assert_eq!(config.preferences[2].statement, cap);
        let bare = ModelingConfig::from_toml("m", "version = \"v1\"").unwrap();
        assert_eq!(bare, ModelingConfig::new("v1".parse().unwrap()));
        assert_ne!(bare.digest(), config.digest());
    }

    #[test]
    fn errors_point_at_the_place() {
        for (change, line, says) in [
            (("soft = 600000", "soft = 900000"), 3, "soft up to hard, found 900000 above 800000"),
            (("soft = 600000", "soft = 1600000"), 4, "found 1600000 (in `soft`)"),
            (("soft = 600000", "soft = 0.6"), 4, "(in `soft`)"),
            (("forget-at = 4096", "forget-at = 1"), 3, "`behaviour.forget-at` from 2"),
            (("hours = false", "hour = false"), 11, "unknown field `hour`"),
            (("back-off = 8", "back-off = 0"), 9, "nonzero"),
            (("\"22:00\"", "\"24:00\""), 34, "found `24:00`"),
            (("\"22:00\"", "\"06:00\""), 31, "two different times"),
            (("unwanted = true", "unwanted = false"), 24, "exactly one of"),
            (("id = \"night\"", "id = \"no-newsletters\""), 31, "an id of its own"),
            (("[\"prepare_transfer\"]", "[]"), 19, "found an empty one"),
            (("\"250.00\"", "250.00"), 40, "an integer, or a decimal number in quotes"),
        ] {
            let text = example().replace(change.0, change.1);
            assert_ne!(text, example(), "{}", change.0);
            let error = error(&text);
            assert_eq!(error.line(), line, "{error}");
            assert!(error.message().contains(says), "{error}");
        }
    }
}
