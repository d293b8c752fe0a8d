//! The Safety System, one promise at a time.

use super::*;

#[test]
fn an_ordinary_intent_is_allowed_without_a_word() {
    let intent = mail(Source::User.into());
    let finding = SafetySystem::default().assess(&input(&intent, &Label::empty()));
    assert_eq!(finding.decision, SafetyDecision::Allow);
    assert!(finding.reasons.is_empty());
    assert_eq!(finding.raised, SafetyFlags::NONE);
    assert!(finding.risk < Risk::RESTRICTION_DEFAULT, "{}", finding.risk);
}

/// IRM-4.5.1.
#[test]
fn values_from_outside_raise_the_flag_and_the_score() {
    let intent = mail(outside());
    let system = SafetySystem::default();
    let context = outside();
    let asked = input(&intent, &context);
    let finding = system.assess(&asked);
    assert_eq!(finding.raised, SafetyFlags::OUTSIDE_ARGUMENT);
    assert_eq!(system.explain(&asked).risk(Dimension::Provenance), risk(500_000));
    assert!(finding.risk < Risk::ESCALATION);
}

#[test]
fn an_argument_of_no_source_counts_as_unknown_and_as_forbidden() {
    let intent = mail(Label::empty());
    let system = SafetySystem::default();
    let found = system.explain(&input(&intent, &Label::empty()));
    assert!(found.contributions()[RiskSource::UnvouchedArgument as usize].unknown);
    assert_eq!(found.risk(Dimension::Provenance), risk(500_000));
    let finding = forbidding("recipient", "outside").assess(&input(&intent, &Label::empty()));
    assert_eq!(finding.decision, SafetyDecision::Block);
}

fn forbidding(argument: &str, source: &str) -> SafetySystem {
    let route = ForbiddenRoute {
        kinds: Some(["mail.send".parse().unwrap()].into()),
        flags_all: SafetyFlags::EXTERNAL,
        arguments: Vec::from([argument.into()]),
        sources: Vec::from([source.parse().unwrap()]),
        reason: "not from there".into(),
        ..ForbiddenRoute::default()
    };
    let mut parts = EnvelopeParts::default();
    parts.forbidden.push(("f-1".parse().unwrap(), route));
    SafetySystem::new(Envelope::new(parts).unwrap())
}

/// IRM-4.5.3.
#[test]
fn irm_4_5_3_forbidden_routes_are_blocked_and_named() {
    let (bad, good) = (mail(outside()), mail(Source::User.into()));
    let context = Label::empty();
    let finding = forbidding("recipient", "outside:web").assess(&input(&bad, &context));
    assert_eq!(finding.decision, SafetyDecision::Block);
    let named = &finding.reasons[0];
    assert_eq!(named.code, ReasonCode::ForbiddenRoute);
    assert_eq!(named.rule.as_ref().map(RuleId::as_str), Some("f-1"));
    assert_ne!(finding.envelope.decision(), EnvelopeDecision::Block, "does not escalate by itself");
    for (system, intent) in [
        (forbidding("recipient", "outside"), &good),
        (forbidding("body", "outside"), &bad),
        (forbidding("recipient", "outside:mail"), &bad),
    ] {
        assert_eq!(system.assess(&input(intent, &context)).decision, SafetyDecision::Allow);
    }
}

/// D-10, ASM2-7.12.
#[test]
fn d_10_an_escalated_or_held_audience_gets_the_safety_systems_answer() {
    let system = SafetySystem::default();
    let acting = mail(Source::User.into());
    let looking = Sample::new("note.read", CapabilityTier::Observe, SafetyFlags::NONE).build();
    let context = Label::empty();
    for (state, code) in
        [(State::Escalated, ReasonCode::AudienceEscalated), (State::Hold, ReasonCode::AudienceHeld)]
    {
        let mut asked = input(&acting, &context);
        asked.state = state;
        let finding = system.assess(&asked);
        assert_eq!(finding.decision, SafetyDecision::Block);
        assert_eq!(finding.reasons[0].code, code);
        assert!(finding.envelope.decision() < EnvelopeDecision::Block, "release stays possible");
        let mut asked = input(&looking, &context);
        asked.state = state;
        assert!(restriction(&system.assess(&asked).decision) >= 2, "nothing passes unseen");
    }
}

/// ASM2-3.2, ASM2-3.4.
#[test]
fn d_10_a_privileged_operation_needs_the_privileged_state() {
    let system = SafetySystem::default();
    let context = Label::empty();
    for by_tier in [true, false] {
        let (tier, flags) = if by_tier {
            (CapabilityTier::Privileged, SafetyFlags::EFFECT)
        } else {
            (CapabilityTier::Act, SafetyFlags::PRIVILEGED)
        };
        let intent = Sample::new("key.rotate", tier, flags).build();
        for state in State::ALL {
            let mut asked = input(&intent, &context);
            asked.state = state;
            let allowed = system.assess(&asked).decision == SafetyDecision::Allow;
            assert_eq!(allowed, state == State::Privileged, "{state}");
        }
    }
}

#[test]
fn a_secret_does_not_leave() {
    let secret = Label::from(Source::User).with_sensitivity(Sensitivity::Secret);
    let intent = mail(secret.clone());
    let context = Label::empty();
    let finding = SafetySystem::default().assess(&input(&intent, &context));
    assert_eq!(finding.decision, SafetyDecision::Block);
    assert!(
        finding
            .reasons
            .iter()
            .any(|r| r.code == ReasonCode::SensitiveOutflow && r.detail.contains("`recipient`"))
    );
    assert!(finding.raised.contains(SafetyFlags::CREDENTIALS));
    let inside = Sample::new("vault.read", CapabilityTier::Observe, SafetyFlags::NONE)
        .argument("name", "db", secret)
        .build();
    let finding = SafetySystem::default().assess(&input(&inside, &context));
    assert_eq!(finding.decision, SafetyDecision::Allow);
}

