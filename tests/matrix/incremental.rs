//! A walk that stops anywhere and goes on is a walk that goes through at once.

use proptest::prelude::*;
use prospera::digest::Domain;
use prospera::memory::FactRecord;
use prospera::routing::audit::Auditor;
use prospera::routing::{EvidenceBlock, Outcome};
use prospera::ssot::matrix::{Check, Inspector, Matrix, Options, State, StateError};
use prospera::ssot::record::RecordKind;
use prospera::ssot::store::Store;

use crate::forge::{Forge, day, made, matrix};

/// Walks in steps of these lengths, saving and restoring between them.
pub(crate) fn in_steps(store: &(impl Store + ?Sized), steps: &[u64]) -> Matrix {
    let mut inspector = Inspector::new(Auditor::new());
    let steps = steps.iter().copied().map(Some).chain([None]);
    for limit in steps {
        let options = Options { limit, checkpoint: None };
        inspector.run(store, &options, |_| {}).unwrap();
        let saved = inspector.save();
        inspector = Inspector::restore(Auditor::new(), &saved).unwrap();
        assert_eq!(inspector.save(), saved, "what is read back writes the same bytes");
    }
    inspector.matrix(store, made()).unwrap()
}

/// Every single cut of a sound log, and of one that is broken in five places.
#[test]
fn every_cut_gives_the_whole() {
    let sound = day();
    let mut forge = Forge::of(&sound);
    let place = forge.find(RecordKind::Outcome, 0);
    forge.sheet(place).edit(|outcome: &mut Outcome| outcome.evidence = Domain::Other.hash(b"x"));
    let place = forge.find(RecordKind::Fact, 1);
    forge.sheet(place).edit(|fact: &mut FactRecord| fact.version = 7);
    let place = forge.find(RecordKind::SessionOpened, 1);
    forge.sheets.remove(place);
    let place = forge.find(RecordKind::EvidenceBlock, 4);
    forge.sheet(place).body.push(1);
    let place = forge.find(RecordKind::GovernanceDecision, 1);
    forge.sheets.remove(place);
    let broken = forge.seal();
    for store in [&sound, &broken] {
        let whole = matrix(store);
        for cut in 0..=store.len().unwrap() {
            assert_eq!(in_steps(store, &[cut]), whole, "cut at {cut}");
        }
    }
    assert!(matrix(&broken).faults().len() >= 4, "{:#?}", matrix(&broken).faults());
}

/// One change of a forged log.
#[derive(Debug, Clone)]
enum Change {
    Drop(usize),
    Twice(usize),
    Swap(usize, usize),
    Bit(usize, usize),
    Source(usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        any::<usize>().prop_map(Change::Drop),
        any::<usize>().prop_map(Change::Twice),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Change::Swap(a, b)),
        (any::<usize>(), any::<usize>()).prop_map(|(a, b)| Change::Bit(a, b)),
        any::<usize>().prop_map(Change::Source),
    ]
}

fn forged(changes: &[Change]) -> impl Store {
    let mut forge = Forge::new();
    for change in changes {
        let count = forge.sheets.len();
        match change {
            Change::Drop(at) => drop(forge.sheets.remove(at % count)),
            Change::Twice(at) => {
                let mut sheet = forge.sheets[at % count].clone();
                sheet.was = None;
                forge.sheets.insert(at % count, sheet);
            }
            Change::Swap(a, b) => forge.sheets.swap(a % count, b % count),
            Change::Bit(at, bit) => {
                let body = &mut forge.sheet(at % count).body;
                let bits = body.len() * 8;
                if bits > 0 {
                    body[bit % bits / 8] ^= 1 << (bit % 8);
                }
            }
            Change::Source(at) => {
                forge.sheet(at % count).source = prospera::id::Subsystem::Modeling;
            }
        }
    }
    forge.seal()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// INVARIANT (a fold), for any run, any changes and any cuts.
    #[test]
    fn any_cuts_of_any_log_give_the_whole(
        changes in prop::collection::vec(change(), 0..4),
        steps in prop::collection::vec(0..30_u64, 1..5),
    ) {
        let store = forged(&changes);
        prop_assert_eq!(in_steps(&store, &steps), matrix(&store));
    }
}

