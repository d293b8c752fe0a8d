//! Governance policies.

use std::boxed::Box;
use std::format;
use std::vec::Vec;

use proptest::collection::{btree_map, btree_set, vec};
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;

use super::audience::state;
use super::vocabulary::{drift, flags, name, named, narrowing, risk, value, verdict};
use crate::governance::{
    ArgumentCondition, Conditions, Kinds, Obligations, Policy, PolicyParts, Rule, Test,
};
use crate::id::RuleId;
use crate::verdict::Verdict;

fn kinds() -> impl Strategy<Value = Kinds> + Clone {
    prop_oneof![
        1 => Just(Kinds::Any),
        4 => btree_set(named(), 1..3).prop_map(Kinds::Named),
    ]
}

fn argument() -> impl Strategy<Value = ArgumentCondition> + Clone {
    let test = value().prop_map(Test::Equals);
    (any::<bool>(), vec(test, 0..2)).prop_map(|(present, tests)| ArgumentCondition {
        present: present || tests.is_empty(),
        tests,
        ..ArgumentCondition::default()
    })
}

fn conditions() -> impl Strategy<Value = Conditions> + Clone {
    let argument_name = "[a-z]{1,2}".prop_map(Box::<str>::from);
    (
        btree_set(name(), 0..2),
        btree_set(state(), 0..3),
        btree_set(select(&['A', 'B', 'C'][..]), 0..2),
        weighted(0.2, flags()),
        weighted(0.3, risk()),
        btree_set(drift(), 0..2),
        btree_map(argument_name, argument(), 0..2),
        weighted(0.2, any::<bool>()),
        btree_set(named(), 0..2),
    )
        .prop_map(|(scopes, states, classes, any, below, drift, arguments, outside, after)| {
            Conditions {
                scopes,
                states,
                classes,
                flags_any: any.unwrap_or_default(),
                risk_below: below,
                drift,
                arguments,
                context_outside: outside,
                after,
                ..Conditions::default()
            }
        })
}

/// Any rule: not every one can stand in a policy.
pub fn rule() -> impl Strategy<Value = Rule> + Clone {
    let obligations = (narrowing(), weighted(0.5, name()), weighted(0.5, 1..100_000_u64), ".{0,8}");
    (named::<RuleId>(), verdict(), kinds(), conditions(), obligations, any::<bool>()).prop_map(
        |(id, effect, kinds, when, then, rules_on_drift)| {
            let (narrowing, approver, timeout_seconds, missing) = then;
            let mut then = Obligations::default();
            match effect {
                Verdict::Modify => then.narrowing = narrowing,
                Verdict::StepUp => {
                    then.approver = approver;
                    then.timeout_seconds = timeout_seconds;
                }
                Verdict::Defer => {
                    then.missing = missing.into();
                    then.timeout_seconds = timeout_seconds;
                }
                Verdict::Allow | Verdict::Deny => {}
            }
            let permits = matches!(effect, Verdict::Allow | Verdict::Modify);
            Rule {
                when,
                then,
                rules_on_drift: rules_on_drift && permits,
                ..Rule::new(id, effect, kinds)
            }
        },
    )
}

/// Any parts of a policy, sound or not.
pub fn arbitrary_policy() -> impl Strategy<Value = PolicyParts> + Clone {
    (vec(name(), 0..3), vec(rule(), 0..6)).prop_map(|(approvers, rules)| PolicyParts {
        version: "1".into(),
        approvers,
        rules,
        ..PolicyParts::default()
    })
}

/// A policy that holds: of arbitrary rules those that can stand together.
pub fn policy() -> impl Strategy<Value = Policy> + Clone {
    (btree_set(name(), 1..3), vec(rule(), 0..8)).prop_map(|(approvers, rules)| {
        let mut approvers: Vec<_> = approvers.into_iter().collect();
        approvers.reverse();
        let mut parts = PolicyParts { version: "1".into(), approvers, ..PolicyParts::default() };
        for (number, mut rule) in rules.into_iter().enumerate() {
            if let Ok(id) = format!("rule-{number}").parse() {
                rule.id = id;
            }
            if rule.effect == Verdict::StepUp {
                rule.then.approver = parts.approvers.first().cloned();
                rule.then.timeout_seconds = Some(rule.then.timeout_seconds.unwrap_or(60));
            }
            let mut with = parts.clone();
            with.rules.push(rule);
            if Policy::new(with.clone()).is_ok() {
                parts = with;
            }
        }
        Policy::new(parts).unwrap_or_default()
    })
}
