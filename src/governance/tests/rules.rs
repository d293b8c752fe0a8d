//! Rules, one promise at a time.

use super::*;

#[test]
fn nothing_matched_is_denied_and_the_empty_policy_denies_all() {
    let world = World::new(pay(5, Source::User.into()));
    for governor in [Governor::default(), governor([rule("a", Verdict::Deny)])] {
        assert_eq!(governor.rule(&world.input()).decision, Decision::Deny);
    }
    assert!(has(&Governor::default().rule(&world.input()), ReasonCode::NoRule));
    let mut other = rule("a", Verdict::Allow);
    other.kinds = Kinds::Named(["read".parse().unwrap()].into());
    assert!(has(&governor([other]).rule(&world.input()), ReasonCode::NoRule));
}

#[test]
fn an_allowed_intent_names_its_rule_and_costs_no_reason() {
    let world = World::new(pay(5, Source::User.into()));
    let ruling =
        governor([rule("a", Verdict::Allow), rule("b", Verdict::Allow)]).rule(&world.input());
    assert_eq!(ruling.decision, Decision::Allow);
    assert_eq!(ruling.rule.unwrap().as_str(), "a");
    assert!(ruling.reasons.is_empty());
}

#[test]
fn a_condition_that_cannot_be_said_never_lets_anything_through() {
    let world = World::new(Sample::new("pay", CapabilityTier::Act, SafetyFlags::EFFECT).build());
    let with = |effect| {
        let mut rule = rule("cond", effect);
        rule.when.arguments = amount(Test::AtMost(10_i64.into()));
        rule
    };
    for effect in Verdict::ALL {
        let ruling = governor([with(effect)]).rule(&world.input());
        assert_eq!(ruling.decision, Decision::Deny, "{effect} alone grants nothing");
        let fault = ruling.reasons.iter().find(|r| r.code == ReasonCode::RuleError).unwrap();
        assert!(fault.detail.contains("argument `amount`: expected a value, found nothing"));
        let beside = governor([rule("allow", Verdict::Allow), with(effect)]).rule(&world.input());
        let restricts = effect > Verdict::Modify;
        let expected = if restricts { effect } else { Verdict::Allow };
        assert_eq!(verdict(&beside.decision), expected, "{effect} beside an allow rule");
    }
}

/// IRM-4.6.1.
#[test]
fn irm_4_6_1_each_condition_alone_decides_whether_a_rule_matches() {
    fn kind(name: &str) -> KindId {
        name.parse().unwrap()
    }
    const FINANCIAL: SafetyFlags = SafetyFlags::FINANCIAL;
    type Change = fn(&mut Conditions);
    let cases: [(&str, Change, Change); 17] = [
        (
            "principals",
            |c| c.principals = [Actor::Agent].into(),
            |c| c.principals = [Actor::Human].into(),
        ),
        (
            "scopes",
            |c| c.scopes = ["work".parse().unwrap()].into(),
            |c| c.scopes = ["work".parse().unwrap(), "admin".parse().unwrap()].into(),
        ),
        ("states", |c| c.states = [State::Verified].into(), |c| c.states = [State::Base].into()),
        ("classes", |c| c.classes = ['A', 'B'].into(), |c| c.classes = ['C'].into()),
        (
            "flags_all",
            |c| c.flags_all = FINANCIAL,
            |c| c.flags_all = FINANCIAL.union(SafetyFlags::BULK),
        ),
        (
            "flags_any",
            |c| c.flags_any = FINANCIAL.union(SafetyFlags::BULK),
            |c| c.flags_any = SafetyFlags::BULK,
        ),
        ("flags_none", |c| c.flags_none = SafetyFlags::BULK, |c| c.flags_none = FINANCIAL),
        (
            "risk_at_least",
            |c| c.risk_at_least = Some(Risk::saturating(100_000)),
            |c| c.risk_at_least = Some(Risk::saturating(100_001)),
        ),
        (
            "risk_below",
            |c| c.risk_below = Some(Risk::saturating(100_001)),
            |c| c.risk_below = Some(Risk::saturating(100_000)),
        ),
        ("drift", |c| c.drift = [Drift::None].into(), |c| c.drift = [Drift::Soft].into()),
        (
            "context_outside",
            |c| c.context_outside = Some(false),
            |c| c.context_outside = Some(true),
        ),
        (
            "after",
            |c| c.after = [kind("login")].into(),
            |c| c.after = [kind("login"), kind("web")].into(),
        ),
        (
            "not_after",
            |c| c.not_after = [kind("web")].into(),
            |c| c.not_after = [kind("web"), kind("login")].into(),
        ),
        (
            "history_at_most",
            |c| c.history_at_most = [(kind("login"), 2)].into(),
            |c| c.history_at_most = [(kind("login"), 1)].into(),
        ),
        (
            "history_at_least",
            |c| c.history_at_least = [(kind("login"), 2)].into(),
            |c| c.history_at_least = [(kind("login"), 3)].into(),
        ),
        (
            "hours",
            |c| c.hours = Some(Hours { from: 1430, until: 20 }),
            |c| c.hours = Some(Hours { from: 17, until: 20 }),
        ),
        ("delegation", |c| c.delegation_at_most = Some(0), |c| c.risk_below = Some(Risk::ZERO)),
    ];
    let mut world = World::new(pay(5, Source::User.into()));
    world.history = [(kind("login"), 2)].into();
    for (name, holds, fails) in cases {
        for (change, expected) in [(holds, Verdict::Allow), (fails, Verdict::Deny)] {
            let mut rule = rule("a", Verdict::Allow);
            change(&mut rule.when);
            let ruling = governor([rule]).rule(&world.input());
            assert_eq!(verdict(&ruling.decision), expected, "{name}");
        }
    }
}

