//! The library's own properties, over generated values (feature `proptest`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::LazyLock;

use proptest::collection::vec;
use proptest::prelude::*;
use prospera::audience::any::AnyAudience;
use prospera::audience::state::State;
use prospera::encode::Encode as _;
use prospera::governance::Policy;
use prospera::routing::RoutingTable;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::store::Store as _;
use prospera::testing::properties::{self, Mutation, Step};
use prospera::testing::strategy;
use prospera::testing::world::Setup;
use prospera::verdict::Verdict;

static SAMPLE: LazyLock<prospera::intent::Catalogue> =
    LazyLock::new(|| Setup::sample().unwrap().catalogue);

proptest! {
    #[test]
    fn values_are_read_back_as_themselves(
        value in strategy::value(),
        label in strategy::label(),
        reason in strategy::reason(),
        narrowing in strategy::narrowing(),
        event in strategy::lineage_event(),
        block in strategy::evidence_block(),
        outcome in strategy::outcome(),
    ) {
        properties::round_trip(&value)?;
        properties::round_trip(&label)?;
        properties::round_trip(&reason)?;
        properties::round_trip(&narrowing)?;
        properties::round_trip(&event)?;
        properties::round_trip(&block)?;
        properties::round_trip(&outcome)?;
    }

    #[test]
    fn records_are_read_back_as_themselves(
        draft in strategy::draft(),
        index: u64,
        head in strategy::head(),
        time in strategy::timestamp(),
    ) {
        properties::sealed_record(draft, index, head, time)?;
    }

    /// One byte of sound bytes is another: still at most one way to read them.
    #[test]
    fn no_value_has_two_encodings(
        record in strategy::sealed(),
        block in strategy::evidence_block(),
        event in strategy::lineage_event(),
        at: prop::sample::Index,
        to: u8,
    ) {
        for bytes in [record.bytes().to_vec(), block.to_canonical(), event.to_canonical()] {
            let mut changed = bytes.clone();
            *changed.get_mut(at.index(bytes.len())).unwrap() = to;
            properties::record_bytes(&bytes)?;
            properties::record_bytes(&changed)?;
        }
    }

    #[test]
    fn any_bytes_have_at_most_one_meaning(bytes in vec(any::<u8>(), 0..256)) {
        properties::record_bytes(&bytes)?;
    }

    #[test]
    fn decimals_and_labels_obey_their_laws(
        numbers in (strategy::decimal(), strategy::decimal()),
        labels in (strategy::label(), strategy::label(), strategy::label()),
    ) {
        properties::decimals_are_exact(numbers.0, numbers.1)?;
        properties::labels_join(&labels.0, &labels.1, &labels.2)?;
    }

    #[test]
    fn d_24_tables_are_unambiguous(
        rows in strategy::rows(),
        probes in vec((strategy::named(), strategy::components()), 0..8),
    ) {
        properties::tables_are_unambiguous(&rows, &probes)?;
    }

    #[test]
    fn disjoint_rows_are_a_table(rows in strategy::disjoint_rows()) {
        let table = RoutingTable::build("1".parse().unwrap(), rows.clone()).unwrap();
        prop_assert_eq!(table.rows().len(), rows.len());
    }

    #[test]
    fn any_single_change_of_a_log_is_found(
        drafts in strategy::log(),
        mutation in strategy::mutation(),
    ) {
        properties::mutations_are_found(drafts, mutation)?;
    }

    #[test]
    fn generated_batches_are_accepted(batch in strategy::batch()) {
        let count = batch.drafts().len();
        let store = MemoryStore::new();
        prop_assert_eq!(store.append(&batch).unwrap().records.len(), count);
    }

    #[test]
    fn legal_walks_replay_to_where_they_end(
        records in strategy::history("alice".parse().unwrap()),
        events in strategy::walk(),
    ) {
        let audience = AnyAudience::replay("alice".parse().unwrap(), &records).unwrap();
        let last = records.last().map(|record| {
            record.read::<prospera::audience::lineage::LineageEvent>().unwrap().to()
        });
        prop_assert_eq!(audience.state(), last.unwrap_or(State::Init));
        prop_assert!(events.iter().zip(events.iter().skip(1)).all(|(a, b)| a.to() == b.from()));
    }

    #[test]
    fn policies_have_one_digest(policy in strategy::policy()) {
        let mut turned = policy.parts().clone();
        turned.rules.reverse();
        prop_assert_eq!(Policy::new(turned).unwrap().digest(), policy.digest());
    }

    #[test]
    fn arbitrary_policies_are_checked(parts in strategy::arbitrary_policy()) {
        if let Ok(policy) = Policy::new(parts) {
            prop_assert_eq!(Policy::new(policy.parts().clone()).unwrap().digest(), policy.digest());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn d_27_whatever_is_routed_leaves_evidence_and_nothing_denied_is_executed(
        steps in strategy::script(&SAMPLE),
    ) {
        let world = Setup::sample().unwrap().build().unwrap();
        properties::script_is_sound(&world, steps)?;
    }

    /// Under any policy at all; and whatever was routed is derived again, byte for byte.
    #[test]
    fn whatever_the_policy_nothing_denied_is_executed(
        policy in strategy::policy(),
        steps in strategy::script(&SAMPLE),
    ) {
        let setup = || {
            let mut setup = Setup::sample().unwrap();
            setup.policy = policy.clone();
            setup
        };
        let world = setup().build().unwrap();
        properties::script_is_sound(&world, steps)?;
        properties::log_replays(world.router.store(), |_| Ok(setup().version().unwrap()))?;
    }
}

/// The properties can fail. A type whose reader is lax is caught, and so is one whose
/// writer and reader disagree.
#[test]
fn a_lax_encoding_is_caught() {
    use prospera::encode::{Decode, DecodeError, Encode, Reader, Writer};
    #[derive(Debug, PartialEq)]
    struct Lax(bool);
    impl Encode for Lax {
        fn encode(&self, out: &mut Writer) {
            out.bool(!self.0);
        }
    }
    impl Decode for Lax {
        fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
            Ok(Self(input.u8()? != 0))
        }
    }
    let two = properties::one_encoding::<Lax>(&[7]).unwrap_err();
    assert_eq!(two.property(), "one_encoding");
    assert_eq!(properties::round_trip(&Lax(true)).unwrap_err().property(), "round_trip");
}

/// A log without records cannot be changed.
#[test]
fn an_empty_log_holds() {
    let none = properties::mutations_are_found(Vec::new(), Mutation::Drop { record: 0 });
    assert_eq!(none, Ok(()));
}

/// The generated scripts reach every verdict but `modify`, for which the sample has no rule.
#[test]
fn scripts_reach_what_they_are_for() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let scripts = strategy::script(&SAMPLE);
    let mut seen = std::collections::BTreeMap::new();
    for _ in 0..200 {
        let world = Setup::sample().unwrap().build().unwrap();
        let mut desk = world.open("alice", "s-1").unwrap();
        for step in scripts.new_tree(&mut runner).unwrap().current() {
            if let Step::Submit(request) = step
                && let Ok(intent) = world.catalogue.intent(request)
            {
                let submission = prospera::intent::Submission::Intent(intent);
                let routed = world.router.route(&mut desk, submission).unwrap();
                *seen.entry(routed.verdict).or_insert(0) += 1;
            }
        }
    }
    for verdict in [Verdict::Allow, Verdict::StepUp, Verdict::Defer, Verdict::Deny] {
        assert!(seen.get(&verdict).is_some_and(|count| *count > 5), "{seen:?}");
    }
}

