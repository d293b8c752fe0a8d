//! The default Governance Engine: one pass over the rules that can match.
//!
//! Requirements: IRM-4.6.1..IRM-4.6.4.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use crate::digest::Digest;
use crate::governance::approval::question;
use crate::governance::argument::{Fault, Outcome};
use crate::governance::kernel::{self, Facts, KERNEL_RULES, kernel_digest, kernel_rule};
use crate::governance::policy::{HardDrift, Policy, SoftDrift};
use crate::governance::rule::Rule;
use crate::governance::{
    ApprovalRequest, Decision, GovernanceEngine, GovernanceInput, KernelInput, Ruling,
};
use crate::id::{Name, RuleId};
use crate::verdict::{Drift, KernelVerdict, Narrowing, Reason, ReasonCode, Verdict};

/// The Governance Layer: decides by a [`Policy`] under the Kernel Constitutional Rules.
///
/// The order of restriction is deny, defer, step up, modify, allow; the strictest match
/// wins. Nothing matched means denied. A condition that cannot be evaluated never lets
/// anything through: a rule that permits does not apply, a rule that restricts does, and
/// where nothing but such rules matched the answer is deny.
#[derive(Debug, Clone)]
pub struct Governor {
    policy: Policy,
    kernel: Digest,
}

impl Default for Governor {
    fn default() -> Self {
        Self::new(Policy::empty())
    }
}

/// What one pass over the rules found.
#[derive(Default)]
struct Found<'a> {
    deny: Option<&'a Rule>,
    defer: Option<&'a Rule>,
    step: Option<&'a Rule>,
    timeout: Option<u64>,
    modify: Option<&'a Rule>,
    allow: Option<&'a Rule>,
    narrowing: Narrowing,
    /// Whether a rule without a fault lets it through in any way.
    granted: bool,
    faulty: Option<&'a Rule>,
    drift_ruled: Option<&'a Rule>,
    reasons: Vec<Reason>,
}

impl Governor {
    /// A Governance Layer that decides by this policy.
    pub fn new(policy: Policy) -> Self {
        Self { policy, kernel: kernel_digest() }
    }

    /// The policy in force.
    pub const fn rules(&self) -> &Policy {
        &self.policy
    }

