//! Step 6: may it be done (IRM-4.6).
//!
//! The [`Governor`] decides by a versioned, digested [`Policy`] under the Kernel
//! Constitutional Rules, which no policy overrides. Deny by default, deny wins, every
//! verdict names its rule. A person's answer is a [`GovernanceDecision`] in the log;
//! what was allowed gets one [`ApprovalToken`]. Between processes the token travels
//! signed, as PASETO `v4.public` (feature `paseto`).
//!
//! A policy as a file (`governance.toml`):
//!
//! ```toml
#![doc = include_str!("governance/testdata/governance.toml")]
//! ```
//!
//! INVARIANT (fail closed): no match, a missing argument, an argument of another shape,
//! silence and a late answer all deny; adding a deny rule never loosens.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::audience::state::State;
use crate::digest::Digest;
use crate::id::{KindId, Name, PrincipalId, RuleId};
use crate::intent::{Intent, RoutingId};
use crate::provenance::Label;
use crate::risk::Risk;
use crate::time::Timestamp;
use crate::verdict::{CapabilityTier, Drift, KernelVerdict, Narrowing, Reason, SafetyFlags};

pub use argument::{ArgumentCondition, Fault, Outcome, Test};
pub use backtrack::{BacktrackAuthorization, BacktrackMismatch};
pub use engine::Governor;
pub use kernel::{
    Held, KERNEL_RULES, KERNEL_VERSION, KernelRule, delegation_holds, kernel_digest, kernel_rule,
};
pub use policy::{
    DEFAULT_APPROVER, DEFAULT_TIMEOUT_SECONDS, HardDrift, Policy, PolicyError, PolicyParts,
    SoftDrift, UnknownKind,
};
#[cfg(feature = "paseto")]
pub use portable::{
    KeyId, PortableError, PortableToken, ReplayError, ReplayGuard, ReplayMemory, SigningKey, Spent,
    Trust, VerifyingKey,
};
pub use review::{GovernanceDecision, Matter, ReviewError, Sitting};
pub use rule::{Actor, Conditions, Hours, Kinds, Obligations, Rule};
pub use token::{
    ApprovalToken, Expectations, GovernanceToken, Redeemed, TokenClaims, TokenError, TokenMint,
};

mod approval;
mod argument;
mod backtrack;
mod engine;
#[cfg(feature = "files")]
mod file;
mod kernel;
mod policy;
#[cfg(feature = "paseto")]
mod portable;
mod review;
mod rule;
#[cfg(test)]
mod tests;
mod token;

/// What Governance knows of who acts.
#[derive(Debug, Clone, Copy)]
pub struct Authority<'a> {
    /// Who acts.
    pub principal: &'a PrincipalId,
    /// `human`, `service` or `agent`.
    pub kind: &'static str,
    /// The scopes held.
    pub scopes: &'a alloc::collections::BTreeSet<Name>,
    /// How many links the delegation chain has.
    pub delegation: usize,
}

/// What is decided on.
#[derive(Debug, Clone, Copy)]
pub struct GovernanceInput<'a> {
    /// The intent.
    pub intent: &'a Intent,
    /// Its Routing ID.
    pub routing_id: RoutingId,
    /// Who acts.
    pub authority: Authority<'a>,
    /// The audience's state.
    pub state: State,
    /// The audience's class: `A`, `B` or `C`.
    pub class: char,
    /// All flags, those raised later included.
    pub flags: SafetyFlags,
    /// The overall risk.
    pub risk: Risk,
    /// Drift found at Step 3: a flag that must be ruled on (D-22).
    pub drift: Drift,
    /// Whether the Safety System asks for a person's judgement.
    pub safety_hold: bool,
    /// Everything the session has read so far.
    pub context: &'a Label,
    /// How often each kind was executed in this session.
    pub history: &'a BTreeMap<KindId, u32>,
    /// A decision on exactly this intent, where an approver gave one.
    pub approval: Option<&'a Approval>,
    /// The time now.
    pub now: Timestamp,
}

/// What an approver decided on a request, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approval {
    /// The Intent Hash decided on: kind, arguments and labels, exactly.
    pub intent: Digest,
    /// The approver.
    pub approver: PrincipalId,
    /// The role in which they decided.
    pub role: Name,
    /// Yes or no.
    pub granted: bool,
    /// When it ends.
    pub expires_at: Timestamp,
    /// The digest of the record that holds it.
    pub record: Digest,
}

/// What an approver is asked (D-52, "step up").
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalRequest {
    /// The Intent Hash.
    pub intent: Digest,
    /// The role an approver must hold.
    pub role: Name,
    /// No answer by then denies.
    pub expires_at: Timestamp,
    /// What is asked, with the outside source of each argument.
    pub question: Box<str>,
}

/// Governance's decision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Allowed as asked.
    Allow,
    /// Allowed, narrowed.
    Modify(Narrowing),
    /// A person decides.
    StepUp(ApprovalRequest),
    /// Something must be supplied first, by then or it is denied.
    Defer {
        /// What is missing.
        missing: Box<str>,
        /// When waiting ends.
        until: Timestamp,
    },
    /// Denied.
    Deny,
}

/// Governance's decision with its reasons.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ruling {
    /// The decision.
    pub decision: Decision,
    /// The rule that decided.
    pub rule: Option<RuleId>,
    /// Why.
    pub reasons: Vec<Reason>,
}

/// What the Kernel Constitutional Rules are checked on.
#[derive(Debug, Clone, Copy)]
pub struct KernelInput<'a> {
    /// The audience's state.
    pub state: State,
    /// What is to be done.
    pub flags: SafetyFlags,
    /// What a module that does it may do.
    pub tier: CapabilityTier,
    /// Who acts.
    pub authority: Authority<'a>,
    /// The overall risk.
    pub risk: Risk,
    /// The join of all arguments' labels.
    pub label: &'a Label,
    /// Whether the subject's lineage verified.
    pub lineage_intact: bool,
}

/// Step 6 of the path.
pub trait GovernanceEngine {
    /// Decides by the rules in force. Deny by default, deny wins.
    fn rule(&self, input: &GovernanceInput<'_>) -> Ruling;

    /// Checks the Kernel Constitutional Rules, which no policy can override.
    fn kernel(&self, input: &KernelInput<'_>) -> KernelVerdict;

    /// The digest of the policy in force.
    fn policy(&self) -> Digest;
}