#[cfg(feature = "files")]
mod files {
    use std::fs;
    use std::path::Path;

    use prospera::testing::properties::{
        FileKind, files_load_soundly, json_agrees, routes_from_bytes,
    };

    use super::*;

    fn seeds(target: &str) -> Vec<Vec<u8>> {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
        let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let seeds =
            files.filter(|path| path.file_name().unwrap().to_string_lossy().starts_with("seed-"));
        let seeds: Vec<_> = seeds.map(|path| fs::read(path).unwrap()).collect();
        assert!(!seeds.is_empty());
        seeds
    }

    fn policy_file(seed: &[u8]) -> (FileKind, &str) {
        let (first, text) = seed.split_first().unwrap();
        let kind = FileKind::ALL.get(usize::from(first % 9)).unwrap();
        (*kind, std::str::from_utf8(text).unwrap())
    }

    /// Seeds are what they are named for: a fuzzer that starts from files that do not
    /// load learns nothing.
    #[test]
    fn seeds_are_sound_and_hold() {
        for seed in seeds("policy") {
            let (kind, text) = policy_file(&seed);
            files_load_soundly(kind, text).unwrap();
            assert!(kind.load(text).is_some(), "{kind:?}");
        }
        for seed in seeds("json") {
            json_agrees(&seed).unwrap();
        }
        for seed in seeds("record") {
            properties::record_bytes(&seed).unwrap();
        }
        for seed in seeds("route") {
            routes_from_bytes(&seed).unwrap();
        }
    }

    proptest! {
        #[test]
        fn json_text_of_values_is_json(value in strategy::value()) {
            json_agrees(value.to_string().as_bytes())?;
        }

        #[test]
        fn json_like_text_is_json_or_not(
            text in "([\\[\\]{},:\"\\\\ntrue0-9.eE+ -]|\\\\u[0-9a-fd]{4}|false|null){0,40}",
        ) {
            json_agrees(text.as_bytes())?;
        }

        #[test]
        fn changed_policy_files_load_soundly(
            seed in prop::sample::select(seeds("policy")),
            at: prop::sample::Index,
            to in "[ -~\n]{0,3}",
        ) {
            let (kind, text) = policy_file(&seed);
            let at = (0..=at.index(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap();
            let mut changed = text.to_owned();
            changed.insert_str(at, &to);
            files_load_soundly(kind, &changed)?;
        }

        #[test]
        fn changed_submissions_are_routed(
            seed in prop::sample::select(seeds("route")),
            at: prop::sample::Index,
            to: u8,
        ) {
            let mut changed = seed;
            let at = at.index(changed.len());
            *changed.get_mut(at).unwrap() = to;
            routes_from_bytes(&changed)?;
        }
    }
}