    /// Every rule that can match the intent's kind with its answer, in the order of their
    /// ids: for whoever asks why.
    pub fn explain<'a>(
        &'a self,
        input: &'a GovernanceInput<'_>,
    ) -> impl Iterator<Item = (&'a RuleId, Verdict, Outcome<'a>)> {
        let candidates = self.policy.candidates(&input.intent.kind().id);
        candidates.map(|rule| (&rule.id, rule.effect, rule.evaluate(input)))
    }

    fn scan<'a>(&'a self, input: &GovernanceInput<'_>) -> Found<'a> {
        let mut found = Found::default();
        for rule in self.policy.candidates(&input.intent.kind().id) {
            let fault = match rule.evaluate(input) {
                Outcome::No => continue,
                Outcome::Match => None,
                Outcome::Fault(fault) => Some(fault),
            };
            if let Some(fault) = fault {
                found.reasons.push(faulty(rule, &fault));
                if rule.permits() {
                    continue;
                }
                found.faulty = found.faulty.or(Some(rule));
            } else if rule.effect != Verdict::Deny {
                found.granted = true;
            }
            if rule.rules_on_drift && fault.is_none() {
                found.drift_ruled = found.drift_ruled.or(Some(rule));
            }
            match rule.effect {
                Verdict::Allow => found.allow = found.allow.or(Some(rule)),
                Verdict::Modify => {
                    found.narrowing.absorb(rule.then.narrowing.clone());
                    found.modify = found.modify.or(Some(rule));
                    found.reasons.push(matched(ReasonCode::RuleModify, rule));
                }
                Verdict::StepUp => {
                    if found.step.is_none_or(|other| self.rank(rule) < self.rank(other)) {
                        found.step = Some(rule);
                    }
                    let timeout = rule.then.timeout_seconds;
                    found.timeout = found.timeout.into_iter().chain(timeout).min();
                    found.reasons.push(matched(ReasonCode::RuleStepUp, rule));
                }
                Verdict::Defer => {
                    found.defer = found.defer.or(Some(rule));
                    found.reasons.push(matched(ReasonCode::RuleDefer, rule));
                }
                Verdict::Deny => {
                    found.deny = found.deny.or(Some(rule));
                    found.reasons.push(matched(ReasonCode::RuleDeny, rule));
                }
            }
        }
        found
    }

    fn rank(&self, rule: &Rule) -> usize {
        let approver = rule.then.approver.as_ref();
        approver.and_then(|name| self.policy.rank(name)).unwrap_or(usize::MAX)
    }

    /// Whoever must still be asked, and whether they were.
    fn ask(
        &self,
        input: &GovernanceInput<'_>,
        found: &mut Found<'_>,
        facts: &Facts<'_>,
    ) -> Result<(), Ruling> {
        let unruled = input.drift == Drift::Soft && found.drift_ruled.is_none();
        if unruled && self.policy.parts().soft_drift == SoftDrift::Deny {
            let reason = Reason::new(ReasonCode::DriftSoft).detail("no rule rules on drift");
            return Err(deny(None, reason, found));
        }
        if unruled {
            found.reasons.push(Reason::new(ReasonCode::DriftSoft).detail("no rule rules on drift"));
        }
        if input.safety_hold {
            found.reasons.push(Reason::new(ReasonCode::SafetyHeld));
        }
        let person = facts.needs_person();
        if person {
            found.reasons.extend(kernel_reason(6));
        }
        // A refusal stands even where nobody had to be asked.
        let approval = input.approval.filter(|a| a.intent == input.intent.hash());
        if let Some(approval) = approval.filter(|approval| !approval.granted) {
            let reason = Reason::new(ReasonCode::ApprovalRefused);
            return Err(deny(None, reason.detail(approval.approver.to_string()), found));
        }
        let mut asked: Option<&Name> = found.step.and_then(|rule| rule.then.approver.as_ref());
        if unruled || input.safety_hold || person {
            let Some(reviewer) = self.policy.reviewer() else {
                return Err(deny(None, Reason::new(ReasonCode::NoRule), found));
            };
            let least = self.policy.rank(reviewer);
            asked = asked.filter(|name| self.policy.rank(name) <= least).or(Some(reviewer));
            let own = Some(self.policy.parts().timeout_seconds);
            found.timeout = found.timeout.into_iter().chain(own).min();
        }
        let Some(asked) = asked else {
            return Ok(());
        };
        if let Some(approval) = approval {
            if approval.approver == *input.authority.principal {
                let reason = kernel_reason(3).unwrap_or_else(|| ReasonCode::KernelViolation.into());
                return Err(deny(None, reason, found));
            }
            if input.now >= approval.expires_at {
                return Err(deny(None, Reason::new(ReasonCode::ApprovalExpired), found));
            }
            let held = self.policy.rank(&approval.role);
            if held.is_some() && held <= self.policy.rank(asked) {
                let detail = approval.approver.to_string();
                found.reasons.push(Reason::new(ReasonCode::ApprovalGranted).detail(detail));
                return Ok(());
            }
        }
        let timeout = found.timeout.unwrap_or(self.policy.parts().timeout_seconds);
        let reasons = core::mem::take(&mut found.reasons);
        let request = ApprovalRequest {
            intent: input.intent.hash(),
            role: asked.clone(),
            expires_at: input.now.plus_millis(timeout.saturating_mul(1000)),
            question: question(input, asked, &reasons),
        };
        let rule = found.step.filter(|rule| rule.then.approver.as_ref() == Some(asked));
        Err(Ruling {
            decision: Decision::StepUp(request),
            rule: rule.map(|rule| rule.id.clone()),
            reasons,
        })
    }
}

fn kernel_reason(number: u8) -> Option<Reason> {
    let rule = kernel_rule(number)?;
    let reason = Reason::new(ReasonCode::KernelViolation).detail(rule.statement);
    Some(match RuleId::new(rule.id) {
        Ok(id) => reason.by(id),
        Err(_) => reason,
    })
}

