//! The Kernel Constitutional Rules v1.2 (ASM2-4.13, ASM2-10.1): a fixed list in code.
//!
//! No policy, approval or table overrides them. Each is held where the facts it speaks
//! of are known: at the gate and before every ruling ([`Held::Intent`]), or where
//! approvals are recorded ([`Held::Approval`]) and rights are passed on
//! ([`Held::Delegation`]).

use alloc::collections::BTreeSet;

use crate::audience::state::State;
use crate::digest::{Digest, Domain};
use crate::encode::Writer;
use crate::governance::rule::Actor;
use crate::governance::{Authority, KernelInput};
use crate::id::Name;
use crate::limits::DELEGATION_LINKS;
use crate::provenance::{Label, Sensitivity};
use crate::risk::Risk;
use crate::verdict::{CapabilityTier, KernelDecision, KernelVerdict, SafetyFlags};

/// The version of the list.
pub const KERNEL_VERSION: &str = "1.2";

/// Where a rule is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// On every intent: a violation denies and escalates.
    Intent,
    /// On every intent: it goes on only with a person's approval.
    Person,
    /// Where approvals are given and used.
    Approval,
    /// Where a right is passed on.
    Delegation,
}

/// One rule of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelRule {
    /// Its id.
    pub id: &'static str,
    /// What it says.
    pub statement: &'static str,
    /// Why it stands.
    pub reason: &'static str,
    /// Where it is held.
    pub held: Held,
}

/// The list. Numbers in [`KernelDecision::Violation`] are places in it, from 0.
pub const KERNEL_RULES: [KernelRule; 11] = [
    KernelRule {
        id: "K-1",
        statement: "no privileged operation for an audience that is RESTRICTED, on HOLD or ESCALATED",
        reason: "an audience under suspicion must not reach what is hardest to undo (D-10)",
        held: Held::Intent,
    },
    KernelRule {
        id: "K-2",
        statement: "credentials and permissions are never set from a value that came from outside",
        reason: "whoever writes a page must not choose who gets in",
        held: Held::Intent,
    },
    KernelRule {
        id: "K-3",
        statement: "a secret never leaves the organisation",
        reason: "a disclosed secret cannot be taken back",
        held: Held::Intent,
    },
    KernelRule {
        id: "K-4",
        statement: "nobody approves their own request, and only a person approves",
        reason: "a judgement needs a second pair of eyes, and an agent has none",
        held: Held::Approval,
    },
    KernelRule {
        id: "K-5",
        statement: "no effect without a principal of a known kind",
        reason: "somebody must answer for what was done",
        held: Held::Intent,
    },
    KernelRule {
        id: "K-6",
        statement: "a delegation chain has at most eight links",
        reason: "responsibility that is passed on without end is nobody's",
        held: Held::Intent,
    },
    KernelRule {
        id: "K-7",
        statement: "what cannot be taken back and carries a value from outside needs a person",
        reason: "the cost of a wrong guess is without bound",
        held: Held::Person,
    },
    KernelRule {
        id: "K-8",
        statement: "no effect and no privilege on a lineage that does not verify",
        reason: "a state that cannot be proven may be anybody's invention (ASM2-10.9)",
        held: Held::Intent,
    },
    KernelRule {
        id: "K-9",
        statement: "no effect at a risk of 0.8 or more",
        reason: "such a risk escalates the audience before anything else happens (ASM2-7.1)",
        held: Held::Intent,
    },
    KernelRule {
        id: "K-10",
        statement: "no effect for an audience that is on HOLD or ESCALATED",
        reason: "a suspended audience does nothing until governance has looked (ASM2-8.7, D-10)",
        held: Held::Intent,
    },
    KernelRule {
        id: "K-11",
        statement: "who acts for another holds no right that the other lacks",
        reason: "delegation passes rights on, it does not make them",
        held: Held::Delegation,
    },
];

/// The digest of the list and its version: count and text of every part, in order.
pub fn kernel_digest() -> Digest {
    let mut out = Writer::with_capacity(2048);
    out.text(KERNEL_VERSION).count(KERNEL_RULES.len());
    for rule in &KERNEL_RULES {
        out.text(rule.id).text(rule.statement).text(rule.reason).u8(match rule.held {
            Held::Intent => 1,
            Held::Person => 2,
            Held::Approval => 3,
            Held::Delegation => 4,
        });
    }
    Domain::Kernel.hash(out.as_bytes())
}

