//! `envelope.toml`: the Safety Envelope v2.0 as a file.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;

use serde::Deserialize;
use toml::Spanned;

use crate::audience::state::State;
use crate::files::{FileError, read_toml};
use crate::id::{KindId, ModuleId, RuleId};
use crate::provenance::{Sensitivity, SourcePattern};
use crate::risk::Risk;
use crate::safety::dimension::{Combine, Dimension, RiskSource};
use crate::safety::envelope::{Envelope, EnvelopeError};
use crate::safety::forbidden::ForbiddenRoute;
use crate::safety::parts::{EnvelopeParts, LimitRule, Thresholds};
use crate::verdict::SafetyFlags;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<String>,
    unknown: Option<Risk>,
    full_age_seconds: Option<u64>,
    outflow: Option<Sensitivity>,
    overall: Option<Spanned<Bounds>>,
    #[serde(default)]
    dimensions: BTreeMap<Dimension, Spanned<DimensionBounds>>,
    #[serde(default)]
    weights: BTreeMap<RiskSource, Risk>,
    #[serde(default, rename = "limit")]
    limits: Vec<Limit>,
    #[serde(default)]
    forbidden: Vec<Forbidden>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bounds {
    limit: Option<Risk>,
    hold: Option<Risk>,
    block: Option<Risk>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DimensionBounds {
    combine: Option<Combine>,
    share: Option<Risk>,
    limit: Option<Risk>,
    hold: Option<Risk>,
    block: Option<Risk>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Limit {
    id: Spanned<RuleId>,
    #[serde(default)]
    dimensions: BTreeSet<Dimension>,
    kinds: Option<BTreeSet<KindId>>,
    #[serde(default)]
    flags_all: SafetyFlags,
    #[serde(default)]
    drop_arguments: Vec<Box<str>>,
    #[serde(default)]
    exclude_modules: Vec<ModuleId>,
    #[serde(default)]
    read_only: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forbidden {
    id: Spanned<RuleId>,
    kinds: Option<BTreeSet<KindId>>,
    #[serde(default)]
    flags_all: SafetyFlags,
    #[serde(default)]
    flags_any: SafetyFlags,
    #[serde(default)]
    flags_none: SafetyFlags,
    #[serde(default)]
    states: BTreeSet<State>,
    #[serde(default)]
    arguments: Vec<Box<str>>,
    #[serde(default)]
    sources: Vec<SourcePattern>,
    sensitivity: Option<Sensitivity>,
    #[serde(default)]
    context_outside: bool,
    #[serde(default)]
    escalates: bool,
    #[serde(default)]
    reason: Box<str>,
}

fn set(thresholds: &mut Thresholds, limit: Option<Risk>, hold: Option<Risk>, block: Option<Risk>) {
    thresholds.limit = limit.unwrap_or(thresholds.limit);
    thresholds.hold = hold.unwrap_or(thresholds.hold);
    thresholds.block = block.unwrap_or(thresholds.block);
}

impl Envelope {
    /// Reads an envelope file. What a file leaves out is as in [`Envelope::default`].
    ///
    /// # Errors
    /// [`FileError`] at the line and column of the first fault.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, FileError> {
        let file: File = read_toml(name, text)?;
        let mut parts = EnvelopeParts::default();
        let version = file.version.span();
        let overall = file.overall.as_ref().map_or(0..0, Spanned::span);
        parts.version = file.version.into_inner();
        parts.unknown = file.unknown.unwrap_or(parts.unknown);
        if let Some(seconds) = file.full_age_seconds {
            parts.full_age_millis = seconds.saturating_mul(1000);
        }
        parts.outflow = file.outflow.unwrap_or(parts.outflow);
        if let Some(bounds) = file.overall {
            let bounds = bounds.into_inner();
            set(&mut parts.overall, bounds.limit, bounds.hold, bounds.block);
        }
        let mut places = BTreeMap::new();
        for (dimension, found) in file.dimensions {
            places.insert(dimension.name(), found.span());
            let found = found.into_inner();
            if let Some(bounds) = parts.dimensions.get_mut(dimension as usize) {
                bounds.combine = found.combine.unwrap_or(bounds.combine);
                bounds.share = found.share.unwrap_or(bounds.share);
                set(&mut bounds.thresholds, found.limit, found.hold, found.block);
            }
        }
        for (source, found) in file.weights {
            if let Some(weight) = parts.weights.get_mut(source as usize) {
                *weight = found;
            }
        }
        let mut ids: BTreeMap<RuleId, core::ops::Range<usize>> = BTreeMap::new();
        for rule in file.limits {
            ids.insert(rule.id.get_ref().clone(), rule.id.span());
            parts.limits.push((
                rule.id.into_inner(),
                LimitRule {
                    dimensions: rule.dimensions,
                    kinds: rule.kinds,
                    flags_all: rule.flags_all,
                    drop_arguments: rule.drop_arguments,
                    exclude_modules: rule.exclude_modules,
                    read_only: rule.read_only,
                },
            ));
        }
        for route in file.forbidden {
            ids.insert(route.id.get_ref().clone(), route.id.span());
            parts.forbidden.push((
                route.id.into_inner(),
                ForbiddenRoute {
                    kinds: route.kinds,
                    flags_all: route.flags_all,
                    flags_any: route.flags_any,
                    flags_none: route.flags_none,
                    states: route.states,
                    arguments: route.arguments,
                    sources: route.sources,
                    sensitivity: route.sensitivity,
                    context_outside: route.context_outside,
                    escalates: route.escalates,
                    reason: route.reason,
                },
            ));
        }
        Self::new(parts).map_err(|error| {
            let span = match &error {
                EnvelopeError::Version { .. } => version,
                EnvelopeError::Order { place: "overall", .. } => overall,
                EnvelopeError::Order { place, .. } => places.get(place).cloned().unwrap_or(0..0),
                EnvelopeError::Duplicate { id } | EnvelopeError::Rule { id, .. } => {
                    ids.get(id).cloned().unwrap_or(0..0)
                }
            };
            FileError::at(name, text, span, alloc::format!("{error}"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAMPLE: &str = include_str!("testdata/envelope.toml");

    #[test]
    fn the_documented_file_loads_and_an_empty_one_is_the_default() {
        let envelope = Envelope::from_toml("envelope.toml", SAMPLE).unwrap();
        assert_eq!(envelope.parts().forbidden.len(), 2);
        assert_eq!(envelope.parts().limits.len(), 1);
        assert_eq!(
            alloc::format!("{}", envelope.digest()),
            "0342b7af5c59aa98e13c85ccff0edc32a8b9dd52b2848109715d95683dd5fdb8"
        );
        let least = Envelope::from_toml("e", "version = \"2.0\"\n").unwrap();
        assert_eq!(least, Envelope::default());
    }

    #[test]
    fn faults_point_at_their_place() {
        for (text, line, column, says) in [
            ("version = \"1.0\"\n", 1, 11, "expected envelope version `2.0`, found `1.0`"),
            ("version = \"2.0\"\nunknown = 1000001\n", 2, 11, "1000000"),
            ("version = \"2.0\"\nother = 1\n", 2, 1, "unknown field `other`"),
            (
                "version = \"2.0\"\n[dimensions.policy]\nlimit = 950000\n",
                2,
                1,
                "limit <= hold <= block in `policy`",
            ),
            ("version = \"2.0\"\n[dimensions.colour]\nlimit = 1\n", 2, 13, "colour"),
            ("version = \"2.0\"\n[[forbidden]]\nid = \"a\"\n", 3, 6, "at least one condition"),
            (
                "version = \"2.0\"\n[[limit]]\nid = \"a\"\n",
                3,
                6,
                "`drop_arguments`, `exclude_modules` or `read_only`",
            ),
            (
                "version = \"2.0\"\n[[limit]]\nid = \"a\"\nread_only = true\n[[forbidden]]\nid = \"a\"\ncontext_outside = true\n",
                6,
                6,
                "expected one rule `a`, found two",
            ),
            (
                "version = \"2.0\"\n[[forbidden]]\nid = \"a\"\nsources = [\"nowhere\"]\n",
                4,
                11,
                "nowhere",
            ),
        ] {
            let error = Envelope::from_toml("e.toml", text).unwrap_err();
            assert!(error.message().contains(says), "{error}");
            assert_eq!((error.line(), error.column()), (line, column), "{error}");
        }
    }

    #[test]
    fn the_order_of_rules_in_a_file_does_not_matter() {
        let rule =
            |id: &str| alloc::format!("[[forbidden]]\nid = \"{id}\"\ncontext_outside = true\n");
        let text = |a: &str, b: &str| alloc::format!("version = \"2.0\"\n{}{}", rule(a), rule(b));
        let one = Envelope::from_toml("e", &text("a", "b")).unwrap();
        assert_eq!(one, Envelope::from_toml("e", &text("b", "a")).unwrap());
    }
}
