//! Rows of routing tables.

use std::format;
use std::vec::Vec;

use proptest::collection::vec;
use proptest::option::{of, weighted};
use proptest::prelude::*;
use proptest::sample::select;

use super::audience::state;
use super::vocabulary::{consensus, digest, drift, flags, name, named, risk, safety_mode, vote};
use crate::digest::Digest;
use crate::id::{LayerId, ModuleId, SnapshotId};
use crate::intent::{Objective, RoutingComponents};
use crate::pipeline::{Branch, Template};
use crate::routing::table::{EscalationAction, EscalationRule, Pattern, Row};
use crate::verdict::SafetyFlags;

/// One of few objectives' hashes, so that patterns and components meet.
fn objective() -> impl Strategy<Value = Digest> + Clone {
    select(&["pay", "read", "write"][..]).prop_map(|text| Objective::new(text).hash())
}

/// The components of a Routing ID.
pub fn components() -> impl Strategy<Value = RoutingComponents> + Clone {
    (digest(), objective(), digest(), flags(), consensus()).prop_map(
        |(intent, objective, snapshot, flags, consensus)| RoutingComponents {
            intent,
            objective,
            snapshot: SnapshotId::new(snapshot),
            flags,
            consensus,
        },
    )
}

/// Any pattern.
pub fn pattern() -> impl Strategy<Value = Pattern> + Clone {
    let votes = vec(weighted(0.2, vote()), LayerId::ALL.len());
    // Few flags each, or hardly two rows would ever meet.
    let few = (flags(), flags()).prop_map(|(a, b)| {
        SafetyFlags::from_bits(a.bits() & b.bits()).unwrap_or(SafetyFlags::NONE)
    });
    (of(named()), weighted(0.2, objective()), few.clone(), few, votes).prop_map(
        |(kind, objective, all_flags, no_flags, votes)| {
            let votes = LayerId::ALL.into_iter().zip(votes);
            let votes = votes.filter_map(|(layer, vote)| Some((layer, vote?))).collect();
            Pattern { kind, objective, all_flags, no_flags, votes }
        },
    )
}

fn branch() -> impl Strategy<Value = Branch> + Clone {
    let modes = vec(safety_mode(), 0..2);
    (named(), flags(), flags(), modes, vec(state(), 0..2), named::<ModuleId>()).prop_map(
        |(id, all_flags, no_flags, modes, states, module)| Branch {
            id,
            all_flags,
            no_flags,
            modes,
            states,
            module,
        },
    )
}

/// A template that is sound: one branch, for everything.
fn plain() -> impl Strategy<Value = Template> + Clone {
    (named(), safety_mode(), named::<ModuleId>(), named()).prop_map(|(id, mode, module, branch)| {
        let only = Branch {
            id: branch,
            all_flags: SafetyFlags::NONE,
            no_flags: SafetyFlags::NONE,
            modes: Vec::new(),
            states: Vec::new(),
            module: module.clone(),
        };
        Template {
            id,
            mode,
            engines: Vec::new(),
            modules: [module].into(),
            branches: [only].into(),
        }
    })
}

/// Any template, also one whose branches overlap or can never match.
fn template() -> impl Strategy<Value = Template> + Clone {
    let engines = vec(super::vocabulary::layer(), 0..3);
    let any = (named(), safety_mode(), engines, vec(branch(), 0..4)).prop_map(
        |(id, mode, engines, branches)| {
            let modules = branches.iter().map(|branch| branch.module.clone()).collect();
            Template { id, mode, engines, modules, branches }
        },
    );
    prop_oneof![3 => plain(), 1 => any]
}

fn escalation() -> impl Strategy<Value = EscalationRule> + Clone {
    let ask = (name(), any::<u64>())
        .prop_map(|(role, timeout_millis)| EscalationAction::StepUp { role, timeout_millis });
    let then = prop_oneof![Just(EscalationAction::Deny), ask];
    (risk(), drift(), flags(), then).prop_map(|(risk_at_least, drift_at_least, any_flags, then)| {
        EscalationRule { risk_at_least, drift_at_least, any_flags, then }
    })
}

/// Any row.
pub fn row() -> impl Strategy<Value = Row> + Clone {
    (named(), pattern(), template(), vec(escalation(), 0..2))
        .prop_map(|(id, pattern, template, escalation)| Row { id, pattern, template, escalation })
}

/// Any rows: ids given twice, overlapping patterns and unsound templates among them.
pub fn rows() -> impl Strategy<Value = Vec<Row>> + Clone {
    let own_ids = vec(row(), 0..8).prop_map(|rows| renamed(rows, false));
    prop_oneof![3 => own_ids, 1 => vec(row(), 0..8)]
}

/// Rows that are a table: each is for a kind of its own.
pub fn disjoint_rows() -> impl Strategy<Value = Vec<Row>> + Clone {
    let one = (pattern(), plain(), vec(escalation(), 0..2)).prop_map(
        |(mut pattern, template, escalation)| {
            // A flag both demanded and excluded would make the row dead.
            let both = pattern.all_flags.bits() & !pattern.no_flags.bits();
            pattern.all_flags = SafetyFlags::from_bits(both).unwrap_or(SafetyFlags::NONE);
            Row { id: template.id.name().clone().into(), pattern, template, escalation }
        },
    );
    vec(one, 0..12).prop_map(|rows| renamed(rows, true))
}

/// The rows with ids of their own and, where asked for, kinds of their own.
fn renamed(rows: Vec<Row>, kinds: bool) -> Vec<Row> {
    let numbered = rows.into_iter().enumerate();
    let renamed = numbered.map(|(number, mut row)| {
        if let Ok(id) = format!("row-{number}").parse() {
            row.id = id;
        }
        if kinds {
            row.pattern.kind = format!("kind-{number}").parse().ok();
        }
        row
    });
    renamed.collect()
}
