//! What one file names and another lacks.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::{String, ToString as _};
use alloc::vec::Vec;

use crate::execution::Contract;
use crate::execution::files::ModulesFile;
use crate::files::FileError;
use crate::governance::{Kinds, Policy};
use crate::id::{KindId, ModuleId};
use crate::intent::{Catalogue, Kind};
use crate::modeling::ModelingConfig;
use crate::policy::places::Places;
use crate::routing::RoutingTable;
use crate::routing::table::Row;
use crate::safety::Envelope;
use crate::verdict::{CapabilityTier, SafetyFlags, Verdict};

/// The files' texts, to point into.
pub(super) struct Texts<'a> {
    pub(super) folder: &'a str,
    pub(super) catalogue: &'a str,
    pub(super) table: &'a str,
    pub(super) governance: &'a str,
    pub(super) modules: &'a str,
    pub(super) envelope: &'a str,
    pub(super) modeling: &'a str,
}

impl<'a> Texts<'a> {
    fn places(&self, name: &str, text: &'a str) -> Places<'a> {
        Places::of(format!("{}/{name}", self.folder), text)
    }
}

/// What the files say.
pub(super) struct Parts<'a> {
    pub(super) catalogue: &'a Catalogue,
    pub(super) table: &'a RoutingTable,
    pub(super) governance: &'a Policy,
    pub(super) modules: &'a ModulesFile,
    pub(super) envelope: &'a Envelope,
    pub(super) modeling: &'a ModelingConfig,
}

/// Every place where one file names what another lacks.
pub(super) fn disagreements(texts: &Texts<'_>, parts: &Parts<'_>) -> Vec<FileError> {
    let mut wrong = Vec::new();
    rules(texts, parts, &mut wrong);
    modules(texts, parts, &mut wrong);
    rows(texts, parts, &mut wrong);
    unmatched(texts, parts, &mut wrong);
    wrong
}

fn unknown(parts: &Parts<'_>, kind: &KindId) -> String {
    let nearest = parts.catalogue.nearest(kind.as_str());
    let near = nearest.iter().map(|kind| format!("`{kind}`")).collect::<Vec<_>>().join(", ");
    let near = if near.is_empty() { near } else { format!("; nearest: {near}") };
    format!("no intent kind `{kind}` in the catalogue{near}")
}

/// Kinds named by governance, envelope and modeling.
fn rules(texts: &Texts<'_>, parts: &Parts<'_>, wrong: &mut Vec<FileError>) {
    let kinds = || parts.catalogue.kinds().map(|kind| kind.id.as_str());
    let places = texts.places("governance.toml", texts.governance);
    for found in parts.governance.unknown_kinds(kinds()) {
        let message = unknown(parts, &found.kind);
        let message = format!("rule `{}`: {message}", found.rule);
        wrong.push(places.error(Some(found.rule.as_str()), "rule", found.kind.as_str(), message));
    }
    let places = texts.places("envelope.toml", texts.envelope);
    for (rule, kind) in parts.envelope.unknown_kinds(kinds()) {
        let message = format!("rule `{rule}`: {}", unknown(parts, &kind));
        let limit = parts.envelope.parts().limits.iter().any(|(id, _)| *id == rule);
        let path = if limit { "limit.kinds" } else { "forbidden.kinds" };
        wrong.push(places.error(Some(rule.as_str()), path, kind.as_str(), message));
    }
    let places = texts.places("modeling.toml", texts.modeling);
    let missing = |kind: &&KindId| parts.catalogue.kind(kind.as_str()).is_none();
    for requirement in &parts.modeling.requires_before {
        let named = core::iter::once(&requirement.kind).chain(&requirement.any_of);
        for kind in named.filter(missing) {
            let owner = Some(requirement.kind.as_str());
            let message = unknown(parts, kind);
            wrong.push(places.error(owner, "requires-before", kind.as_str(), message));
        }
    }
    for preference in &parts.modeling.preferences {
        for kind in preference.kinds.iter().filter(missing) {
            let message = format!("preference `{}`: {}", preference.id, unknown(parts, kind));
            let owner = Some(preference.id.as_str());
            wrong.push(places.error(owner, "preference.kinds", kind.as_str(), message));
        }
    }
}

/// Kinds that modules serve, and their tiers.
fn modules(texts: &Texts<'_>, parts: &Parts<'_>, wrong: &mut Vec<FileError>) {
    let places = texts.places("modules.toml", texts.modules);
    for contract in parts.modules.contracts() {
        for kind in contract.intents() {
            let owner = Some(contract.id().as_str());
            let message = match parts.catalogue.kind(kind.as_str()) {
                None => unknown(parts, kind),
                Some(known) if contract.tier() > known.tier => format!(
                    "kind `{kind}` allows a tier of {} or below, the module's is {}",
                    tier(known.tier),
                    tier(contract.tier())
                ),
                Some(_) => continue,
            };
            let message = format!("module `{}`: {message}", contract.id());
            wrong.push(places.error(owner, "module.intents", kind.as_str(), message));
        }
    }
}

