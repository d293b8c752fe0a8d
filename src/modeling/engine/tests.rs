use alloc::collections::BTreeMap;
use alloc::vec;

use super::*;
use crate::intent::{Argument, Intent, Kind, Objective, Request};
use crate::modeling::profile::{MAX_KINDS, MAX_PAIRS};
use crate::modeling::{Preference, Statement};
use crate::provenance::Label;
use crate::value::Value;
use crate::verdict::{CapabilityTier, Verdict};

mod properties;

/// Ten minutes between two observations.
const STEP: u64 = 600;

fn config() -> ModelingConfig {
    ModelingConfig::new("test".parse().unwrap())
}

fn model() -> BehaviourModel {
    BehaviourModel::new(config()).unwrap()
}

fn seen(kind: &str, secs: u64) -> Observation {
    Observation {
        kind: kind.parse().unwrap(),
        flags: SafetyFlags::NONE,
        at: Timestamp::from_secs(secs),
        verdict: Verdict::Allow,
    }
}

/// The profile after these kinds, one every [`STEP`] seconds.
fn history<'a>(model: &BehaviourModel, kinds: impl IntoIterator<Item = &'a str>) -> Profile {
    let mut profile = Profile::default();
    for (secs, kind) in (0..).step_by(600).zip(kinds) {
        model.observe(&mut profile, &seen(kind, secs));
    }
    profile
}

fn intent(kind: &str, arguments: &[(&str, Value)]) -> Intent {
    let argument = |(name, value): &(&str, Value)| {
        ((*name).into(), Argument { value: value.clone(), label: Label::empty() })
    };
    let checked = Kind {
        id: kind.parse().unwrap(),
        tier: CapabilityTier::Observe,
        flags: SafetyFlags::NONE,
        scope: "any".parse().unwrap(),
        reads_outside: None,
    };
    let request = Request {
        kind: kind.into(),
        subject: "alice".parse().unwrap(),
        session: "s-1".parse().unwrap(),
        request: None,
        objective: Objective::new("test"),
        arguments: arguments.iter().map(argument).collect(),
        reads: vec![],
        snapshot: None,
    };
    Intent::for_tests(checked, request)
}

fn ask(model: &BehaviourModel, profile: &Profile, kind: &str, secs: u64) -> ModelingFinding {
    let intent = intent(kind, &[]);
    let now = Timestamp::from_secs(secs);
    model.model(&ModelingInput { intent: &intent, flags: SafetyFlags::NONE, profile, now })
}

/// IRM-4.3.2.
#[test]
fn irm_4_3_2_unusual_behaviour_drifts_and_says_why() {
    let model = model();
    let profile = history(&model, core::iter::repeat_n("read_mail", 40));
    let usual = ask(&model, &profile, "read_mail", 40 * STEP);
    assert_eq!((usual.drift, usual.surprise), (Drift::None, Risk::ZERO));
    assert_eq!(usual.reasons.capacity(), 0, "no allocation");
    let new = ask(&model, &profile, "send_money", 40 * STEP);
    assert_eq!(new.drift, Drift::Soft);
    assert_eq!(new.reasons.len(), 1);
    assert_eq!(new.reasons[0].code, ReasonCode::DriftSoft);
    let detail = &new.reasons[0].detail;
    assert!(detail.ends_with("kind `send_money` seen 0 of 40 times"), "{detail}");
}

/// IRM-4.3.4.
#[test]
fn irm_4_3_4_hard_drift_lies_beyond_soft() {
    let model = model();
    let profile = history(&model, core::iter::repeat_n("read_mail", 2000));
    let new = ask(&model, &profile, "send_money", 2000 * STEP);
    assert_eq!((new.drift, new.reasons[0].code), (Drift::Hard, ReasonCode::DriftHard));
    let mut strict = config();
    strict.behaviour.hard = strict.behaviour.soft;
    let strict = BehaviourModel::new(strict).unwrap();
    let profile = history(&strict, core::iter::repeat_n("read_mail", 40));
    assert_eq!(ask(&strict, &profile, "send_money", 40 * STEP).drift, Drift::Hard);
}

#[test]
fn a_short_history_is_said_and_not_judged() {
    let model = model();
    let profile = history(&model, core::iter::repeat_n("read_mail", 15));
    let finding = ask(&model, &profile, "send_money", 15 * STEP);
    assert_eq!((finding.drift, finding.surprise), (Drift::None, Risk::ZERO));
    assert_eq!(finding.reasons, [Reason::new(ReasonCode::HistoryShort)]);
    let profile = history(&model, core::iter::repeat_n("read_mail", 16));
    assert_ne!(ask(&model, &profile, "send_money", 16 * STEP).surprise, Risk::ZERO);
}

