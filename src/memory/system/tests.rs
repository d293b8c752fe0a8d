use alloc::string::{String, ToString};
use alloc::vec;

use super::*;
use crate::digest::Digest;
use crate::id::SnapshotId;
use crate::memory::NewFact;
use crate::memory::test_support::{Build, key, label, learn};
use crate::provenance::Sensitivity;

const NOW: Timestamp = Timestamp::from_millis(1000);

fn recall(engine: &MemorySystem, intent: &Intent, facts: &Facts) -> Vec<(ConflictKind, String)> {
    let input = MemoryInput { intent, facts, snapshot: facts.snapshot(), now: NOW };
    match engine.recall(&input) {
        Ok(_) => vec![],
        Err(conflicts) => conflicts
            .into_iter()
            .map(|conflict| {
                assert_eq!(conflict.reason.code, conflict.kind.code());
                (conflict.kind, conflict.reason.detail.to_string())
            })
            .collect(),
    }
}

fn default(intent: &Intent, facts: &Facts) -> Vec<(ConflictKind, String)> {
    recall(&MemorySystem::default(), intent, facts)
}

#[test]
fn irm_4_4_current_reads_pass_without_a_word() {
    let facts = learn([NewFact::new(key("iban"), "DE00".into(), label(Source::User))]);
    let intent = Build::new().read("iban", 1).snapshot(facts.snapshot()).intent();
    let input =
        MemoryInput { intent: &intent, facts: &facts, snapshot: facts.snapshot(), now: NOW };
    let finding = MemorySystem::default().recall(&input).unwrap();
    assert_eq!(finding, MemoryFinding::default());
    assert_eq!(finding.reasons.capacity(), 0, "no allocation");
}

/// IRM-4.4.3.
#[test]
fn irm_4_4_3_old_versions_and_snapshots_are_stale() {
    let facts =
        learn(["a", "b", "c"].map(|v| NewFact::new(key("k"), v.into(), label(Source::User))));
    let found = default(&Build::new().read("k", 2).intent(), &facts);
    let text = "expected fact `k` at version 3, found version 2";
    assert_eq!(found, [(ConflictKind::Stale, text.into())]);
    let old = SnapshotId::new(Digest::from_bytes([9; 32]));
    let intent = Build::new().read("k", 3).snapshot(old).intent();
    assert_eq!(default(&intent, &facts)[0].0, ConflictKind::Stale);

    let lenient = MemorySystem::default().with_snapshots(SnapshotRule::ReadsSuffice);
    assert_eq!(recall(&lenient, &intent, &facts), []);
    let input =
        MemoryInput { intent: &intent, facts: &facts, snapshot: facts.snapshot(), now: NOW };
    assert_eq!(lenient.recall(&input).unwrap().reasons[0].code, ReasonCode::MemoryStale);
    let unread = Build::new().snapshot(old).intent();
    assert_eq!(recall(&lenient, &unread, &facts).len(), 1, "nothing shows what it relied on");
    let behind = Build::new().read("k", 1).snapshot(old).intent();
    assert_eq!(recall(&lenient, &behind, &facts).len(), 2, "a read is stale");

    let input = MemoryInput { intent: &intent, facts: &facts, snapshot: old, now: NOW };
    let conflicts = MemorySystem::default().recall(&input).unwrap_err();
    assert_eq!(conflicts.len(), 1, "the facts stand at another snapshot than the route");
}

