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

#[cfg(feature = "files")]
mod file;
mod kernel;
mod review;
mod rules;
mod tokens;

const NOW: Timestamp = Timestamp::from_millis(1_000_000);

struct World {
    intent: Intent,
    principal: PrincipalId,
    kind: &'static str,
    scopes: BTreeSet<Name>,
    context: Label,
    history: BTreeMap<KindId, u32>,
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
            history: BTreeMap::new(),
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
    /// IRM-4.6.2.
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

    /// D-53.
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
