use alloc::string::ToString;
use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::id::{ModuleId, SnapshotId, TemplateId};
use crate::pipeline::Branch;
use crate::verdict::{Consensus, SafetyMode};

fn template() -> Template {
    Template {
        id: TemplateId::new("t").unwrap(),
        mode: SafetyMode::Normal,
        engines: vec![],
        modules: vec![ModuleId::new("m").unwrap()],
        branches: vec![Branch {
            id: RuleId::new("b").unwrap(),
            all_flags: SafetyFlags::NONE,
            no_flags: SafetyFlags::NONE,
            modes: vec![],
            states: vec![],
            module: ModuleId::new("m").unwrap(),
        }],
    }
}

fn row(id: &str, pattern: Pattern) -> Row {
    Row { id: RuleId::new(id).unwrap(), pattern, template: template(), escalation: vec![] }
}

#[expect(clippy::unnecessary_wraps, reason = "what a pattern holds")]
fn kind(name: &str) -> Option<KindId> {
    Some(KindId::new(name).unwrap())
}

fn components(flags: SafetyFlags, consensus: Consensus, objective: &str) -> RoutingComponents {
    RoutingComponents {
        intent: Domain::Other.hash(b"i"),
        objective: Domain::Objective.hash(objective.as_bytes()),
        snapshot: SnapshotId::new(Digest::ZERO),
        flags,
        consensus,
    }
}

/// The definition, read row by row: what `find` must agree with.
fn naive<'a>(rows: &'a [Row], kind: &KindId, c: &RoutingComponents) -> Vec<&'a RuleId> {
    rows.iter().filter(|r| matches(&r.pattern, kind, c)).map(|r| &r.id).collect()
}

fn matches(p: &Pattern, kind: &KindId, c: &RoutingComponents) -> bool {
    p.kind.as_ref().is_none_or(|k| k == kind)
        && p.objective.is_none_or(|o| o == c.objective)
        && c.flags.contains(p.all_flags)
        && !c.flags.intersects(p.no_flags)
        && p.votes.iter().all(|(layer, vote)| c.consensus.vote(*layer) == *vote)
}

#[test]
fn d_24_two_rows_that_match_the_same_are_named_with_a_witness() {
    let a = row(
        "a",
        Pattern { kind: kind("pay"), all_flags: SafetyFlags::EFFECT, ..Pattern::default() },
    );
    let b = row("b", Pattern { no_flags: SafetyFlags::BULK, ..Pattern::default() });
    let error = RoutingTable::build("1".parse().unwrap(), vec![b, a]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "rows `a` and `b` both match kind `pay`, any objective, flags effect"
    );
}

#[test]
fn rows_that_cannot_meet_are_a_table() {
    let votes = |vote| vec![(LayerId::Modeling, vote)];
    let rows = vec![
        row(
            "a",
            Pattern { kind: kind("pay"), all_flags: SafetyFlags::EFFECT, ..Pattern::default() },
        ),
        row(
            "b",
            Pattern {
                kind: kind("pay"),
                no_flags: SafetyFlags::EFFECT,
                votes: votes(Vote::Agree),
                ..Pattern::default()
            },
        ),
        row(
            "c",
            Pattern {
                kind: kind("pay"),
                no_flags: SafetyFlags::EFFECT,
                votes: votes(Vote::Abstain),
                ..Pattern::default()
            },
        ),
        row("d", Pattern { kind: kind("read"), ..Pattern::default() }),
    ];
    let table = RoutingTable::build("1".parse().unwrap(), rows).unwrap();
    let found =
        |kind: &str, c| table.find(&KindId::new(kind).unwrap(), &c).map(|r| r.id.to_string());
    let none = SafetyFlags::NONE;
    assert_eq!(
        found("pay", components(SafetyFlags::EFFECT, Consensus::NONE, "")),
        Some("a".into())
    );
    assert_eq!(found("pay", components(none, Consensus::NONE, "")), Some("c".into()));
    let agreed = Consensus::NONE.with(LayerId::Modeling, Vote::Agree);
    assert_eq!(found("pay", components(none, agreed, "")), Some("b".into()));
    let dissent = Consensus::NONE.with(LayerId::Modeling, Vote::Dissent);
    assert_eq!(found("pay", components(none, dissent, "")), None, "IRM-5.1");
    assert_eq!(found("read", components(SafetyFlags::BULK, agreed, "x")), Some("d".into()));
}

#[test]
fn impossible_and_duplicate_rows_are_refused() {
    let both = Pattern {
        all_flags: SafetyFlags::EFFECT,
        no_flags: SafetyFlags::EFFECT.union(SafetyFlags::BULK),
        ..Pattern::default()
    };
    let error = RoutingTable::build("1".parse().unwrap(), vec![row("a", both)]).unwrap_err();
    assert_eq!(
        error.to_string(),
        "row `a` can never match: it demands and forbids the flags effect"
    );
    let twice = vec![
        row("a", Pattern { kind: kind("x"), ..Pattern::default() }),
        row("a", Pattern { kind: kind("y"), ..Pattern::default() }),
    ];
    let error = RoutingTable::build("1".parse().unwrap(), twice).unwrap_err();
    assert!(matches!(error, TableError::DuplicateRow { .. }));
}