/// The rule that a decision violates.
pub fn kernel_rule(number: u8) -> Option<&'static KernelRule> {
    KERNEL_RULES.get(usize::from(number))
}

/// K-11: whether a delegate's scopes are among its delegator's.
pub fn delegation_holds(delegator: &BTreeSet<Name>, delegate: &BTreeSet<Name>) -> bool {
    delegate.is_subset(delegator)
}

/// What the rules are checked on.
pub(super) struct Facts<'a> {
    pub(super) state: State,
    pub(super) flags: SafetyFlags,
    pub(super) tier: CapabilityTier,
    pub(super) authority: &'a Authority<'a>,
    pub(super) risk: Risk,
    pub(super) label: &'a Label,
    pub(super) lineage_intact: bool,
}

impl Facts<'_> {
    fn privileged(&self) -> bool {
        self.flags.contains(SafetyFlags::PRIVILEGED) || self.tier == CapabilityTier::Privileged
    }

    /// Whether anything changes or leaves.
    fn effect(&self) -> bool {
        let doing = SafetyFlags::EFFECT
            .union(SafetyFlags::EXTERNAL)
            .union(SafetyFlags::IRREVERSIBLE)
            .union(SafetyFlags::FINANCIAL)
            .union(SafetyFlags::PRIVILEGED);
        self.flags.intersects(doing) || self.tier > CapabilityTier::Observe
    }

    fn outside(&self) -> bool {
        self.flags.contains(SafetyFlags::OUTSIDE_ARGUMENT) || self.label.is_outside()
    }

    /// The first rule violated, in the order of the list.
    pub(super) fn violation(&self) -> Option<u8> {
        let effect = self.effect();
        let suspect = matches!(self.state, State::Restricted | State::Hold | State::Escalated);
        let suspended = matches!(self.state, State::Hold | State::Escalated);
        let has = |flag| self.flags.contains(flag);
        [
            (0, self.privileged() && suspect),
            (1, has(SafetyFlags::CREDENTIALS) && effect && self.outside()),
            (2, has(SafetyFlags::EXTERNAL) && self.label.sensitivity() == Sensitivity::Secret),
            (4, effect && Actor::from_name(self.authority.kind).is_none()),
            (5, self.authority.delegation > DELEGATION_LINKS),
            (7, effect && !self.lineage_intact),
            (8, effect && self.risk >= Risk::ESCALATION),
            (9, effect && suspended),
        ]
        .into_iter()
        .find_map(|(number, violated)| violated.then_some(number))
    }

    /// K-7.
    pub(super) fn needs_person(&self) -> bool {
        self.flags.contains(SafetyFlags::IRREVERSIBLE) && self.outside()
    }

    fn decide(&self) -> KernelDecision {
        if let Some(number) = self.violation() {
            return KernelDecision::Violation(number);
        }
        let standing = matches!(self.state, State::Verified | State::Privileged);
        let clear = standing
            && self.lineage_intact
            && self.risk < Risk::RESTRICTION_DEFAULT
            && !self.needs_person()
            && Actor::from_name(self.authority.kind).is_some();
        if clear { KernelDecision::ConstitutionalClearance } else { KernelDecision::Clear }
    }
}

/// Checks the list on one input.
///
/// Constitutional clearance needs, beside no violation: a VERIFIED or PRIVILEGED
/// audience, an intact lineage, a risk below 0.6, a principal of a known kind, and
/// nothing that K-7 refers to a person. What lacks one of them is merely clear.
///
/// INVARIANT (one mint): the only place where a [`KernelVerdict`] is made.
pub(super) fn check(input: &KernelInput<'_>, digest: Digest) -> KernelVerdict {
    let facts = Facts {
        state: input.state,
        flags: input.flags,
        tier: input.tier,
        authority: &input.authority,
        risk: input.risk,
        label: input.label,
        lineage_intact: input.lineage_intact,
    };
    KernelVerdict::mint(facts.decide(), digest)
}