#[test]
fn the_star_stands_for_every_argument() {
    let any = |key: &str| {
        let words = Vec::from(["outside".parse().unwrap()]);
        let mut condition = ArgumentCondition::default();
        match key {
            "sources_any" => condition.sources_any = words,
            _ => condition.sources = Vec::from(["user".parse().unwrap()]),
        }
        BTreeMap::from([("*".into(), condition)])
    };
    let mut deny = rule("deny", Verdict::Deny);
    deny.when.arguments = any("sources_any");
    let mut allow = rule("allow", Verdict::Allow);
    allow.when.arguments = any("sources");
    let (clean, tainted) = (World::new(pay(5, Source::User.into())), World::new(pay(5, outside())));
    let denying = governor([rule("a", Verdict::Allow), deny]);
    assert_eq!(denying.rule(&clean.input()).decision, Decision::Allow);
    assert_eq!(denying.rule(&tainted.input()).decision, Decision::Deny);
    let allowing = governor([allow]);
    assert_eq!(allowing.rule(&clean.input()).decision, Decision::Allow);
    assert_eq!(allowing.rule(&tainted.input()).decision, Decision::Deny);
}

#[test]
fn d_22_soft_drift_passes_only_by_a_rule_that_rules_on_it() {
    let world = World::new(pay(5, Source::User.into()));
    let mut input = world.input();
    input.drift = Drift::Soft;
    let silent = governor([rule("a", Verdict::Allow)]).rule(&input);
    assert_eq!(verdict(&silent.decision), Verdict::StepUp);
    assert!(has(&silent, ReasonCode::DriftSoft));
    let parts = PolicyParts {
        rules: Vec::from([rule("a", Verdict::Allow)]),
        soft_drift: SoftDrift::Deny,
        ..PolicyParts::default()
    };
    let strict = Governor::new(Policy::new(parts).unwrap()).rule(&input);
    assert_eq!(strict.decision, Decision::Deny);
    let mut ruling = rule("b", Verdict::Allow);
    ruling.rules_on_drift = true;
    let ruled = governor([rule("a", Verdict::Allow), ruling]).rule(&input);
    assert_eq!(ruled.decision, Decision::Allow);
    let reason = ruled.reasons.iter().find(|r| r.code == ReasonCode::DriftRuled).unwrap();
    assert_eq!(reason.rule.as_ref().unwrap().as_str(), "b");
}