/// IRM-4.4.2.
#[test]
fn irm_4_4_2_other_subjects_sessions_and_futures_are_misaligned() {
    let shared = NewFact::new(key("k"), "x".into(), label(Source::User));
    let facts = learn([
        shared.clone(),
        NewFact { value: Some("y".into()), ..shared.clone() }.within("s-2".parse().unwrap()),
        NewFact { key: key("theirs"), ..shared }.within("acme".parse().unwrap()),
    ]);
    let kinds = |intent: &Intent| {
        default(intent, &facts).into_iter().map(|(kind, _)| kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds(&Build::new().read("k", 1).intent()), []);
    assert_eq!(kinds(&Build::new().read("k", 2).intent()), [ConflictKind::Misaligned]);
    assert_eq!(kinds(&Build::new().read("k", 3).intent()), [ConflictKind::Misaligned]);
    assert_eq!(kinds(&Build::new().read("theirs", 1).intent()), [ConflictKind::Misaligned]);
    let value = Build::new().argument("to", "y", label(Source::Memory)).intent();
    assert_eq!(kinds(&value), [ConflictKind::Misaligned]);

    let tenant = Build::new().argument("tenant", "acme", label(Source::User)).read("theirs", 1);
    let tenant = tenant.intent();
    assert_eq!(kinds(&tenant), [ConflictKind::Misaligned]);
    let engine = MemorySystem::default().with_context_argument("tenant");
    assert_eq!(recall(&engine, &tenant, &facts), []);

    let bob = Build::new().subject("bob").read("none", 1).intent();
    let text = "expected facts of `bob`, found facts of `alice`";
    assert_eq!(default(&bob, &facts), [(ConflictKind::Misaligned, text.into())]);
}

/// IRM-4.4.1, PLAN-8.4.
#[test]
fn irm_4_4_1_contradictions_and_expiry_are_inconsistent() {
    let fact = |value: &str| NewFact::new(key("k"), value.into(), label(Source::User));
    let facts = learn([
        fact("x").within("s-1".parse().unwrap()),
        fact("y").within("acme".parse().unwrap()),
        NewFact { key: key("old"), ..fact("z") }.until(NOW),
    ]);
    let engine = MemorySystem::default().with_context_argument("tenant");
    let torn = Build::new().argument("tenant", "acme", label(Source::User)).read("k", 1).intent();
    let found = recall(&engine, &torn, &facts);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].0, ConflictKind::Inconsistent);
    assert!(found[0].1.contains("version 1 in context `s-1`"), "{}", found[0].1);
    let expired = Build::new().read("old", 1).argument("a", "z", label(Source::Memory)).intent();
    let found = default(&expired, &facts);
    assert_eq!(found.len(), 2);
    assert!(found.iter().all(|(kind, _)| *kind == ConflictKind::Inconsistent));
    assert!(found[0].1.ends_with("expired at 1970-01-01T00:00:01.000Z"), "{}", found[0].1);
    let input = MemoryInput {
        intent: &expired,
        facts: &facts,
        snapshot: facts.snapshot(),
        now: Timestamp::from_millis(999),
    };
    assert!(engine.recall(&input).is_ok(), "a millisecond earlier it held");
}

#[test]
fn unknown_and_withdrawn_facts_are_missing() {
    let fact = NewFact::new(key("k"), "x".into(), label(Source::User));
    let facts = learn([fact.clone(), NewFact { value: None, ..fact }]);
    let found = default(&Build::new().read("k", 1).read("none", 1).intent(), &facts);
    let expected = [
        (ConflictKind::Missing, "expected fact `k` at version 1, found it withdrawn".into()),
        (ConflictKind::Missing, "expected fact `none` at version 1, found no such fact".into()),
    ];
    assert_eq!(found, expected, "all conflicts, in the order of the reads");
}

#[test]
fn memory_does_not_wash_labels() {
    let outside = label(Source::Outside("web".parse().unwrap()));
    let secret = label(Source::User).with_sensitivity(Sensitivity::Secret);
    let facts = learn([
        NewFact::new(key("page"), "evil".into(), outside.clone()),
        NewFact::new(key("own"), "good".into(), secret),
    ]);
    let memory = || label(Source::Memory);
    let found = default(&Build::new().argument("to", "evil", memory()).intent(), &facts);
    assert_eq!(found[0].0, ConflictKind::Inconsistent);
    assert!(found[0].1.contains("came from outside web"), "{}", found[0].1);
    let honest = Build::new().argument("to", "evil", memory().join(&outside)).intent();
    assert_eq!(default(&honest, &facts), []);
    let invented = Build::new().argument("to", "made up", memory()).intent();
    assert_eq!(default(&invented, &facts)[0].0, ConflictKind::Inconsistent);

    let list = |items: Vec<Value>| Build::new().value("to", Value::List(items), memory()).intent();
    assert_eq!(default(&list(vec!["good".into(), "good".into()]), &facts), []);
    assert_eq!(default(&list(vec!["good".into(), "evil".into()]), &facts).len(), 1);
    assert_eq!(default(&list(vec![]), &facts).len(), 1);

    let intent = Build::new().argument("to", "good", memory()).intent();
    let input =
        MemoryInput { intent: &intent, facts: &facts, snapshot: facts.snapshot(), now: NOW };
    let noted = MemorySystem::default().recall(&input).unwrap().reasons;
    assert_eq!(&*noted[0].detail, "argument `to` understates the sensitivity of fact `own`");
}
