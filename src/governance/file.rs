//! `governance.toml`: a policy as a file.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use toml::Spanned;

use crate::audience::state::State;
use crate::files::{FileError, read_toml};
use crate::governance::argument::{ArgumentCondition, Test};
use crate::governance::policy::{
    DEFAULT_TIMEOUT_SECONDS, HardDrift, Policy, PolicyError, PolicyParts, SoftDrift,
};
use crate::governance::rule::{Actor, Conditions, Hours, Kinds, Obligations, Rule};
use crate::id::{KindId, ModuleId, Name, RuleId};
use crate::provenance::{Sensitivity, SourcePattern};
use crate::risk::Risk;
use crate::value::{Decimal, Value};
use crate::verdict::{Drift, Narrowing, SafetyFlags, Verdict};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    version: Spanned<String>,
    #[serde(default)]
    approvers: Option<Spanned<Vec<Name>>>,
    reviewer: Option<Name>,
    timeout_seconds: Option<u64>,
    #[serde(default)]
    soft_drift: SoftDrift,
    #[serde(default)]
    hard_drift: HardDrift,
    #[serde(default, rename = "rule")]
    rules: Vec<FileRule>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileRule {
    id: Spanned<RuleId>,
    effect: Verdict,
    kinds: FileKinds,
    #[serde(default)]
    principals: BTreeSet<Actor>,
    #[serde(default)]
    scopes: BTreeSet<Name>,
    delegation_at_most: Option<u32>,
    #[serde(default)]
    states: BTreeSet<State>,
    #[serde(default)]
    classes: BTreeSet<char>,
    #[serde(default)]
    flags_all: SafetyFlags,
    #[serde(default)]
    flags_any: SafetyFlags,
    #[serde(default)]
    flags_none: SafetyFlags,
    risk_at_least: Option<Risk>,
    risk_below: Option<Risk>,
    #[serde(default)]
    drift: BTreeSet<Drift>,
    #[serde(default)]
    arguments: BTreeMap<Box<str>, Spanned<FileCondition>>,
    context_outside: Option<bool>,
    #[serde(default)]
    after: BTreeSet<KindId>,
    #[serde(default)]
    not_after: BTreeSet<KindId>,
    #[serde(default)]
    history_at_most: BTreeMap<KindId, u32>,
    #[serde(default)]
    history_at_least: BTreeMap<KindId, u32>,
    hours: Option<FileHours>,
    #[serde(default)]
    drop_arguments: Vec<Box<str>>,
    #[serde(default)]
    exclude_modules: Vec<ModuleId>,
    #[serde(default)]
    read_only: bool,
    approver: Option<Name>,
    timeout_seconds: Option<u64>,
    #[serde(default)]
    missing: Box<str>,
    #[serde(default)]
    rules_on_drift: bool,
    #[serde(default)]
    reason: Box<str>,
}

/// `"any"` or a list.
struct FileKinds(Kinds);

impl<'de> Deserialize<'de> for FileKinds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> serde::de::Visitor<'de> for Seen {
            type Value = FileKinds;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("\"any\" or a list of intent kinds")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<FileKinds, E> {
                if text == "any" {
                    Ok(FileKinds(Kinds::Any))
                } else {
                    Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
                }
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<FileKinds, A::Error> {
                let mut kinds = BTreeSet::new();
                while let Some(kind) = seq.next_element()? {
                    kinds.insert(kind);
                }
                Ok(FileKinds(Kinds::Named(kinds)))
            }
        }
        deserializer.deserialize_any(Seen)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileCondition {
    #[serde(default)]
    present: bool,
    #[serde(default)]
    absent: bool,
    equals: Option<FileValue>,
    one_of: Option<Vec<FileValue>>,
    prefix: Option<Box<str>>,
    suffix: Option<Box<str>>,
    contains: Option<Box<str>>,
    not_equals: Option<FileValue>,
    not_one_of: Option<Vec<FileValue>>,
    not_prefix: Option<Box<str>>,
    not_suffix: Option<Box<str>>,
    not_contains: Option<Box<str>>,
    at_most: Option<Decimal>,
    at_least: Option<Decimal>,
    #[serde(default)]
    sources: Vec<SourcePattern>,
    #[serde(default)]
    sources_any: Vec<SourcePattern>,
    #[serde(default)]
    sources_beyond: Vec<SourcePattern>,
    sensitivity_at_most: Option<Sensitivity>,
    sensitivity_at_least: Option<Sensitivity>,
}

/// A text, an integer, a truth value, or a list of them.
struct FileValue(Value);

