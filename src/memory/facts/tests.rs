use alloc::borrow::ToOwned;
use alloc::vec;

use proptest::prelude::*;

use super::*;
use crate::encode::{Decode as _, Encode as _};
use crate::id::Subsystem;
use crate::provenance::Sensitivity;
use crate::ssot::record::Draft;

fn key(text: &str) -> FactKey {
    text.parse().unwrap()
}

fn new(k: &str, value: &str) -> NewFact {
    NewFact::new(key(k), value.into(), Label::from(Source::User))
}

/// Seals a fact as the next record of alice's memory and takes it.
fn seal(facts: &Facts, fact: &FactRecord) -> Record {
    let draft = fact.draft(&"alice".parse().unwrap());
    Record::seal(draft, facts.head().length() + 40, facts.head(), Timestamp::from_millis(5))
}

#[test]
fn the_body_is_the_documented_one() {
    let label = Label::from(Source::Outside("web".parse().unwrap()));
    let record = FactRecord {
        key: key("iban"),
        version: 3,
        value: Some("x".into()),
        label: label.with_sensitivity(Sensitivity::Personal),
        context: Some("s-1".parse().unwrap()),
        expires_at: Some(Timestamp::from_millis(258)),
    };
    let bytes = record.to_canonical();
    let expected = [
        &[1][..],
        &[4, 0, 0, 0, b'i', b'b', b'a', b'n'],
        &[3, 0, 0, 0, 0, 0, 0, 0],
        &[1, 3, 1, 0, 0, 0, b'x'],
        &[1, 0, 0, 0, 6, 3, 0, 0, 0, b'w', b'e', b'b', 2],
        &[1, 3, 0, 0, 0, b's', b'-', b'1'],
        &[1, 2, 1, 0, 0, 0, 0, 0, 0],
    ]
    .concat();
    assert_eq!(bytes, expected);
    assert_eq!(FactRecord::from_canonical(&bytes), Ok(record.clone()));
    let hash = crate::digest::Domain::Record.hash(&bytes);
    assert_eq!(
        alloc::format!("{hash}"),
        "d8feee5e95cc4b0dc8cea1875fb083ecc220fbf72c598df8ec1c3040c4b7e997",
        "known answer"
    );
    let withdrawn = FactRecord { value: None, context: None, expires_at: None, ..record };
    assert_eq!(FactRecord::from_canonical(&withdrawn.to_canonical()), Ok(withdrawn));
}