const fn tier(tier: CapabilityTier) -> &'static str {
    match tier {
        CapabilityTier::Observe => "observe",
        CapabilityTier::Act => "act",
        CapabilityTier::Commit => "commit",
        CapabilityTier::Privileged => "privileged",
    }
}

/// Kinds and modules that rows name, and whether each module serves the row's kind.
fn rows(texts: &Texts<'_>, parts: &Parts<'_>, wrong: &mut Vec<FileError>) {
    let places = texts.places("table.toml", texts.table);
    let contracts: BTreeMap<&ModuleId, &Contract> =
        parts.modules.contracts().map(|contract| (contract.id(), contract)).collect();
    let mut missing = BTreeSet::new();
    for row in parts.table.rows() {
        let written = written_id(row);
        if let Some(kind) = &row.pattern.kind
            && parts.catalogue.kind(kind.as_str()).is_none()
        {
            let message = format!("row `{written}`: {}", unknown(parts, kind));
            wrong.push(places.error(Some(written), "row.kinds", kind.as_str(), message));
            continue;
        }
        for module in &row.template.modules {
            if !contracts.contains_key(module) && missing.insert((written.to_string(), module)) {
                let message = format!("row `{written}`: no module `{module}` in modules.toml");
                let path = "row.modules";
                wrong.push(places.error(Some(written), path, module.as_str(), message));
            }
        }
        let served = served(row, parts);
        for branch in &row.template.branches {
            let Some(contract) = contracts.get(&branch.module) else { continue };
            if !served.iter().any(|kind| contract.intents().contains(kind)) {
                let what = match &row.pattern.kind {
                    Some(kind) => format!("kind `{kind}`"),
                    None => "any kind the row is left with".to_string(),
                };
                let message = format!(
                    "row `{written}`: branch `{}` runs module `{}`, whose contract does not serve {what}",
                    branch.id, branch.module
                );
                let at = row.pattern.kind.as_ref().map_or(written, |kind| kind.as_str());
                let path = if row.pattern.kind.is_some() { "row.kinds" } else { "row.id" };
                wrong.push(places.error(Some(written), path, at, message));
            }
        }
    }
}

/// The kinds a row can be asked for.
fn served<'a>(row: &'a Row, parts: &'a Parts<'_>) -> Vec<&'a KindId> {
    match &row.pattern.kind {
        Some(kind) => Vec::from([kind]),
        None => parts.catalogue.kinds().map(|kind| &kind.id).collect(),
    }
}

/// A row's id as the file writes it: of a row of several kinds without the kind.
fn written_id(row: &Row) -> &str {
    let id = row.id.as_str();
    let suffix = row.pattern.kind.as_ref().and_then(|kind| id.strip_suffix(kind.as_str()));
    suffix.and_then(|id| id.strip_suffix('/')).unwrap_or(id)
}

/// Whether a row can match a kind with the flags it can have at Step 2.
fn can_match(row: &Row, kind: &Kind) -> bool {
    let most = kind.flags.union(SafetyFlags::OUTSIDE_ARGUMENT);
    row.pattern.kind.as_ref().is_none_or(|named| *named == kind.id)
        && most.contains(row.pattern.all_flags)
        && !kind.flags.intersects(row.pattern.no_flags)
}

/// Kinds for which the table has no row at all.
fn unmatched(texts: &Texts<'_>, parts: &Parts<'_>, wrong: &mut Vec<FileError>) {
    let places = texts.places("catalogue.toml", texts.catalogue);
    for kind in parts.catalogue.kinds() {
        if !parts.table.rows().iter().any(|row| can_match(row, kind)) {
            let id = kind.id.as_str();
            let message = format!("no row of table.toml matches kind `{id}`");
            wrong.push(places.error(Some(id), "kind.kind", id, message));
        }
    }
}

/// What is allowed and worth a look.
pub(super) fn notices(texts: &Texts<'_>, parts: &Parts<'_>) -> Vec<FileError> {
    let places = texts.places("catalogue.toml", texts.catalogue);
    let mut found = Vec::new();
    for kind in parts.catalogue.kinds() {
        let grants = parts.governance.rules().iter().any(|rule| {
            let named = match &rule.kinds {
                Kinds::Any => true,
                Kinds::Named(kinds) => kinds.contains(&kind.id),
            };
            named && rule.effect != Verdict::Deny
        });
        if !grants {
            let id = kind.id.as_str();
            let message = format!("no rule lets kind `{id}` pass: it is always denied");
            found.push(places.error(Some(id), "kind.kind", id, message));
        }
    }
    found
}