/// IRM-4.5.6.
#[test]
fn irm_4_5_6_a_limit_narrows_by_its_rule_and_is_read_only_without_one() {
    let intent = mail(outside());
    let context = Label::empty();
    let mut parts = EnvelopeParts::default();
    parts.dimensions[Dimension::Provenance as usize].thresholds.limit = risk(400_000);
    let bare = SafetySystem::new(Envelope::new(parts.clone()).unwrap());
    let SafetyDecision::Modify(narrowing) = bare.assess(&input(&intent, &context)).decision else {
        panic!("expected Protected Mode");
    };
    assert!(narrowing.read_only && narrowing.drop_arguments.is_empty());

    let rule = LimitRule {
        dimensions: [Dimension::Provenance].into(),
        drop_arguments: Vec::from(["cc".into()]),
        ..LimitRule::default()
    };
    parts.limits.push(("l-1".parse().unwrap(), rule));
    let ruled = SafetySystem::new(Envelope::new(parts).unwrap());
    let finding = ruled.assess(&input(&intent, &context));
    let SafetyDecision::Modify(narrowing) = finding.decision else {
        panic!("expected Protected Mode");
    };
    assert!(!narrowing.read_only);
    assert_eq!(narrowing.drop_arguments, ["cc".into()]);
    assert_eq!(finding.reasons[0].code, ReasonCode::RiskLimit);
    assert!(finding.reasons[0].detail.contains("provenance 0.500000, threshold 0.400000"));
}

#[test]
fn a_read_without_a_snapshot_is_unknown_staleness() {
    let intent =
        Sample::new("note.read", CapabilityTier::Observe, SafetyFlags::NONE).reads("iban").build();
    let found = SafetySystem::default().explain(&input(&intent, &Label::empty()));
    assert_eq!(found.risk(Dimension::Staleness), risk(500_000));
}

#[test]
fn bad_envelopes_are_refused() {
    let with = |change: fn(&mut EnvelopeParts)| {
        let mut parts = EnvelopeParts::default();
        change(&mut parts);
        Envelope::new(parts)
    };
    assert!(matches!(
        with(|p| p.version = "1.2".into()),
        Err(EnvelopeError::Version { found }) if found == "1.2"
    ));
    assert!(matches!(
        with(|p| p.overall.limit = Risk::MAX),
        Err(EnvelopeError::Order { place: "overall", .. })
    ));
    assert!(matches!(
        with(|p| p.dimensions[3].thresholds.hold = Risk::ZERO),
        Err(EnvelopeError::Order { place: "provenance", .. })
    ));
    assert!(matches!(
        with(|p| p.forbidden.push(("x".parse().unwrap(), ForbiddenRoute::default()))),
        Err(EnvelopeError::Rule { .. })
    ));
}

#[test]
fn what_is_merely_odd_or_old_neither_restricts_nor_escalates() {
    let system = SafetySystem::default();
    let intent = mail(Source::User.into());
    let context = Label::empty();
    let mut odd = input(&intent, &context);
    (odd.surprise, odd.drift) = (Risk::MAX, Drift::Soft);
    assert!(system.assess(&odd).risk < Risk::RESTRICTION_DEFAULT);
    let mut old = input(&intent, &context);
    old.staleness_millis = u64::MAX;
    let finding = system.assess(&old);
    assert!(finding.risk < Risk::RESTRICTION_DEFAULT);
    assert!(matches!(finding.decision, SafetyDecision::Modify(n) if n.read_only));
}

#[test]
fn kinds_the_catalogue_lacks_are_found() {
    let system = forbidding("recipient", "outside");
    assert!(system.envelope().unknown_kinds(["mail.send"]).is_empty());
    let found = system.envelope().unknown_kinds(["mail.read"]);
    assert_eq!(found, [("f-1".parse().unwrap(), "mail.send".parse().unwrap())]);
}

#[test]
fn what_may_leave_may_leave_up_to_its_bound() {
    let context = Label::empty();
    let personal = mail(Label::from(Source::User).with_sensitivity(Sensitivity::Personal));
    let asked = input(&personal, &context);
    assert_eq!(SafetySystem::default().assess(&asked).decision, SafetyDecision::Allow);
    let parts = EnvelopeParts { outflow: Sensitivity::Internal, ..EnvelopeParts::default() };
    let strict = SafetySystem::new(Envelope::new(parts).unwrap());
    assert_eq!(strict.assess(&asked).decision, SafetyDecision::Block);
}

#[test]
fn asm2_7_2_a_forbidden_route_that_escalates_blocks_the_envelope() {
    let route =
        ForbiddenRoute { context_outside: true, escalates: true, ..ForbiddenRoute::default() };
    let mut parts = EnvelopeParts::default();
    parts.forbidden.push(("f".parse().unwrap(), route));
    let system = SafetySystem::new(Envelope::new(parts).unwrap());
    let intent = mail(Source::User.into());
    for (context, blocks) in [(outside(), true), (Label::empty(), false)] {
        let finding = system.assess(&input(&intent, &context));
        assert_eq!(finding.envelope.decision() == EnvelopeDecision::Block, blocks);
        assert_eq!(finding.envelope.digest(), system.envelope().digest());
    }
}
