//! The table, the classes, and the record.

use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::id::Subsystem;
use crate::ssot::record::StreamKind;
use crate::time::Timestamp;

const KINDS: [RecordKind; 14] = [
    RecordKind::AudienceEvent,
    RecordKind::EnvelopeBlock,
    RecordKind::TransitionRefused,
    RecordKind::ConstitutionalCheck,
    RecordKind::SessionOpened,
    RecordKind::SessionClosed,
    RecordKind::EvidenceBlock,
    RecordKind::Outcome,
    RecordKind::Fact,
    RecordKind::GovernanceDecision,
    RecordKind::PolicyPinned,
    RecordKind::Snapshot,
    RecordKind::ConflictDetected,
    RecordKind::IdentityScored,
];

/// The table in the module's documentation is the one in the code.
#[test]
fn the_table_is_the_documented_one() {
    let text = include_str!("../conflict.rs");
    let columns: [(&str, &[RecordKind]); 8] = [
        ("audience", &KINDS[..4]),
        ("evidence", &[RecordKind::EvidenceBlock]),
        ("outcome", &[RecordKind::Outcome]),
        ("fact", &[RecordKind::Fact]),
        ("decision", &[RecordKind::GovernanceDecision]),
        ("opened", &[RecordKind::SessionOpened]),
        ("scored", &[RecordKind::IdentityScored]),
        ("policy", &[RecordKind::PolicyPinned]),
    ];
    let rows: [(&str, &[RecordKind]); 11] = [
        ("audience event", &[RecordKind::AudienceEvent]),
        ("envelope block, refusal", &[RecordKind::EnvelopeBlock, RecordKind::TransitionRefused]),
        ("constitutional check", &[RecordKind::ConstitutionalCheck]),
        ("evidence block", &[RecordKind::EvidenceBlock]),
        ("outcome", &[RecordKind::Outcome]),
        ("fact", &[RecordKind::Fact]),
        ("decision", &[RecordKind::GovernanceDecision]),
        ("session opened", &[RecordKind::SessionOpened]),
        ("session closed", &[RecordKind::SessionClosed]),
        ("identity scored", &[RecordKind::IdentityScored]),
        ("policy pinned", &[RecordKind::PolicyPinned]),
    ];
    let mut seen = 0;
    for (name, came) in rows.iter().chain(&[(
        "snapshot, conflict detected",
        &[RecordKind::Snapshot, RecordKind::ConflictDetected][..],
    )]) {
        let row =
            text.lines().find_map(|line| line.strip_prefix(&alloc::format!("//! | {name} |")));
        let cells: Vec<&str> =
            row.unwrap().trim_end_matches('|').split('|').map(str::trim).collect();
        assert_eq!(cells.len(), columns.len(), "{name}");
        for (cell, (column, ours)) in cells.iter().zip(columns) {
            for (came, ours) in came.iter().flat_map(|came| ours.iter().map(move |o| (came, o))) {
                let mark = match relation(*came, *ours) {
                    Relation::Commutes => "·",
                    Relation::ByContent => "?",
                    Relation::Conflicts => "x",
                };
                assert_eq!(mark, *cell, "{name} \\ {column}: {came:?}, {ours:?}");
                seen += 1;
            }
        }
    }
    assert_eq!(seen, 14 * 11);
    for came in KINDS {
        for ours in [RecordKind::Snapshot, RecordKind::ConflictDetected, RecordKind::SessionClosed]
        {
            assert_eq!(relation(came, ours), Relation::Commutes);
        }
    }
}

fn stream(kind: StreamKind) -> StreamId {
    StreamId::new(kind, "alice".parse().unwrap())
}

fn draft(kind: StreamKind, what: RecordKind, body: &[u8]) -> Draft {
    Draft::new(stream(kind), what, Subsystem::Routing, body.to_vec())
}

fn at(millis: u64) -> Timestamp {
    Timestamp::from_millis(millis)
}

/// Evidence that was decided on the heads of four streams.
fn batch() -> Batch {
    [StreamKind::Routing, StreamKind::Audience, StreamKind::Memory, StreamKind::Governance]
        .into_iter()
        .fold(Batch::new(at(5)), |batch, kind| batch.expect(stream(kind), Head::EMPTY))
        .append(draft(StreamKind::Audience, RecordKind::AudienceEvent, &[1]))
        .append(draft(StreamKind::Routing, RecordKind::EvidenceBlock, &[2]))
}

