//! What Governance promises, shown on its public face.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::ToString;
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::audience::state::State;
use crate::digest::{Digest, Domain};
use crate::encode::{Decode, DecodeError, Encode};
use crate::governance::*;
use crate::id::{LayerId, SubjectId};
use crate::intent::testing::Sample;
use crate::provenance::{Sensitivity, Source};
use crate::value::Value;
use crate::verdict::{KernelDecision, ReasonCode, SafetyMode, Verdict};

mod tokens;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

struct World {
    intent: Intent,
    principal: PrincipalId,
    kind: &'static str,
    scopes: BTreeSet<Name>,
    context: Label,
    history: Vec<KindId>,
    approval: Option<Approval>,
}

fn outside() -> Label {
    Label::from(Source::Outside("web".parse().unwrap()))
}

fn pay(amount: i64, recipient: Label) -> Intent {
    Sample::new("pay", CapabilityTier::Act, SafetyFlags::EFFECT.union(SafetyFlags::FINANCIAL))
        .argument("amount", amount, Source::User.into())
        .argument("recipient", "bob", recipient)
        .build()
}

impl World {
    fn new(intent: Intent) -> Self {
        Self {
            intent,
            principal: "bot".parse().unwrap(),
            kind: "agent",
            scopes: ["work".parse().unwrap()].into(),
            context: Label::empty(),
            history: Vec::new(),
            approval: None,
        }
    }

    fn input(&self) -> GovernanceInput<'_> {
        GovernanceInput {
            intent: &self.intent,
            routing_id: RoutingId::from_digest(Digest::ZERO),
            authority: Authority {
                principal: &self.principal,
                kind: self.kind,
                scopes: &self.scopes,
                delegation: 0,
            },
            state: State::Verified,
            class: 'A',
            flags: self.intent.kind().flags,
            risk: Risk::saturating(100_000),
            drift: Drift::None,
            safety_hold: false,
            context: &self.context,
            history: &self.history,
            approval: self.approval.as_ref(),
            now: NOW,
        }
    }

    fn approve(&mut self, role: &str, granted: bool) {
        self.approval = Some(Approval {
            intent: self.intent.hash(),
            approver: "carol".parse().unwrap(),
            role: role.parse().unwrap(),
            granted,
            expires_at: NOW.plus_millis(1),
            record: Domain::Other.hash(b"record"),
        });
    }
}

fn rule(id: &str, effect: Verdict) -> Rule {
    let mut rule = Rule::new(id.parse().unwrap(), effect, Kinds::Any);
    match effect {
        Verdict::Modify => rule.then.narrowing.drop_arguments.push(id.into()),
        Verdict::StepUp => {
            rule.then.approver = Some("manager".parse().unwrap());
            rule.then.timeout_seconds = Some(60);
        }
        Verdict::Defer => {
            rule.then.missing = "more".into();
            rule.then.timeout_seconds = Some(60);
        }
        Verdict::Allow | Verdict::Deny => {}
    }
    rule
}

fn governor(rules: impl Into<Vec<Rule>>) -> Governor {
    let approvers = ["security", "manager"].map(|role| role.parse().unwrap()).into();
    let parts = PolicyParts { rules: rules.into(), approvers, ..PolicyParts::default() };
    Governor::new(Policy::new(parts).unwrap())
}

fn verdict(decision: &Decision) -> Verdict {
    match decision {
        Decision::Allow => Verdict::Allow,
        Decision::Modify(_) => Verdict::Modify,
        Decision::StepUp(_) => Verdict::StepUp,
        Decision::Defer { .. } => Verdict::Defer,
        Decision::Deny => Verdict::Deny,
    }
}

fn has(ruling: &Ruling, code: ReasonCode) -> bool {
    ruling.reasons.iter().any(|reason| reason.code == code)
}

fn amount(test: Test) -> BTreeMap<Box<str>, ArgumentCondition> {
    let condition = ArgumentCondition { tests: Vec::from([test]), ..Default::default() };
    [("amount".into(), condition)].into()
}

/// Rules of all effects with conditions that hold, fail or fault on [`pay`].
fn arb_rule(place: usize) -> impl Strategy<Value = Rule> {
    let effect = prop::sample::select(Verdict::ALL.to_vec());
    (effect, 0_usize..4, any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        move |(effect, condition, named, security, drift)| {
            let mut rule = rule(&alloc::format!("r{place:02}"), effect);
            if named {
                rule.kinds =
                    Kinds::Named(["pay".parse().unwrap(), "other".parse().unwrap()].into());
            }
            if security && effect == Verdict::StepUp {
                rule.then.approver = Some("security".parse().unwrap());
            }
            rule.rules_on_drift = drift && effect <= Verdict::StepUp;
            match condition {
                0 => {}
                1 => rule.when.arguments = amount(Test::AtMost(10_i64.into())),
                2 => rule.when.arguments = amount(Test::AtLeast(1000_i64.into())),
                _ => rule.when.arguments = amount(Test::Prefix("x".into())),
            }
            rule
        },
    )
}

