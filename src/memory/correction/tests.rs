use alloc::vec;

use super::ConflictKind::{Inconsistent, Misaligned, Missing, Stale};
use super::*;
use crate::digest::Digest;
use crate::memory::test_support::{Build, also, key, label, learn};
use crate::memory::{MemoryEngine as _, MemoryInput, MemorySystem};
use crate::time::Timestamp;

fn recall(intent: &Intent, facts: &Facts) -> Result<(), Vec<MemoryConflict>> {
    let now = Timestamp::from_millis(1000);
    let input = MemoryInput { intent, facts, snapshot: facts.snapshot(), now };
    MemorySystem::default().recall(&input).map(drop)
}

fn read(k: &str, version: u64) -> ReadFact {
    ReadFact { key: key(k), version }
}

/// An intent with one conflict of each kind a caller can settle, and the facts.
fn halted() -> (Intent, Facts) {
    let fact = |k: &str, v: &str| NewFact::new(key(k), v.into(), label(Source::User));
    let facts = learn([
        fact("iban", "DE00"),
        fact("iban", "DE01"),
        fact("rate", "3").until(Timestamp::from_millis(6)),
        fact("limit", "10"),
        fact("limit", "99").within("s-2".parse().unwrap()),
    ]);
    let intent = Build::new()
        .read("iban", 1)
        .read("limit", 2)
        .read("rate", 1)
        .read("payee", 1)
        .argument("to", "DE99", label(Source::Memory))
        .argument("memo", "rent", label(Source::User))
        .snapshot(SnapshotId::new(Digest::from_bytes([3; 32])))
        .intent();
    (intent, facts)
}

fn steps(facts: &Facts) -> Vec<CorrectionStep> {
    vec![
        CorrectionStep::Reread(read("iban", 2)),
        CorrectionStep::Reread(read("limit", 1)),
        CorrectionStep::Fact(NewFact::new(key("rate"), "4".into(), label(Source::User))),
        CorrectionStep::Fact(NewFact::new(key("payee"), "Bob".into(), label(Source::User))),
        CorrectionStep::Take { argument: "to".into(), fact: read("iban", 2) },
        CorrectionStep::Snapshot(facts.snapshot()),
    ]
}

#[test]
fn irm_5_4_a_settled_correction_makes_an_intent_that_passes() {
    let (intent, mut facts) = halted();
    let conflicts = recall(&intent, &facts).unwrap_err();
    let kinds: Vec<_> = conflicts.iter().map(|c| c.kind).collect();
    assert_eq!(kinds, [Stale, Misaligned, Inconsistent, Missing, Inconsistent, Stale]);

    let asked = CorrectionRequest::new(&conflicts, &facts);
    let expected = [
        Need::Reread { key: key("iban"), standing: vec![2] },
        Need::Reread { key: key("limit"), standing: vec![1, 2] },
        Need::Fact { key: key("rate") },
        Need::Fact { key: key("payee") },
        Need::Argument { argument: "to".into(), closest: None },
        Need::Snapshot { current: facts.snapshot() },
    ];
    assert_eq!(asked.needs(), expected);

    let mut correction = Correction { steps: steps(&facts) };
    let open = settle(&conflicts, &correction, &facts).unwrap_err();
    let keys: Vec<_> = open.iter().filter_map(|c| c.key.clone()).collect();
    assert_eq!(keys, [key("rate"), key("payee")], "new facts are not recorded yet");
    let new: Vec<_> = correction.new_facts().cloned().collect();
    for fact in new {
        also(&mut facts, fact);
    }
    assert!(settle(&conflicts, &correction, &facts).is_err(), "the snapshot moved");
    *correction.steps.last_mut().unwrap() = CorrectionStep::Snapshot(facts.snapshot());

    let settled = settle(&conflicts, &correction, &facts).unwrap();
    let reads: Vec<_> = settled.reads().map(|(k, v)| (k.as_str(), v)).collect();
    assert_eq!(reads, [("iban", 2), ("limit", 1), ("payee", 1), ("rate", 2)]);
    let corrected = Build::from(settled.request(&intent)).intent();
    assert_ne!(corrected.hash(), intent.hash(), "a new intent");
    assert_eq!(recall(&corrected, &facts), Ok(()));
    let to = &corrected.arguments()["to"];
    assert_eq!(to.value, "DE01".into());
    assert_eq!(to.label, label(Source::User).join(&label(Source::Memory)));
    assert_eq!(corrected.arguments()["memo"], intent.arguments()["memo"]);
    assert_eq!(corrected.snapshot(), Some(facts.snapshot()));
}

/// IRM-4.4.5, IRM-5.4.
#[test]
fn irm_5_4_every_step_is_needed() {
    let (intent, mut facts) = halted();
    let conflicts = recall(&intent, &facts).unwrap_err();
    let new = Correction { steps: steps(&facts) };
    let new: Vec<_> = new.new_facts().cloned().collect();
    for fact in new {
        also(&mut facts, fact);
    }
    let all = steps(&facts);
    assert!(settle(&conflicts, &Correction { steps: all.clone() }, &facts).is_ok());
    for missing in 0..all.len() {
        let mut steps = all.clone();
        steps.remove(missing);
        let open = settle(&conflicts, &Correction { steps }, &facts).unwrap_err();
        assert_eq!(open, [conflicts[missing].clone()], "without step {missing}");
    }
}

#[test]
fn what_does_not_fit_settles_nothing() {
    let (intent, facts) = halted();
    let conflicts = recall(&intent, &facts).unwrap_err();
    let supply = |label| CorrectionStep::Supply {
        argument: "to".into(),
        value: Argument { value: "DE01".into(), label },
    };
    for step in [
        CorrectionStep::Reread(read("iban", 1)),
        CorrectionStep::Reread(read("iban", 3)),
        CorrectionStep::Reread(read("rate", 1)),
        CorrectionStep::Snapshot(SnapshotId::new(Digest::ZERO)),
        CorrectionStep::Take { argument: "to".into(), fact: read("iban", 1) },
        CorrectionStep::Take { argument: "memo".into(), fact: read("iban", 2) },
        CorrectionStep::Fact(NewFact::new(key("rate"), "4".into(), label(Source::User))),
        supply(label(Source::Memory)),
        supply(crate::provenance::Label::empty()),
    ] {
        let correction = Correction { steps: vec![step.clone()] };
        let open = settle(&conflicts, &correction, &facts).unwrap_err();
        assert_eq!(open, conflicts, "{step:?}");
    }
    let correction = Correction { steps: vec![supply(label(Source::User))] };
    let open = settle(&conflicts, &correction, &facts).unwrap_err();
    assert_eq!(open.len(), conflicts.len() - 1, "a supplied argument settles its conflict");
}

#[test]
fn another_subjects_facts_cannot_be_corrected_away() {
    let (_, facts) = halted();
    let bob = Build::new().subject("bob").intent();
    let conflicts = recall(&bob, &facts).unwrap_err();
    assert_eq!(CorrectionRequest::new(&conflicts, &facts).needs(), [Need::Subject]);
    let correction = Correction { steps: steps(&facts) };
    assert_eq!(settle(&conflicts, &correction, &facts).unwrap_err(), conflicts);
}

#[test]
fn steps_nobody_asked_for_are_not_taken() {
    let facts = learn([NewFact::new(key("iban"), "DE00".into(), label(Source::User))]);
    let correction = Correction { steps: steps(&facts) };
    let settled = settle(&[], &correction, &facts).unwrap();
    assert_eq!((settled.reads().count(), settled.arguments().count()), (0, 0));
}
