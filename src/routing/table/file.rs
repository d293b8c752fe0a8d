//! `table.toml`.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::ops::Range;

use serde::Deserialize;
use toml::Spanned;

use super::{EscalationAction, EscalationRule, Pattern, RoutingTable, Row, TableError};
use crate::audience::state::State;
use crate::digest::Domain;
use crate::files::{FileError, read_toml};
use crate::id::{KindId, LayerId, ModuleId, Name, RuleId, TemplateId};
use crate::pipeline::{Branch, Template};
use crate::risk::Risk;
use crate::verdict::{Drift, SafetyFlags, SafetyMode, Vote};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TableFile {
    version: Name,
    #[serde(default, rename = "template")]
    templates: Vec<Spanned<TemplateFile>>,
    #[serde(default, rename = "row")]
    rows: Vec<Spanned<RowFile>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TemplateFile {
    id: TemplateId,
    #[serde(rename = "branch")]
    branches: Vec<BranchFile>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct BranchFile {
    id: RuleId,
    module: ModuleId,
    #[serde(default)]
    flags: SafetyFlags,
    #[serde(default)]
    no_flags: SafetyFlags,
    #[serde(default)]
    modes: Vec<SafetyMode>,
    #[serde(default)]
    states: Vec<State>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RowFile {
    id: RuleId,
    #[serde(default)]
    kinds: Vec<KindId>,
    objective: Option<String>,
    #[serde(default)]
    flags: SafetyFlags,
    #[serde(default)]
    no_flags: SafetyFlags,
    #[serde(default)]
    votes: BTreeMap<LayerId, Vote>,
    template: Spanned<TemplateId>,
    #[serde(default)]
    mode: SafetyMode,
    #[serde(default)]
    engines: Vec<LayerId>,
    modules: Vec<ModuleId>,
    #[serde(default)]
    escalate: Vec<Spanned<EscalationFile>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct EscalationFile {
    #[serde(default)]
    risk_at_least: Risk,
    #[serde(default)]
    drift_at_least: Drift,
    #[serde(default)]
    any_flags: SafetyFlags,
    then: EscalationThen,
    approver: Option<Name>,
    timeout_seconds: Option<u32>,
}

#[derive(Deserialize, Clone, Copy)]
#[serde(rename_all = "kebab-case")]
enum EscalationThen {
    StepUp,
    Deny,
}

impl RoutingTable {
    /// Reads `table.toml` and proves its rows disjoint.
    ///
    /// A row that lists several kinds stands for one row per kind; with more than
    /// one, the kind is added to the row's id (`row/kind`). A row that lists none
    /// is for every kind.
    ///
    /// # Errors
    /// [`FileError`] that points at the field, the row, or the later of two rows
    /// that match the same components.
    pub fn from_toml(file: &str, text: &str) -> Result<Self, FileError> {
        let at = |span: Range<usize>, message: String| FileError::at(file, text, span, message);
        let raw: TableFile = read_toml(file, text)?;
        let mut templates: BTreeMap<TemplateId, Vec<Branch>> = BTreeMap::new();
        for spanned in raw.templates {
            let span = spanned.span();
            let template = spanned.into_inner();
            let message = format!("two templates have the id `{}`", template.id);
            let branches = template.branches.into_iter().map(Branch::from).collect();
            if templates.insert(template.id, branches).is_some() {
                return Err(at(span, message));
            }
        }
        let mut rows = Vec::new();
        let mut spans: BTreeMap<RuleId, Range<usize>> = BTreeMap::new();
        for spanned in raw.rows {
            let span = spanned.span();
            for row in expand(spanned.into_inner(), &templates, at)? {
                if spans.insert(row.id.clone(), span.clone()).is_some() {
                    return Err(at(span, format!("two rows have the id `{}`", row.id)));
                }
                rows.push(row);
            }
        }
        Self::build(raw.version, rows).map_err(|error| {
            let span_of = |id: &RuleId| spans.get(id).cloned();
            let span = match &error {
                TableError::Ambiguous { first, second, .. } => {
                    span_of(first).into_iter().chain(span_of(second)).max_by_key(|s| s.start)
                }
                TableError::DuplicateRow { id: row }
                | TableError::Impossible { row, .. }
                | TableError::Template { row, .. } => span_of(row),
                TableError::TooManyPatterns { .. } => None,
            };
            at(span.unwrap_or(0..0), format!("{error}"))
        })
    }
}

fn expand(
    raw: RowFile,
    templates: &BTreeMap<TemplateId, Vec<Branch>>,
    at: impl Fn(Range<usize>, String) -> FileError,
) -> Result<Vec<Row>, FileError> {
    let span = raw.template.span();
    let id = raw.template.into_inner();
    let Some(branches) = templates.get(&id) else {
        let known = templates.keys().map(TemplateId::as_str).collect::<Vec<_>>().join(", ");
        return Err(at(span, format!("no template `{id}`, there are: {known}")));
    };
    let template = Template {
        id,
        mode: raw.mode,
        engines: raw.engines,
        modules: raw.modules,
        branches: branches.clone(),
    };
    let escalation: Vec<_> = (raw.escalate.into_iter())
        .map(|rule| {
            let span = rule.span();
            rule.into_inner().rule().map_err(|message| at(span, message))
        })
        .collect::<Result<_, _>>()?;
    let objective = raw.objective.map(|text| Domain::Objective.hash(text.as_bytes()));
    let row = |id, kind| Row {
        id,
        pattern: Pattern {
            kind,
            objective,
            all_flags: raw.flags,
            no_flags: raw.no_flags,
            votes: raw.votes.iter().map(|(layer, vote)| (*layer, *vote)).collect(),
        },
        template: template.clone(),
        escalation: escalation.clone(),
    };
    match raw.kinds.as_slice() {
        [] => Ok(alloc::vec![row(raw.id, None)]),
        [kind] => Ok(alloc::vec![row(raw.id, Some(kind.clone()))]),
        kinds => kinds
            .iter()
            .map(|kind| {
                let id = RuleId::new(&format!("{}/{kind}", raw.id));
                let id = id.map_err(|error| at(span.clone(), format!("{error}")))?;
                Ok(row(id, Some(kind.clone())))
            })
            .collect(),
    }
}

impl From<BranchFile> for Branch {
    fn from(raw: BranchFile) -> Self {
        Self {
            id: raw.id,
            all_flags: raw.flags,
            no_flags: raw.no_flags,
            modes: raw.modes,
            states: raw.states,
            module: raw.module,
        }
    }
}

impl EscalationFile {
    fn rule(self) -> Result<EscalationRule, String> {
        let then = match (self.then, self.approver, self.timeout_seconds) {
            (EscalationThen::StepUp, Some(role), Some(seconds)) => {
                EscalationAction::StepUp { role, timeout_millis: u64::from(seconds) * 1000 }
            }
            (EscalationThen::StepUp, _, _) => {
                return Err("a step-up needs `approver` and `timeout_seconds`".into());
            }
            (EscalationThen::Deny, None, None) => EscalationAction::Deny,
            (EscalationThen::Deny, _, _) => {
                return Err(
                    "a denial asks nobody: leave `approver` and `timeout_seconds` out".into()
                );
            }
        };
        Ok(EscalationRule {
            risk_at_least: self.risk_at_least,
            drift_at_least: self.drift_at_least,
            any_flags: self.any_flags,
            then,
        })
    }
}