#[test]
fn what_was_refused_teaches_nothing() {
    let model = model();
    let mut profile = history(&model, core::iter::repeat_n("read_mail", 40));
    let before = ask(&model, &profile, "send_money", 100 * STEP);
    for i in 40..80 {
        for verdict in [Verdict::Deny, Verdict::Defer, Verdict::StepUp] {
            let refused = Observation { verdict, ..seen("send_money", i * STEP) };
            model.observe(&mut profile, &refused);
        }
    }
    assert_eq!(ask(&model, &profile, "send_money", 100 * STEP), before);
    model.observe(&mut profile, &seen("send_money", 81 * STEP));
    assert!(ask(&model, &profile, "send_money", 100 * STEP).surprise < before.surprise);
}

/// IRM-4.3.3.
#[test]
fn irm_4_3_3_new_flags_do_not_fit_the_context() {
    let model = model();
    let mut profile = history(&model, core::iter::repeat_n("read_mail", 40));
    let intent = intent("read_mail", &[]);
    let now = Timestamp::from_secs(41 * STEP);
    let flags = SafetyFlags::FINANCIAL.union(SafetyFlags::EFFECT);
    let found = model.model(&ModelingInput { intent: &intent, flags, profile: &profile, now });
    assert_eq!(found.drift, Drift::Soft);
    assert_eq!(
        &*found.reasons[0].detail,
        "expected flags seen before, found new: effect financial"
    );
    model.observe(&mut profile, &Observation { flags, ..seen("read_mail", 40 * STEP) });
    let found = model.model(&ModelingInput { intent: &intent, flags, profile: &profile, now });
    assert_eq!(found.reasons, []);
}

#[test]
fn irm_4_3_3_a_continuation_needs_what_it_continues() {
    let mut config = config();
    config.behaviour.soft = Risk::MAX;
    config.behaviour.hard = Risk::MAX;
    config.requires_before = vec![Requirement {
        kind: "confirm".parse().unwrap(),
        any_of: vec!["prepare".parse().unwrap(), "import".parse().unwrap()],
        within_seconds: Some(STEP),
    }];
    let model = BehaviourModel::new(config).unwrap();
    let kinds = ["look"; 20];
    let without = ask(&model, &history(&model, kinds), "confirm", 20 * STEP);
    assert_eq!(without.drift, Drift::Soft);
    let text = "expected `confirm` after `prepare` or `import` within 600 s, found none";
    assert_eq!(&*without.reasons[0].detail, text);
    let profile = history(&model, kinds.into_iter().chain(["prepare"]));
    assert_eq!(ask(&model, &profile, "confirm", 21 * STEP).drift, Drift::None);
    assert_eq!(ask(&model, &profile, "confirm", 21 * STEP + 1).drift, Drift::Soft, "too late");
}

#[test]
fn irm_4_3_3_a_burst_does_not_fit_the_pace() {
    let model = model();
    let mut profile = Profile::default();
    let steady = |profile: &mut Profile, from: u64, minutes: u64, each: u64| {
        for i in 0..minutes * each {
            model.observe(profile, &seen("look", from * 60 + i * 60 / each));
        }
    };
    steady(&mut profile, 0, 20, 10);
    assert_eq!(ask(&model, &profile, "look", 20 * 60).drift, Drift::None);
    steady(&mut profile, 20, 1, 30);
    assert_eq!(ask(&model, &profile, "look", 20 * 60 + 59).drift, Drift::None);
    steady(&mut profile, 21, 1, 60);
    let soft = ask(&model, &profile, "look", 21 * 60 + 59);
    assert_eq!((soft.drift, soft.reasons[0].code), (Drift::Soft, ReasonCode::ContextMismatch));
    steady(&mut profile, 22, 1, 300);
    assert_eq!(ask(&model, &profile, "look", 22 * 60 + 59).drift, Drift::Hard);
    assert_eq!(ask(&model, &profile, "look", 60 * 60).drift, Drift::None, "an hour later");
}

fn preferring(kinds: &[&str], strength: Drift, statement: Statement) -> BehaviourModel {
    let mut config = config();
    let kinds = kinds.iter().map(|kind| kind.parse().unwrap()).collect();
    let id = "wish".parse().unwrap();
    let subject = Some("alice".parse().unwrap());
    config.preferences.push(Preference { id, subject, kinds, strength, statement });
    BehaviourModel::new(config).unwrap()
}

