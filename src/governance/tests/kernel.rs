//! The Kernel Constitutional Rules (ASM2-4.13).

use super::*;

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

/// ASM2-10.1.
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