fn arb_rules() -> impl Strategy<Value = Vec<Rule>> {
    (0_usize..6).prop_flat_map(|count| (0..count).map(arb_rule).collect::<Vec<_>>())
}

/// The strictest match, computed the slow way: every rule, no index, no fault in a permit.
fn naive(rules: &[Rule]) -> Verdict {
    let kind: KindId = "pay".parse().unwrap();
    let mut matched = Vec::new();
    for rule in rules {
        let named = match &rule.kinds {
            Kinds::Any => true,
            Kinds::Named(kinds) => kinds.contains(&kind),
        };
        let test = rule.when.arguments.values().flat_map(|c| &c.tests).next();
        let (holds, fault) = match test {
            None | Some(Test::AtMost(_)) => (true, false),
            Some(Test::AtLeast(_)) => (false, false),
            _ => (!matches!(rule.effect, Verdict::Allow | Verdict::Modify), true),
        };
        if named && holds {
            matched.push((rule.effect, fault));
        }
    }
    let granted = matched.iter().any(|(effect, fault)| !fault && *effect != Verdict::Deny);
    match matched.iter().map(|(effect, _)| *effect).max() {
        Some(strictest) if granted => strictest,
        _ => Verdict::Deny,
    }
}

proptest! {
    #[test]
    fn irm_4_6_2_the_strictest_match_wins_as_in_the_naive_reference(rules in arb_rules()) {
        let world = World::new(pay(5, Source::User.into()));
        let ruling = governor(rules.clone()).rule(&world.input());
        prop_assert_eq!(verdict(&ruling.decision), naive(&rules));
        prop_assert_eq!(&ruling, &governor(rules).rule(&world.input()), "deterministic");
    }

    #[test]
    fn the_order_of_rules_decides_nothing(
        rules in arb_rules().prop_flat_map(|rules| (Just(rules.clone()), Just(rules).prop_shuffle())),
        soft in any::<bool>(),
        held in any::<bool>(),
    ) {
        let world = World::new(pay(5, Source::User.into()));
        let mut input = world.input();
        input.safety_hold = held;
        input.drift = if soft { Drift::Soft } else { Drift::None };
        let (one, other) = (governor(rules.0), governor(rules.1));
        prop_assert_eq!(one.policy(), other.policy());
        prop_assert_eq!(one.rule(&input), other.rule(&input));
    }

    #[test]
    fn deny_wins_and_adding_a_deny_rule_never_loosens(
        rules in arb_rules(),
        mut more in arb_rule(99),
        approved in any::<bool>(),
        soft in any::<bool>(),
    ) {
        let mut world = World::new(pay(5, Source::User.into()));
        if approved {
            world.approve("security", true);
        }
        let mut input = world.input();
        input.drift = if soft { Drift::Soft } else { Drift::None };
        let before = verdict(&governor(rules.clone()).rule(&input).decision);
        let shape = more.when.clone();
        more = rule("r99", Verdict::Deny);
        more.when = shape;
        let mut longer = rules.clone();
        longer.push(more);
        prop_assert!(verdict(&governor(longer).rule(&input).decision) >= before);
        let mut denied = rules;
        denied.push(rule("r99", Verdict::Deny));
        prop_assert_eq!(governor(denied).rule(&input).decision, Decision::Deny);
    }

    #[test]
    fn d_53_a_hold_or_a_drift_never_loosens(rules in arb_rules(), approved in any::<bool>()) {
        let mut world = World::new(pay(5, Source::User.into()));
        if approved {
            world.approve("manager", true);
        }
        let governor = governor(rules);
        let calm = verdict(&governor.rule(&world.input()).decision);
        for (drift, held) in [(Drift::Soft, false), (Drift::None, true), (Drift::Hard, false)] {
            let mut input = world.input();
            (input.drift, input.safety_hold) = (drift, held);
            prop_assert!(verdict(&governor.rule(&input).decision) >= calm);
        }
    }
}

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
    world.history = Vec::from([kind("login"), kind("login")]);
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