/// D-22, IRM-4.3.5.
#[test]
fn d_22_hard_drift_is_denied_or_waits_for_a_backtrack() {
    let world = World::new(pay(5, Source::User.into()));
    let mut input = world.input();
    input.drift = Drift::Hard;
    let rules = Vec::from([rule("a", Verdict::Allow)]);
    assert_eq!(governor(rules.clone()).rule(&input).decision, Decision::Deny);
    let parts = PolicyParts { rules, hard_drift: HardDrift::Backtrack, ..PolicyParts::default() };
    let waiting = Governor::new(Policy::new(parts).unwrap());
    assert_eq!(verdict(&waiting.rule(&input).decision), Verdict::Defer);
}

#[test]
fn d_52_a_safety_hold_asks_the_strongest_role_and_shows_everything() {
    let intent = Sample::new("pay", CapabilityTier::Act, SafetyFlags::EFFECT)
        .argument("iban", "DE\u{202e}99", outside())
        .argument("pin", "1234", Label::from(Source::User).with_sensitivity(Sensitivity::Secret))
        .build();
    let world = World::new(intent);
    let mut input = world.input();
    input.safety_hold = true;
    let governor = governor([rule("a", Verdict::Allow), rule("m", Verdict::StepUp)]);
    let ruling = governor.rule(&input);
    let Decision::StepUp(request) = &ruling.decision else { panic!("expected a question") };
    assert_eq!(request.role.as_str(), "security");
    assert_eq!(request.intent, world.intent.hash());
    assert_eq!(request.expires_at, NOW.plus_millis(60_000), "the shortest time counts");
    for part in [
        "May `pay` be done for alice in session s-1? Asked by agent bot",
        "Objective: \"pay the rent\"",
        "iban = \"DE\\u{202e}99\"  (from outside web)",
        "pin = (a secret, not shown)  (from user)",
        "Because: governance.safety-hold",
        &world.intent.hash().to_string(),
    ] {
        assert!(request.question.contains(part), "{part}\n{}", request.question);
    }
    assert!(!request.question.contains("1234"));
    assert_eq!(request.overdue(NOW), None);
    assert!(request.overdue(request.expires_at).is_some(), "silence denies");
}

fn given(world: &mut World) -> &mut Approval {
    world.approval.as_mut().unwrap()
}

#[test]
fn d_52_an_answer_counts_for_its_intent_role_and_time_alone() {
    let governor = governor([rule("s", Verdict::StepUp)]);
    let ask = |change: &dyn Fn(&mut World)| {
        let mut world = World::new(pay(5, Source::User.into()));
        world.approve("manager", true);
        change(&mut world);
        governor.rule(&world.input())
    };
    let granted = ask(&|_| {});
    assert_eq!(granted.decision, Decision::Allow);
    assert!(has(&granted, ReasonCode::ApprovalGranted));
    assert_eq!(ask(&|w| w.approve("security", true)).decision, Decision::Allow, "stronger");
    let refused = ask(&|w| given(w).granted = false);
    assert!(has(&refused, ReasonCode::ApprovalRefused) && refused.decision == Decision::Deny);
    let late = ask(&|w| given(w).expires_at = NOW);
    assert!(has(&late, ReasonCode::ApprovalExpired) && late.decision == Decision::Deny);
    let own = ask(&|w| given(w).approver = w.principal.clone());
    assert_eq!(own.decision, Decision::Deny);
    assert!(own.reasons[0].rule.as_ref().unwrap().as_str() == "K-4");
    for ruling in [
        ask(&|w| given(w).intent = Digest::ZERO),
        ask(&|w| given(w).role = "clerk".parse().unwrap()),
        ask(&|w| w.approval = None),
    ] {
        assert_eq!(verdict(&ruling.decision), Verdict::StepUp);
    }
}