fn came(drafts: &[Draft], first: u64, time: u64) -> Vec<Record> {
    let mut heads: Vec<(StreamId, Head)> = vec![];
    let mut out = vec![];
    for (draft, index) in drafts.iter().zip(first..) {
        let last = heads.iter().rev().find(|(stream, _)| stream == draft.stream());
        let head = last.map_or(Head::EMPTY, |(_, head)| *head);
        let record = Record::seal(draft.clone(), index, head, at(time));
        heads.push((draft.stream().clone(), record.head()));
        out.push(record);
    }
    out
}

#[test]
fn the_batch_itself_is_the_same() {
    let batch = batch();
    let own = came(batch.drafts(), 9, 5);
    let found = classify(&batch, &own);
    assert_eq!(found.class, Class::Same);
    assert!(found.findings.iter().all(|finding| finding.class == Class::Same));
    // Another time, another body, one more, one fewer, a gap, another order: not the batch.
    let mut other = batch.drafts().to_vec();
    other[1] = draft(StreamKind::Routing, RecordKind::EvidenceBlock, &[3]);
    let mut more = batch.drafts().to_vec();
    more.push(draft(StreamKind::Memory, RecordKind::Fact, &[]));
    let gap = [came(&batch.drafts()[..1], 9, 5), came(&batch.drafts()[1..], 11, 5)].concat();
    let swapped: Vec<Draft> = batch.drafts().iter().rev().cloned().collect();
    for records in [
        came(batch.drafts(), 9, 6),
        came(&other, 9, 5),
        came(&more, 9, 5),
        came(&batch.drafts()[..1], 9, 5),
        gap,
        came(&swapped, 9, 5),
    ] {
        assert_eq!(classify(&batch, &records).class, Class::Conflicting);
    }
    assert_eq!(classify(&Batch::new(at(1)), &[]).class, Class::Commuting, "of nothing");
}

#[test]
fn each_record_is_classified_and_the_gravest_counts() {
    let batch = batch();
    let drafts = [
        draft(StreamKind::Audience, RecordKind::EnvelopeBlock, &[]),
        draft(StreamKind::Memory, RecordKind::Fact, &[7]),
        draft(StreamKind::Governance, RecordKind::GovernanceDecision, &[8]),
        draft(StreamKind::Session, RecordKind::SessionClosed, &[]),
    ];
    let records = came(&drafts, 3, 4);
    let found = classify_with(&batch, &records, |record, _| record.body() == [8]);
    let classes: Vec<Class> = found.findings.iter().map(|finding| finding.class).collect();
    assert_eq!(classes, [Class::Commuting, Class::Commuting, Class::Conflicting]);
    assert_eq!(found.class, Class::Conflicting);
    assert_eq!(found.findings[2].against, RecordKind::AudienceEvent);
    assert_eq!(found.findings[2].index, 5);
    // Nobody who reads bodies: what depends on them conflicts.
    let blind = classify(&batch, &records);
    assert_eq!(blind.findings[1].class, Class::Conflicting);
    let calm = classify_with(&batch, &records, |_, _| false);
    assert_eq!(calm.class, Class::Commuting);
    // What stood there when it was decided came not between.
    let known = batch.clone();
    let mut known = known;
    assert!(known.expect_at(3, records[2].head()));
    let found = classify(&known, &records);
    assert!(found.findings.iter().all(|f| f.kind != RecordKind::GovernanceDecision));
}

#[test]
fn the_record_has_one_form() {
    let records = came(&[draft(StreamKind::Memory, RecordKind::Fact, &[7])], 3, 4);
    let batch = batch();
    let found = classify(&batch, &records);
    let conflict = ConflictDetected::new(&batch, found, Some(ConflictCause::MemoryContextDrift));
    let bytes = conflict.to_canonical();
    assert_eq!(ConflictDetected::from_canonical(&bytes), Ok(conflict));
    assert_eq!(
        Domain::Other.hash(&bytes).to_string(),
        "3a39bc4d880ace01bbd988513db388f040b411b1a35a08f6756d9967ffa0f30d",
        "the form of the record is frozen"
    );
    for place in 0..bytes.len() {
        let mut bad = bytes.clone();
        bad[place] ^= 0xff;
        if let Ok(read) = ConflictDetected::from_canonical(&bad) {
            assert_eq!(read.to_canonical(), bad, "byte {place}");
        }
    }
}