fn kernel(change: impl Fn(&mut KernelInput<'_>)) -> KernelDecision {
    let (principal, scopes) = ("bot".parse().unwrap(), BTreeSet::new());
    let label = Label::from(Source::User);
    let mut input = KernelInput {
        state: State::Verified,
        flags: SafetyFlags::EFFECT,
        tier: CapabilityTier::Act,
        authority: Authority {
            principal: &principal,
            kind: "agent",
            scopes: &scopes,
            delegation: 0,
        },
        risk: Risk::saturating(100_000),
        label: &label,
        lineage_intact: true,
    };
    change(&mut input);
    let verdict = Governor::default().kernel(&input);
    assert_eq!(verdict.digest(), kernel_digest());
    verdict.decision()
}

#[test]
fn asm2_4_13_each_kernel_rule_is_violated_by_its_own_breach() {
    let outside: &'static Label = Box::leak(Box::new(outside()));
    let secret: &'static Label =
        Box::leak(Box::new(Label::from(Source::User).with_sensitivity(Sensitivity::Secret)));
    assert_eq!(kernel(|_| {}), KernelDecision::ConstitutionalClearance);
    let violation = |id: &str| {
        let place = KERNEL_RULES.iter().position(|rule| rule.id == id).unwrap();
        KernelDecision::Violation(u8::try_from(place).unwrap())
    };
    for state in [State::Restricted, State::Hold, State::Escalated] {
        let by_flag = kernel(|i| (i.state, i.flags) = (state, SafetyFlags::PRIVILEGED));
        assert_eq!(by_flag, violation("K-1"), "{state}");
        let by_tier = kernel(|i| (i.state, i.tier) = (state, CapabilityTier::Privileged));
        assert_eq!(by_tier, violation("K-1"), "{state}");
    }
    let credentials = SafetyFlags::EFFECT.union(SafetyFlags::CREDENTIALS);
    assert_eq!(kernel(|i| i.flags = credentials), KernelDecision::ConstitutionalClearance);
    let by_flag = credentials.union(SafetyFlags::OUTSIDE_ARGUMENT);
    assert_eq!(kernel(|i| i.flags = by_flag), violation("K-2"));
    assert_eq!(kernel(|i| (i.flags, i.label) = (credentials, outside)), violation("K-2"));
    let leaves = SafetyFlags::EXTERNAL;
    assert_eq!(kernel(|i| (i.flags, i.label) = (leaves, secret)), violation("K-3"));
    assert_eq!(kernel(|i| i.label = secret), KernelDecision::ConstitutionalClearance);
    assert_eq!(kernel(|i| i.authority.kind = "nobody"), violation("K-5"));
    assert_eq!(kernel(|i| i.authority.delegation = 9), violation("K-6"));
    assert_eq!(kernel(|i| i.lineage_intact = false), violation("K-8"));
    assert_eq!(kernel(|i| i.risk = Risk::ESCALATION), violation("K-9"));
    for state in [State::Hold, State::Escalated] {
        assert_eq!(kernel(|i| i.state = state), violation("K-10"));
    }
    for state in [State::Init, State::Base, State::Restricted] {
        assert_eq!(kernel(|i| i.state = state), KernelDecision::Clear, "{state}");
    }
    assert_eq!(kernel(|i| i.risk = Risk::RESTRICTION_DEFAULT), KernelDecision::Clear);
    let final_flags = SafetyFlags::EFFECT.union(SafetyFlags::IRREVERSIBLE);
    let referred = kernel(|i| (i.flags, i.label) = (final_flags, outside));
    assert_eq!(referred, KernelDecision::Clear, "K-7 refers to a person");
    let names = |list: &[&str]| list.iter().map(|n| n.parse().unwrap()).collect::<BTreeSet<Name>>();
    assert!(delegation_holds(&names(&["a", "b"]), &names(&["a"])));
    assert!(!delegation_holds(&names(&["a"]), &names(&["a", "b"])), "K-11");
}

#[test]
fn no_policy_and_no_approval_override_the_kernel() {
    let intent = Sample::new(
        "key.set",
        CapabilityTier::Act,
        SafetyFlags::EFFECT.union(SafetyFlags::CREDENTIALS),
    )
    .argument("key", "x", outside())
    .build();
    let mut world = World::new(intent);
    world.approve("security", true);
    let ruling = governor([rule("a", Verdict::Allow)]).rule(&world.input());
    assert_eq!(ruling.decision, Decision::Deny);
    assert_eq!(ruling.rule.unwrap().as_str(), "K-2");
}

#[test]
fn k_7_what_is_final_and_from_outside_needs_a_person_whatever_the_policy_says() {
    let flags = SafetyFlags::EFFECT.union(SafetyFlags::IRREVERSIBLE);
    let intent =
        Sample::new("wipe", CapabilityTier::Commit, flags).argument("disk", "x", outside()).build();
    let mut world = World::new(intent);
    let governor = governor([rule("a", Verdict::Allow)]);
    assert_eq!(verdict(&governor.rule(&world.input()).decision), Verdict::StepUp);
    world.approve("security", true);
    assert_eq!(governor.rule(&world.input()).decision, Decision::Allow);
}

#[test]
fn the_kernel_list_and_the_empty_policy_have_known_digests() {
    let ids: Vec<_> = KERNEL_RULES.iter().map(|rule| rule.id).collect();
    let expected: Vec<_> = (1..=11).map(|n| alloc::format!("K-{n}")).collect();
    assert_eq!(ids, expected);
    assert!(Name::new(DEFAULT_APPROVER).is_ok());
    let digests = [kernel_digest(), Policy::empty().digest()].map(|d| d.to_string());
    assert_eq!(
        digests,
        [
            "21227f544ea00490767d5dc1db5909b62c5244beffad995cc95d26f57e41ad13",
            "43bac2f401362af7a14425b31e00d9f84f03ddfa194007eb79350d391cee4264",
        ]
    );
}

fn person(scopes: &BTreeSet<Name>) -> Authority<'_> {
    let principal: &'static PrincipalId = Box::leak(Box::new("carol".parse().unwrap()));
    Authority { principal, kind: "human", scopes, delegation: 0 }
}