/// D-23, D-24, IRM-3.1.6.
#[test]
fn d_24_resolve_refuses_an_id_of_other_components() {
    let rows = vec![row("a", Pattern::default())];
    let table = RoutingTable::build("1".parse().unwrap(), rows).unwrap();
    let pay = KindId::new("pay").unwrap();
    let c = components(SafetyFlags::NONE, Consensus::NONE, "");
    let other = components(SafetyFlags::EFFECT, Consensus::NONE, "");
    assert!(table.resolve(&pay, &c, c.id()).is_ok());
    assert!(matches!(table.resolve(&pay, &c, other.id()), Err(ResolveError::IdMismatch { .. })));
}

/// IRM-3.2.1, IRM-3.2.7.
#[test]
fn the_digest_covers_every_part_of_a_row() {
    let base = row("a", Pattern { kind: kind("pay"), ..Pattern::default() });
    let digest = |row: Row| RoutingTable::build("1".parse().unwrap(), vec![row]).unwrap().digest();
    let mut seen = alloc::collections::BTreeSet::from([digest(base.clone())]);
    let mut changes: Vec<Row> = Vec::new();
    for change in 0..9 {
        let mut row = base.clone();
        match change {
            0 => row.id = RuleId::new("z").unwrap(),
            1 => row.pattern.kind = None,
            2 => row.pattern.objective = Some(Digest::ZERO),
            3 => row.pattern.all_flags = SafetyFlags::BULK,
            4 => row.pattern.no_flags = SafetyFlags::BULK,
            5 => row.pattern.votes = vec![(LayerId::Safety, Vote::Agree)],
            6 => row.template.mode = SafetyMode::ReadOnly,
            7 => row.template.engines = vec![LayerId::Safety],
            _ => {
                row.escalation = vec![EscalationRule {
                    risk_at_least: Risk::MAX,
                    drift_at_least: Drift::None,
                    any_flags: SafetyFlags::NONE,
                    then: EscalationAction::Deny,
                }];
            }
        }
        changes.push(row);
    }
    for row in changes {
        assert!(seen.insert(digest(row.clone())), "{row:?}");
    }
    let other = RoutingTable::build("2".parse().unwrap(), vec![base]).unwrap();
    assert!(seen.insert(other.digest()), "the version");
}

fn arb_pattern() -> impl Strategy<Value = Pattern> {
    let flag = (0_u32..3).prop_map(|bit| SafetyFlags::from_bits(1 << bit).unwrap());
    let vote = prop_oneof![Just(Vote::Abstain), Just(Vote::Agree), Just(Vote::Dissent)];
    (
        prop::option::of(prop_oneof![Just("x"), Just("y")]),
        prop::option::of(prop_oneof![Just("o"), Just("p")]),
        prop::option::of(flag.clone()),
        prop::option::of(flag),
        prop::option::of((prop_oneof![Just(LayerId::Modeling), Just(LayerId::Safety)], vote)),
    )
        .prop_map(|(k, o, all, no, vote)| Pattern {
            kind: k.and_then(kind),
            objective: o.map(|text| Domain::Objective.hash(text.as_bytes())),
            all_flags: all.unwrap_or_default(),
            no_flags: no.unwrap_or_default(),
            votes: vote.into_iter().collect(),
        })
}

fn every_component() -> Vec<(KindId, RoutingComponents)> {
    let mut out = Vec::new();
    for kind in ["x", "y", "z"] {
        for objective in ["o", "p", "q"] {
            for bits in 0..8 {
                for modeling in [Vote::Abstain, Vote::Agree, Vote::Dissent] {
                    for safety in [Vote::Abstain, Vote::Agree, Vote::Dissent] {
                        let consensus = Consensus::NONE
                            .with(LayerId::Modeling, modeling)
                            .with(LayerId::Safety, safety);
                        let flags = SafetyFlags::from_bits(bits).unwrap();
                        out.push((
                            KindId::new(kind).unwrap(),
                            components(flags, consensus, objective),
                        ));
                    }
                }
            }
        }
    }
    out
}

proptest! {
    /// D-24: building succeeds exactly when no components are matched twice, and
    /// then `find` is the naive reading; a reported pair is matched by a witness.
    #[test]
    fn building_proves_disjointness(patterns in prop::collection::vec(arb_pattern(), 1..7)) {
        let rows: Vec<Row> = patterns.into_iter().enumerate()
            .map(|(i, p)| row(&format!("r{i}"), p)).collect();
        let possible = rows.iter().all(|r| !r.pattern.all_flags.intersects(r.pattern.no_flags));
        let everything = every_component();
        let twice = everything.iter().any(|(k, c)| naive(&rows, k, c).len() > 1);
        match RoutingTable::build("1".parse().unwrap(), rows.clone()) {
            Ok(table) => {
                prop_assert!(possible && !twice);
                for (k, c) in &everything {
                    let found: Vec<_> = table.find(k, c).map(|r| &r.id).into_iter().collect();
                    prop_assert_eq!(found, naive(&rows, k, c));
                }
            }
            Err(TableError::Ambiguous { first, second, witness }) => {
                let of = |id: &RuleId| rows.iter().find(|r| r.id == *id).unwrap();
                let consensus = witness.votes.iter()
                    .fold(Consensus::NONE, |c, (layer, vote)| c.with(*layer, *vote));
                let mut c = components(witness.flags, consensus, "anything");
                c.objective = witness.objective.unwrap_or(c.objective);
                let k = witness.kind.clone().unwrap_or_else(|| KindId::new("any").unwrap());
                prop_assert!(matches(&of(&first).pattern, &k, &c), "{first} {witness}");
                prop_assert!(matches(&of(&second).pattern, &k, &c), "{second} {witness}");
            }
            Err(TableError::Impossible { .. }) => prop_assert!(!possible),
            Err(other) => prop_assert!(false, "{other}"),
        }
    }
}