/// What is not checked yet is stale, and nothing is said to be sound that was not read.
#[test]
fn what_has_grown_is_stale() {
    let store = day();
    let mut inspector = Inspector::new(Auditor::new());
    let options = Options { limit: Some(12), checkpoint: None };
    inspector.run(&store, &options, |_| {}).unwrap();
    let found = inspector.matrix(&store, made()).unwrap();
    assert_eq!(found.verdict(), State::Stale);
    for row in found.rows() {
        let behind = row.head.length() - row.checked;
        for (check, cell) in row.cells() {
            let expected = match cell.state() {
                State::NotApplicable => State::NotApplicable,
                _ if behind > 0 => State::Stale,
                _ => State::Sound,
            };
            assert_eq!(cell.state(), expected, "{} {check}", row.stream);
        }
    }
    let checked: u64 = found.rows().iter().map(|row| row.checked).sum();
    assert_eq!(checked, 12);
    inspector.run(&store, &Options::default(), |_| {}).unwrap();
    assert_eq!(inspector.matrix(&store, made()).unwrap(), matrix(&store));
}

#[test]
fn a_state_is_refused_when_a_byte_is_another() {
    let store = day();
    let mut inspector = Inspector::new(Auditor::new());
    inspector.run(&store, &Options::default(), |_| {}).unwrap();
    let saved = inspector.save();
    for at in (0..saved.len()).step_by(7) {
        let mut other = saved.clone();
        other[at] ^= 0x20;
        assert!(Inspector::restore(Auditor::new(), &other).is_err(), "byte {at}");
        assert!(Inspector::restore(Auditor::new(), &saved[..at]).is_err(), "cut at {at}");
    }
    let mut longer = saved;
    longer.push(0);
    assert!(matches!(Inspector::restore(Auditor::new(), &longer), Err(StateError::Changed)));
    let other = Inspector::new(prospera::ssot::matrix::LogOnly).save();
    let refused = Inspector::restore(Auditor::new(), &other);
    assert!(matches!(refused, Err(StateError::Examiner { .. })));
}

/// Whoever makes a right digest over wrong bytes is met by strict decoding, never by a
/// panic or a large allocation.
#[test]
fn a_state_with_a_right_digest_is_still_read_strictly() {
    let store = day();
    let mut inspector = Inspector::new(Auditor::new());
    inspector.run(&store, &Options::default(), |_| {}).unwrap();
    let saved = inspector.save();
    let body = &saved[..saved.len() - 32];
    let (mut taken, mut refused) = (0, 0);
    for at in 0..body.len() {
        for value in [0x00, 0x01, 0xff] {
            let mut other = body.to_vec();
            other[at] = value;
            let digest = Domain::IntegrityMatrix.hash(&other);
            other.extend_from_slice(digest.as_bytes());
            match Inspector::restore(Auditor::new(), &other) {
                Ok(state) => {
                    taken += 1;
                    assert_eq!(state.save(), other, "byte {at}: one state, one form");
                }
                Err(_) => refused += 1,
            }
        }
    }
    assert!(taken > 0 && refused > 0, "{taken} {refused}");
}

/// What the auditor says of facts is what the Memory System's replay says.
#[test]
fn facts_are_taken_as_the_memory_system_takes_them() {
    let forge = Forge::new();
    let place = forge.find(RecordKind::Fact, 0);
    for (key, version, value) in
        [("address", 3, true), ("address", 2, true), ("other", 1, false), ("other", 0, true)]
    {
        let mut forge = Forge::new();
        let mut sheet = forge.sheets[place].clone();
        sheet.was = None;
        let mut fact: FactRecord = sheet.read();
        fact.key = key.parse().unwrap();
        fact.version = version;
        fact.value = value.then(|| "x".into());
        sheet.body = prospera::encode::Encode::to_canonical(&fact);
        // Behind everything, so that no snapshot names it.
        forge.sheets.push(sheet);
        let store = forge.seal();
        let mut facts = prospera::memory::Facts::default();
        let own = crate::forge::records(&store);
        let own = own.iter().filter(|record| record.kind() == RecordKind::Fact);
        let taken = own.map(|record| facts.apply(record)).all(|result| result.is_ok());
        let found = matrix(&store);
        let (schema, replay) = (found.count(Check::Schema), found.count(Check::Replay));
        let sound = schema.of(State::Unsound) + replay.of(State::Unsound) == 0;
        assert_eq!(sound, taken, "{key} {version} {value}: {:?}", found.faults());
    }
}

/// An evidence block is read by the auditor as by everybody.
#[test]
fn the_forge_forges_nothing_by_itself() {
    let store = day();
    let again = Forge::of(&store).seal();
    let blocks = |store: &dyn Store| -> Vec<EvidenceBlock> {
        let records = crate::forge::records(store);
        records.iter().filter_map(|record| record.read().ok()).collect()
    };
    assert_eq!(blocks(&store), blocks(&again));
}