#[test]
fn a_body_of_another_format_or_version_zero_is_refused() {
    let good = new("k", "v").at_version(1).to_canonical();
    let mut other = good.clone();
    other[0] = 2;
    assert!(matches!(FactRecord::from_canonical(&other), Err(DecodeError::Tag { found: 2, .. })));
    let mut zero = good.clone();
    zero[6] = 0;
    assert!(matches!(FactRecord::from_canonical(&zero), Err(DecodeError::Invalid { .. })));
    for end in 0..good.len() {
        assert!(FactRecord::from_canonical(&good[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn records_are_taken_in_their_order_only() {
    let mut facts = Facts::default();
    let first = seal(&facts, &facts.record(new("a", "1")));
    facts.apply(&first).unwrap();
    assert_eq!(facts.snapshot(), SnapshotId::new(first.digest()));
    assert_eq!(facts.subject().unwrap().as_str(), "alice");
    let before = facts.clone();

    assert!(matches!(facts.apply(&first), Err(FactsError::Chain { found: 0, .. })), "replayed");
    let forked = Record::seal(
        facts.record(new("a", "2")).draft(&"alice".parse().unwrap()),
        9,
        Head::new(1, Digest::from_bytes([1; 32])),
        Timestamp::default(),
    );
    assert!(matches!(facts.apply(&forked), Err(FactsError::Chain { found: 1, .. })), "forked");
    let skipped = seal(&facts, &new("a", "2").at_version(3));
    let error = facts.apply(&skipped).unwrap_err();
    assert_eq!(error, FactsError::Version { key: key("a"), expected: 2, found: 3 });
    assert_eq!(alloc::format!("{error}"), "expected version 2 of fact `a`, found 3");
    let stream = StreamId::new(StreamKind::Memory, "bob".parse().unwrap());
    let body = new("a", "2").at_version(2).to_canonical();
    let draft = Draft::new(stream, RecordKind::Fact, Subsystem::Memory, body);
    let foreign = Record::seal(draft, 9, facts.head(), Timestamp::default());
    assert!(matches!(facts.apply(&foreign), Err(FactsError::Stream { .. })));
    let draft = Draft::new(first.stream().clone(), RecordKind::Fact, Subsystem::Memory, vec![9]);
    let garbage = Record::seal(draft, 9, facts.head(), Timestamp::default());
    assert!(matches!(facts.apply(&garbage), Err(FactsError::Body { sequence: 1, .. })));
    assert_eq!(facts, before, "a refused record changes nothing");
}

#[test]
fn a_context_stands_before_what_holds_everywhere() {
    let mut facts = Facts::default();
    let within = |name: &str| name.parse::<Name>().unwrap();
    for fact in [
        new("k", "shared"),
        new("k", "mine").within(within("s-1")),
        new("k", "theirs").within(within("s-2")),
        new("only", "x").within(within("s-2")),
    ] {
        let record = seal(&facts, &facts.record(fact));
        facts.apply(&record).unwrap();
    }
    let value = |session: &str| match facts.visible(&key("k"), |c| c.as_str() == session) {
        Visible::Here(fact) => fact.value().as_text().unwrap().to_owned(),
        other => panic!("{other:?}"),
    };
    assert_eq!(value("s-1"), "mine");
    assert_eq!(value("s-2"), "theirs");
    assert_eq!(value("s-3"), "shared");
    assert!(matches!(facts.visible(&key("k"), |_| true), Visible::Torn(..)));
    assert!(matches!(facts.visible(&key("only"), |_| false), Visible::Elsewhere(_)));
    assert!(matches!(facts.visible(&key("none"), |_| true), Visible::Unknown));
    assert_eq!(facts.version(&key("k")), Some(3));
    assert_eq!(facts.at(&key("k"), 2).unwrap().context().unwrap().as_str(), "s-1");
}

#[test]
fn bounds_hold() {
    let mut facts = Facts::default();
    for i in 0..MAX_CONTEXTS {
        let fact = new("k", "v").within(alloc::format!("s-{i}").parse().unwrap());
        facts.apply_fact(facts.record(fact), Digest::ZERO, Timestamp::default()).unwrap();
    }
    let more = facts.record(new("k", "v"));
    let refused = facts.apply_fact(more, Digest::ZERO, Timestamp::default());
    assert!(matches!(refused, Err(FactsError::Limit { limit: MAX_CONTEXTS, .. })));
    let replace = facts.record(new("k", "w").within("s-3".parse().unwrap()));
    facts.apply_fact(replace, Digest::ZERO, Timestamp::default()).unwrap();
}

/// One write of a generated history: key, value (or withdrawal), context.
type Write = (u8, Option<u8>, Option<u8>);

/// The facts after these writes, and the answer of a list that is searched from its end.
fn check_against_a_plain_list(writes: &[Write]) {
    let mut facts = Facts::default();
    let mut records = vec![];
    let mut plain: Vec<(FactKey, Option<Name>, Option<Value>, u64)> = vec![];
    for (k, value, context) in writes {
        let fact = NewFact {
            key: key(&alloc::format!("k{k}")),
            value: value.map(|v| Value::from(i64::from(v))),
            label: Label::from(Source::User),
            context: context.map(|c| alloc::format!("c{c}").parse().unwrap()),
            expires_at: None,
        };
        let version = plain.iter().filter(|p| p.0 == fact.key).count() as u64 + 1;
        plain.push((fact.key.clone(), fact.context.clone(), fact.value.clone(), version));
        let record = seal(&facts, &facts.record(fact));
        facts.apply(&record).unwrap();
        records.push(record);
    }
    let mut standing: Vec<_> = plain
        .iter()
        .enumerate()
        .filter(|(i, p)| !plain[i + 1..].iter().any(|q| (&q.0, &q.1) == (&p.0, &p.1)))
        .filter_map(|(_, p)| Some((p.0.clone(), p.1.clone(), p.2.clone()?, p.3)))
        .collect();
    standing.sort();
    let found: Vec<_> = facts
        .iter()
        .map(|(k, f)| (k.clone(), f.context().cloned(), f.value().clone(), f.version()))
        .collect();
    assert_eq!(found, standing);
    for v in 0..4 {
        let value = Value::from(v);
        let held: Vec<_> = facts.holding(&value).map(|(k, f)| (k, f.version())).collect();
        let expected: Vec<_> =
            standing.iter().filter(|s| s.2 == value).map(|s| (&s.0, s.3)).collect();
        assert_eq!(held, expected, "index of {v}");
    }
    let mut again = Facts::default();
    for record in &records {
        again.apply(record).unwrap();
    }
    assert_eq!(again, facts, "replay");
}

proptest! {
    #[test]
    fn facts_agree_with_a_plain_list(
        writes in prop::collection::vec(
            (0_u8..4, prop::option::of(0_u8..4), prop::option::of(0_u8..3)), 0..40,
        ),
    ) {
        check_against_a_plain_list(&writes);
    }
}
