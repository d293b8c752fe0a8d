//! What follows from a record's class: payloads past their life, what an export shows, and
//! how a policy folder tightens it (PLAN-3.7).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;

use prospera::digest::Digest;
use prospera::intent::{Objective, Submission};
use prospera::provenance::Sensitivity;
use prospera::routing::retention::expired;
use prospera::ssot::class::{ClassRules, Disclosure, StateClass};
use prospera::ssot::record::RecordKind;
use prospera::ssot::store::Store as _;
use prospera::testing::world::{BEGIN, Setup, World, request};
use prospera::time::Timestamp;

const DAY: u64 = 86_400_000;

/// Routes one request in a session of its own; the digests of intent, objective, output.
fn route(world: &World, session: &str, name: &str) -> [Digest; 3] {
    let mut desk = world.open("alice", session).unwrap();
    let mut request = request("note.read", &[("name", name.into())]).unwrap();
    request.session = session.parse().unwrap();
    request.objective = Objective::new("Read my notes.");
    let intent = world.catalogue.intent(request).unwrap();
    let routed = world.router.route(&mut desk, Submission::Intent(intent)).unwrap();
    let output = routed.outcome.and_then(|outcome| outcome.output).unwrap();
    [routed.evidence.intent, routed.evidence.objective.unwrap(), output]
}

#[test]
fn payloads_are_past_their_life_once_every_record_that_names_them_is() {
    let world = Setup::sample().unwrap().build().unwrap();
    let [old_intent, objective, old_output] = route(&world, "s-1", "a");
    world.clock.advance_millis(200 * DAY);
    let [new_intent, same, new_output] = route(&world, "s-2", "b");
    assert_eq!(objective, same, "both sessions were opened with the same words");
    let (store, rules) = (world.router.store(), ClassRules::DEFAULT);
    let plan = |days: u64, rules: &ClassRules| -> BTreeSet<Digest> {
        let now = BEGIN.plus_millis(days * DAY);
        let planned = expired(store, rules, now).unwrap().map(Result::unwrap);
        let planned: Vec<_> = planned.collect();
        for past in &planned {
            let output = [old_output, new_output].contains(&past.digest);
            let class = if output { StateClass::Execution } else { StateClass::Intent };
            assert_eq!(past.class, class);
            assert!(store.payload(&past.digest).unwrap().is_some());
            assert!(past.index < store.len().unwrap());
        }
        planned.into_iter().map(|past| past.digest).collect()
    };
    assert_eq!(plan(0, &rules), [].into());
    assert_eq!(plan(89, &rules), [].into());
    assert_eq!(plan(90, &rules), [old_output].into(), "outputs live 90 days");
    assert_eq!(plan(290, &rules), [old_output, new_output].into());
    // The old intent is a year old. Its objective was named again since.
    assert_eq!(plan(365, &rules), [old_output, new_output, old_intent].into());
    let all = [old_output, new_output, old_intent, new_intent, objective];
    assert_eq!(plan(565, &rules), all.into());
    let short = rules.with_payload_days(StateClass::Intent, 7).unwrap();
    assert_eq!(plan(200, &short), [old_intent, old_output].into());
    let early = Timestamp::from_millis(1);
    assert_eq!(expired(store, &short, early).unwrap().count(), 0, "a clock that went back");
}

#[test]
fn a_disclosure_shows_what_its_readers_may_see() {
    let rules = ClassRules::DEFAULT;
    let shown = |most| {
        let kinds = [RecordKind::EvidenceBlock, RecordKind::SessionOpened, RecordKind::Fact];
        kinds.map(|kind| Disclosure::up_to(most).shows(&rules, kind))
    };
    assert_eq!(shown(Sensitivity::Public), [false; 3]);
    assert_eq!(shown(Sensitivity::Internal), [true, false, false]);
    assert_eq!(shown(Sensitivity::Personal), [true, true, false]);
    assert_eq!(shown(Sensitivity::Secret), [true; 3]);
    let closed = rules.clone().with_sensitivity(StateClass::Routing, Sensitivity::Secret).unwrap();
    assert!(!Disclosure::up_to(Sensitivity::Personal).shows(&closed, RecordKind::EvidenceBlock));
    assert!(Disclosure::ALL.shows(&closed, RecordKind::EvidenceBlock));
}

#[cfg(feature = "files")]
#[test]
fn a_policy_folder_tightens_rules_and_loosens_none() {
    use prospera::policy::RouterSettings;
    let read =
        |text: &str| RouterSettings::from_toml("router.toml", &format!("version = \"1\"\n{text}"));
    let plain = read("").unwrap();
    assert_eq!(*plain.classes(), ClassRules::DEFAULT);
    let tight = read("[classes.intent]\npayload_days = 30\nsensitivity = \"secret\"\n").unwrap();
    let rule = tight.classes().of(StateClass::Intent);
    assert_eq!((rule.retention.payload_days, rule.sensitivity), (Some(30), Sensitivity::Secret));
    assert_ne!(tight.digest(), plain.digest(), "it is pinned");
    for (text, expected) in [
        (
            "[classes.intent]\npayload_days = 400\n",
            "expected 7 to 365 days for payloads of class `intent`, found 400 (in `classes.intent.payload_days`)",
        ),
        (
            "[classes.memory]\nsensitivity = \"internal\"\n",
            "expected `secret` or higher for class `memory`, found `internal` (in `classes.memory.sensitivity`)",
        ),
        (
            "[classes.routing]\npayload_days = 9\n",
            "expected a class that has payloads, found `routing` (in `classes.routing.payload_days`)",
        ),
    ] {
        let error = read(text).unwrap_err().to_string();
        assert!(error.contains(expected) && error.contains("router.toml:3"), "{error}");
    }
    assert!(read("[classes.intents]\npayload_days = 9\n").is_err());
    assert!(read("[classes.intent]\ndays = 9\n").is_err());
}