/// IRM-4.3.1, D-53.
#[test]
fn irm_4_3_1_preferences_object_also_without_history() {
    let unwanted = preferring(&["spam"], Drift::Hard, Statement::Unwanted);
    let found = ask(&unwanted, &Profile::default(), "spam", 0);
    assert_eq!(found.drift, Drift::Hard);
    assert_eq!(found.reasons[1].rule.as_ref().unwrap().as_str(), "wish");
    assert_eq!(found.reasons[1].code, ReasonCode::PreferenceConflict);
    assert_eq!(ask(&unwanted, &Profile::default(), "look", 0).drift, Drift::None);

    let (from, until) = ("22:00".parse().unwrap(), "06:00".parse().unwrap());
    let night = preferring(&[], Drift::Soft, Statement::QuietHours { from, until });
    for (hours, minutes, quiet) in
        [(21, 59, false), (22, 0, true), (0, 0, true), (5, 59, true), (6, 0, false)]
    {
        let drift = ask(&night, &Profile::default(), "look", hours * 3600 + minutes * 60).drift;
        assert_eq!(drift == Drift::Soft, quiet, "{hours}:{minutes}");
    }

    let cap = Statement::Cap { argument: "amount".into(), at_most: "250".parse().unwrap() };
    let cap = preferring(&["pay"], Drift::Soft, cap);
    for (value, breaks) in [
        (Value::from(250), false),
        (Value::from(251), true),
        ("250.00".into(), false),
        ("1e3".into(), true),
        ("a lot".into(), true),
        (true.into(), true),
        (Value::Null, false),
        (Value::List(vec![1.into(), 300.into()]), true),
        (Value::List(vec![1.into(), 2.into()]), false),
        (Value::Map(BTreeMap::new()), true),
    ] {
        let intent = intent("pay", &[("amount", value.clone())]);
        let (profile, now) = (&Profile::default(), Timestamp::default());
        let input = ModelingInput { intent: &intent, flags: SafetyFlags::NONE, profile, now };
        assert_eq!(cap.model(&input).drift == Drift::Soft, breaks, "{value}");
    }
}

#[test]
fn what_others_want_does_not_matter() {
    let mut config = config();
    let plain = BehaviourModel::new(config.clone()).unwrap();
    config.preferences.push(Preference {
        id: "bobs".parse().unwrap(),
        subject: Some("bob".parse().unwrap()),
        kinds: vec![],
        strength: Drift::Hard,
        statement: Statement::QuietHours {
            from: "00:00".parse().unwrap(),
            until: "23:59".parse().unwrap(),
        },
    });
    let model = BehaviourModel::new(config).unwrap();
    let profile = history(&model, core::iter::repeat_n("look", 20));
    assert_eq!(ask(&model, &profile, "x", 1), ask(&plain, &profile, "x", 1));
    assert_ne!(model.digest(), plain.digest());
}

#[test]
fn the_profile_is_bounded() {
    let model = model();
    let mut profile = Profile::default();
    for i in 0..20_000_u64 {
        let kind = alloc::format!("k{}", i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 54);
        model.observe(&mut profile, &seen(&kind, i));
        assert!(profile.kinds() <= MAX_KINDS && profile.total() < 4096);
        assert!(profile.pair_count() <= MAX_PAIRS);
        assert!(profile.recent().count() <= crate::modeling::profile::RECENT);
        profile.check();
    }
}

#[test]
fn a_forgotten_kind_takes_its_pairs_along() {
    let mut config = config();
    config.behaviour.forget_at = 4;
    let model = BehaviourModel::new(config).unwrap();
    // `a` is halved to one while it is last, is left twice more, then forgotten.
    let mut profile = Profile::default();
    for (i, kind) in (0..).zip(["a", "b", "a", "a", "b", "c", "d", "e", "f", "g"]) {
        model.observe(&mut profile, &seen(kind, i));
        profile.check();
    }
}

#[test]
fn the_digest_of_a_configuration_is_known() {
    let hex = "ec7dd9b38c6c230b675afc29e4147c9536e4f568f1405fbebacafd1c9afaa85e";
    assert_eq!(alloc::format!("{}", config().digest()), hex);
    let start = [4, 0, 0, 0, b't', b'e', b's', b't', 0xc0, 0x27, 9, 0, 0, 0x35, 0x0c, 0, 16];
    assert_eq!(config().to_canonical()[..17], start);
    let full = preferring(&["pay"], Drift::Hard, Statement::Unwanted).digest();
    assert_eq!(
        alloc::format!("{full}"),
        "64680305e3db681b1b0114f65dacec411301ed6d3b35efb6e7abac41443c532b"
    );
}