fn matched(code: ReasonCode, rule: &Rule) -> Reason {
    Reason::new(code).by(rule.id.clone()).detail(rule.reason.clone())
}

fn faulty(rule: &Rule, fault: &Fault<'_>) -> Reason {
    Reason::new(ReasonCode::RuleError).by(rule.id.clone()).detail(fault.to_string())
}

fn deny(rule: Option<&Rule>, reason: Reason, found: &mut Found<'_>) -> Ruling {
    let mut reasons = core::mem::take(&mut found.reasons);
    reasons.insert(0, reason);
    Ruling { decision: Decision::Deny, rule: rule.map(|rule| rule.id.clone()), reasons }
}

impl GovernanceEngine for Governor {
    fn rule(&self, input: &GovernanceInput<'_>) -> Ruling {
        let facts = Facts {
            state: input.state,
            flags: input.flags,
            tier: input.intent.kind().tier,
            authority: &input.authority,
            risk: input.risk,
            label: input.intent.label(),
            // The gate holds K-8, where the lineage is known.
            lineage_intact: true,
        };
        if let Some(number) = facts.violation() {
            let reason =
                kernel_reason(number).unwrap_or_else(|| ReasonCode::KernelViolation.into());
            return Ruling {
                decision: Decision::Deny,
                rule: reason.rule.clone(),
                reasons: Vec::from([reason]),
            };
        }
        let mut found = self.scan(input);
        if let Some(rule) = found.deny {
            let reasons = core::mem::take(&mut found.reasons);
            return Ruling { decision: Decision::Deny, rule: Some(rule.id.clone()), reasons };
        }
        if !found.granted {
            let faulty = found.faulty;
            return deny(faulty, Reason::new(ReasonCode::NoRule), &mut found);
        }
        if let Some(rule) = found.defer {
            return waiting(input, rule.then.missing.clone(), Some(rule), found.reasons);
        }
        if input.drift == Drift::Hard {
            found.reasons.push(Reason::new(ReasonCode::DriftHard));
            let reasons = core::mem::take(&mut found.reasons);
            return match self.policy.parts().hard_drift {
                HardDrift::Deny => Ruling { decision: Decision::Deny, rule: None, reasons },
                HardDrift::Backtrack => {
                    let missing = "an authorization to go back to Modeling";
                    let seconds = self.policy.parts().timeout_seconds;
                    let until = input.now.plus_millis(seconds.saturating_mul(1000));
                    let decision = Decision::Defer { missing: missing.into(), until };
                    Ruling { decision, rule: None, reasons }
                }
            };
        }
        if let Err(ruling) = self.ask(input, &mut found, &facts) {
            return ruling;
        }
        if let (Drift::Soft, Some(rule)) = (input.drift, found.drift_ruled) {
            found.reasons.push(Reason::new(ReasonCode::DriftRuled).by(rule.id.clone()));
        }
        let rule = found.modify.or(found.allow).or(found.step);
        let decision = if found.modify.is_some() {
            Decision::Modify(found.narrowing)
        } else {
            Decision::Allow
        };
        Ruling { decision, rule: rule.map(|rule| rule.id.clone()), reasons: found.reasons }
    }

    fn kernel(&self, input: &KernelInput<'_>) -> KernelVerdict {
        kernel::check(input, self.kernel)
    }

    fn policy(&self) -> Digest {
        self.policy.digest()
    }
}

fn waiting(
    input: &GovernanceInput<'_>,
    missing: Box<str>,
    rule: Option<&Rule>,
    reasons: Vec<Reason>,
) -> Ruling {
    let seconds = rule.and_then(|rule| rule.then.timeout_seconds).unwrap_or(0);
    let until = input.now.plus_millis(seconds.saturating_mul(1000));
    Ruling {
        decision: Decision::Defer { missing, until },
        rule: rule.map(|rule| rule.id.clone()),
        reasons,
    }
}

const _: () = assert!(KERNEL_RULES.len() == 11, "numbers above are places in the list");