#[test]
fn k_4_decisions_need_a_second_person_with_the_role() {
    let scopes: BTreeSet<Name> = ["security".parse().unwrap()].into();
    let (bot, carol): (PrincipalId, PrincipalId) =
        ("bot".parse().unwrap(), "carol".parse().unwrap());
    let role: Name = "security".parse().unwrap();
    let subject: SubjectId = "alice".parse().unwrap();
    let sitting = |requester| Sitting {
        requester,
        role: &role,
        policy: Digest::ZERO,
        now: NOW,
        valid_millis: 1000,
    };
    let exit = || Matter::PrivilegedExit { subject: subject.clone() };
    let decision = sitting(&bot).decide(exit(), &person(&scopes), true, "fine").unwrap();
    assert!(decision.in_force(NOW).is_ok());
    assert!(matches!(decision.in_force(NOW.plus_millis(1000)), Err(ReviewError::TooLate { .. })));
    assert!(decision.approval(Digest::ZERO).is_none(), "an exit approves no intent");
    let refused = sitting(&bot).decide(exit(), &person(&scopes), false, "").unwrap();
    assert!(matches!(refused.in_force(NOW), Err(ReviewError::Refused { .. })));
    assert!(matches!(
        sitting(&carol).decide(exit(), &person(&scopes), true, ""),
        Err(ReviewError::OwnRequest { .. })
    ));
    let mut machine = person(&scopes);
    machine.kind = "agent";
    assert!(matches!(
        sitting(&bot).decide(exit(), &machine, true, ""),
        Err(ReviewError::NotAPerson { .. })
    ));
    assert!(matches!(
        sitting(&bot).decide(exit(), &person(&BTreeSet::new()), true, ""),
        Err(ReviewError::Role { .. })
    ));
    let release = Matter::HoldRelease { subject: subject.clone(), to: State::Privileged };
    assert!(matches!(
        sitting(&bot).decide(release, &person(&scopes), true, ""),
        Err(ReviewError::Release { .. })
    ));
    let route = RoutingId::from_digest(Digest::ZERO);
    let forwards = Matter::Backtrack { route, from: LayerId::Memory, target: LayerId::Safety };
    assert!(matches!(
        sitting(&bot).decide(forwards, &person(&scopes), true, ""),
        Err(ReviewError::Backwards { .. })
    ));
}

#[test]
fn an_answer_to_a_request_becomes_the_approval_of_that_intent() {
    let world = World::new(pay(5, Source::User.into()));
    let governor = governor([rule("s", Verdict::StepUp)]);
    let Decision::StepUp(request) = governor.rule(&world.input()).decision else {
        panic!("expected a question");
    };
    let scopes = ["manager".parse().unwrap()].into();
    let answer = |now| {
        let who = person(&scopes);
        request.answer(&world.principal, &who, true, "ok", now, 5000, governor.policy())
    };
    assert!(matches!(answer(request.expires_at), Err(ReviewError::TooLate { .. })));
    let record = Domain::Other.hash(b"r");
    let approval = answer(NOW).unwrap().approval(record).unwrap();
    let mut answered = World::new(pay(5, Source::User.into()));
    answered.approval = Some(approval);
    assert_eq!(governor.rule(&answered.input()).decision, Decision::Allow);
    answered.intent = pay(6, Source::User.into());
    assert_eq!(verdict(&governor.rule(&answered.input()).decision), Verdict::StepUp);
}