impl<'de> Deserialize<'de> for FileValue {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Seen;
        impl<'de> serde::de::Visitor<'de> for Seen {
            type Value = FileValue;
            fn expecting(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str("a text, an integer, true, false or a list of them")
            }
            fn visit_bool<E>(self, value: bool) -> Result<FileValue, E> {
                Ok(FileValue(value.into()))
            }
            fn visit_i64<E>(self, value: i64) -> Result<FileValue, E> {
                Ok(FileValue(value.into()))
            }
            fn visit_str<E>(self, text: &str) -> Result<FileValue, E> {
                Ok(FileValue(text.into()))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(
                self,
                mut seq: A,
            ) -> Result<FileValue, A::Error> {
                let mut items = Vec::new();
                while let Some(FileValue(item)) = seq.next_element()? {
                    items.push(item);
                }
                Ok(FileValue(Value::List(items)))
            }
        }
        deserializer.deserialize_any(Seen)
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileHours {
    from: Minute,
    until: Minute,
}

/// `HH:MM`.
struct Minute(u16);

impl<'de> Deserialize<'de> for Minute {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let two = |part: &str, bound: u16| {
            let digits = part.len() == 2 && part.bytes().all(|b| b.is_ascii_digit());
            part.parse::<u16>().ok().filter(|number| digits && *number < bound)
        };
        let minute = text.split_once(':').and_then(|(hour, minute)| {
            let (hour, minute) = (two(hour, 25)?, two(minute, 60)?);
            Some(hour * 60 + minute).filter(|total| *total <= 1440)
        });
        minute.map(Minute).ok_or_else(|| {
            D::Error::custom(alloc::format!("expected a time `HH:MM`, found `{text}`"))
        })
    }
}

impl From<FileCondition> for ArgumentCondition {
    fn from(file: FileCondition) -> Self {
        let list = |values: Vec<FileValue>| values.into_iter().map(|v| v.0).collect();
        let not = |test| Test::Not(Box::new(test));
        let tests = [
            file.equals.map(|value| Test::Equals(value.0)),
            file.one_of.map(|values| Test::OneOf(list(values))),
            file.prefix.map(Test::Prefix),
            file.suffix.map(Test::Suffix),
            file.contains.map(Test::Contains),
            file.not_equals.map(|value| not(Test::Equals(value.0))),
            file.not_one_of.map(|values| not(Test::OneOf(list(values)))),
            file.not_prefix.map(|text| not(Test::Prefix(text))),
            file.not_suffix.map(|text| not(Test::Suffix(text))),
            file.not_contains.map(|text| not(Test::Contains(text))),
            file.at_most.map(Test::AtMost),
            file.at_least.map(Test::AtLeast),
        ];
        Self {
            present: file.present,
            absent: file.absent,
            tests: tests.into_iter().flatten().collect(),
            sources: file.sources,
            sources_any: file.sources_any,
            sources_beyond: file.sources_beyond,
            sensitivity_at_most: file.sensitivity_at_most,
            sensitivity_at_least: file.sensitivity_at_least,
        }
    }
}

type Spans = BTreeMap<(RuleId, Option<Box<str>>), Range<usize>>;

fn rule(file: FileRule, spans: &mut Spans) -> Rule {
    let id = file.id.get_ref().clone();
    spans.insert((id.clone(), None), file.id.span());
    let mut arguments = BTreeMap::new();
    for (name, condition) in file.arguments {
        spans.insert((id.clone(), Some(name.clone())), condition.span());
        arguments.insert(name, condition.into_inner().into());
    }
    Rule {
        id,
        effect: file.effect,
        kinds: file.kinds.0,
        when: Conditions {
            principals: file.principals,
            scopes: file.scopes,
            delegation_at_most: file.delegation_at_most,
            states: file.states,
            classes: file.classes,
            flags_all: file.flags_all,
            flags_any: file.flags_any,
            flags_none: file.flags_none,
            risk_at_least: file.risk_at_least,
            risk_below: file.risk_below,
            drift: file.drift,
            arguments,
            context_outside: file.context_outside,
            after: file.after,
            not_after: file.not_after,
            history_at_most: file.history_at_most,
            history_at_least: file.history_at_least,
            hours: file.hours.map(|h| Hours { from: h.from.0, until: h.until.0 }),
        },
        then: Obligations {
            narrowing: Narrowing {
                drop_arguments: file.drop_arguments,
                exclude_modules: file.exclude_modules,
                read_only: file.read_only,
            },
            approver: file.approver,
            timeout_seconds: file.timeout_seconds,
            missing: file.missing,
        },
        rules_on_drift: file.rules_on_drift,
        reason: file.reason,
    }
}

impl Policy {
    /// Reads a policy file.
    ///
    /// # Errors
    /// [`FileError`] at the line and column of the first fault.
    pub fn from_toml(name: &str, text: &str) -> Result<Self, FileError> {
        let file: File = read_toml(name, text)?;
        let version = file.version.span();
        let approvers = file.approvers.as_ref().map_or(0..0, Spanned::span);
        let mut spans = Spans::new();
        let rules = file.rules.into_iter().map(|found| rule(found, &mut spans)).collect();
        let parts = PolicyParts {
            version: file.version.into_inner(),
            approvers: file.approvers.map(Spanned::into_inner).unwrap_or_default(),
            reviewer: file.reviewer,
            timeout_seconds: file.timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS),
            soft_drift: file.soft_drift,
            hard_drift: file.hard_drift,
            rules,
        };
        Self::new(parts).map_err(|error| {
            let span = match &error {
                PolicyError::Version => version,
                PolicyError::Approver { .. } => approvers,
                PolicyError::Duplicate { id } => {
                    spans.get(&(id.clone(), None)).cloned().unwrap_or(0..0)
                }
                PolicyError::Rule { id, argument, .. } => {
                    let place = (id.clone(), argument.clone());
                    spans.get(&place).cloned().unwrap_or(0..0)
                }
            };
            FileError::at(name, text, span, alloc::format!("{error}"))
        })
    }
}