#[test]
fn a_weaker_role_does_not_answer_for_a_stronger_one() {
    let mut strong = rule("b", Verdict::StepUp);
    strong.then.approver = Some("security".parse().unwrap());
    let governor = governor([rule("a", Verdict::StepUp), strong]);
    let mut world = World::new(pay(5, Source::User.into()));
    world.approve("manager", true);
    let ruling = governor.rule(&world.input());
    let Decision::StepUp(request) = ruling.decision else { panic!("expected a question") };
    assert_eq!(request.role.as_str(), "security");
    assert_eq!(ruling.rule.unwrap().as_str(), "b");
}

#[test]
fn a_refusal_stands_even_where_nobody_had_to_be_asked() {
    let mut world = World::new(pay(5, Source::User.into()));
    world.approve("manager", false);
    let ruling = governor([rule("a", Verdict::Allow)]).rule(&world.input());
    assert_eq!(ruling.decision, Decision::Deny);
}

#[test]
fn rules_that_lack_a_part_or_fail_open_are_refused() {
    let refused = |change: &dyn Fn(&mut Rule), effect| {
        let mut rule = rule("a", effect);
        change(&mut rule);
        let parts = PolicyParts { rules: Vec::from([rule]), ..PolicyParts::default() };
        matches!(Policy::new(parts), Err(PolicyError::Rule { .. }))
    };
    let condition = |condition: ArgumentCondition| {
        move |rule: &mut Rule| {
            rule.when.arguments.insert("x".into(), condition.clone());
        }
    };
    let user = || Vec::from(["user".parse().unwrap()]);
    assert!(!refused(&|_| {}, Verdict::Allow));
    assert!(refused(&|r| r.kinds = Kinds::default(), Verdict::Allow));
    assert!(refused(&|r| r.then.narrowing.read_only = true, Verdict::Allow));
    assert!(refused(&|r| r.then.narrowing = Narrowing::default(), Verdict::Modify));
    assert!(refused(&|r| r.then.timeout_seconds = None, Verdict::StepUp));
    assert!(refused(&|r| r.then.missing = Box::default(), Verdict::Defer));
    assert!(refused(&|r| r.rules_on_drift = true, Verdict::Deny));
    assert!(refused(&|r| r.when.classes = ['D'].into(), Verdict::Allow));
    for effect in Verdict::ALL {
        let permits = effect <= Verdict::Modify;
        let within = ArgumentCondition { sources: user(), ..Default::default() };
        let any = ArgumentCondition { sources_any: user(), ..Default::default() };
        let beyond = ArgumentCondition { sources_beyond: user(), ..Default::default() };
        assert_eq!(refused(&condition(within), effect), !permits, "{effect}");
        assert_eq!(refused(&condition(any), effect), permits, "{effect}");
        assert_eq!(refused(&condition(beyond), effect), permits, "{effect}");
        assert!(refused(&condition(ArgumentCondition::default()), effect));
    }
}

#[test]
fn explain_shows_every_candidate() {
    let mut named = rule("n", Verdict::Deny);
    named.kinds = Kinds::Named(["other".parse().unwrap()].into());
    let mut faulty = rule("f", Verdict::Allow);
    faulty.when.arguments = amount(Test::Prefix("x".into()));
    let governor = governor([named, faulty, rule("a", Verdict::Allow)]);
    let world = World::new(pay(5, Source::User.into()));
    let input = world.input();
    let shown: Vec<_> = governor.explain(&input).collect();
    assert_eq!(shown.len(), 2, "the rule for another kind is not looked at");
    assert_eq!(shown[0].2, Outcome::Match);
    assert!(matches!(shown[1].2, Outcome::Fault(fault) if fault.found == "number"));
    let _: &Value = &world.intent.arguments()["amount"].value;
}

/// IRM-4.6.3.
#[test]
fn irm_4_6_3_another_policy_than_the_locked_one_is_noticed() {
    let policy = Policy::empty();
    assert_eq!(policy.locked(policy.digest()), Ok(()));
    let reason = policy.locked(Digest::ZERO).unwrap_err();
    assert_eq!(reason.code, ReasonCode::PolicyVersion);
    assert!(reason.detail.contains(&Digest::ZERO.to_string()));
}