#[test]
fn decisions_have_the_documented_bytes() {
    let scopes: BTreeSet<Name> = ["r".parse().unwrap()].into();
    let (bot, role): (PrincipalId, Name) = ("b".parse().unwrap(), "r".parse().unwrap());
    let sitting = Sitting {
        requester: &bot,
        role: &role,
        policy: Digest::from_bytes([7; 32]),
        now: Timestamp::from_millis(1),
        valid_millis: 1,
    };
    let subject: SubjectId = "s".parse().unwrap();
    let route = RoutingId::from_digest(Digest::from_bytes([9; 32]));
    let one = |byte: u8| Vec::from([1, 0, 0, 0, byte]);
    let matters = [
        (
            Matter::Approval { intent: Digest::from_bytes([5; 32]), requester: bot.clone() },
            [Vec::from([1]), Vec::from([5; 32]), one(b'b')].concat(),
        ),
        (Matter::PrivilegedExit { subject: subject.clone() }, [Vec::from([2]), one(b's')].concat()),
        (
            Matter::HoldRelease { subject: subject.clone(), to: State::Base },
            [Vec::from([3]), one(b's'), Vec::from([2])].concat(),
        ),
        (Matter::EscalationReview { subject }, [Vec::from([4]), one(b's')].concat()),
        (
            Matter::Backtrack { route, from: LayerId::Governance, target: LayerId::Modeling },
            [Vec::from([5]), Vec::from([9; 32]), Vec::from([6, 3])].concat(),
        ),
    ];
    for (matter, own) in matters {
        let decision = sitting.decide(matter, &person(&scopes), true, "n").unwrap();
        let carol = [&[5, 0, 0, 0][..], b"carol"].concat();
        let times = [&[1][..], &1_u64.to_le_bytes(), &2_u64.to_le_bytes(), &[7; 32]].concat();
        let expected = [Vec::from([1]), own, carol, one(b'r'), times, one(b'n')].concat();
        let bytes = decision.to_canonical();
        assert_eq!(bytes, expected, "{}", decision.matter().name());
        assert_eq!(GovernanceDecision::from_canonical(&bytes), Ok(decision));
        for end in 0..bytes.len() {
            assert!(GovernanceDecision::from_canonical(&bytes[..end]).is_err());
        }
    }
    let impossible = Matter::Backtrack { route, from: LayerId::Memory, target: LayerId::Memory };
    assert!(matches!(
        Matter::from_canonical(&impossible.to_canonical()),
        Err(DecodeError::Invalid { .. })
    ));
    assert_eq!(
        GovernanceDecision::from_canonical(&[2]).unwrap_err().to_string(),
        "expected governance decision version 1 at offset 0, found 2"
    );
}

#[test]
fn d_25_a_backtrack_authorization_is_for_one_route_and_one_layer() {
    let scopes: BTreeSet<Name> = ["r".parse().unwrap()].into();
    let (bot, role): (PrincipalId, Name) = ("b".parse().unwrap(), "r".parse().unwrap());
    let sitting =
        Sitting { requester: &bot, role: &role, policy: Digest::ZERO, now: NOW, valid_millis: 10 };
    let route = RoutingId::from_digest(Digest::from_bytes([9; 32]));
    let other = RoutingId::from_digest(Digest::ZERO);
    let (from, target) = (LayerId::Governance, LayerId::Modeling);
    let record = Domain::Other.hash(b"r");
    let decide = |granted| {
        let matter = Matter::Backtrack { route, from, target };
        sitting.decide(matter, &person(&scopes), granted, "").unwrap()
    };
    let authorize = || decide(true).authorize_backtrack(record, NOW).unwrap();
    assert_eq!(authorize().spend(route, target), Ok(record));
    assert!(authorize().spend(other, target).is_err());
    assert!(authorize().spend(route, LayerId::Memory).is_err());
    assert!(decide(false).authorize_backtrack(record, NOW).is_err());
    assert!(decide(true).authorize_backtrack(record, NOW.plus_millis(10)).is_err());
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
