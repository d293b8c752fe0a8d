//! The codes of all reasons, in one list, because records outlive versions.

macro_rules! reasons {
    ($($variant:ident = $number:literal, $name:literal, $meaning:literal;)*) => {
        /// Why something was decided. Numbers are part of the record format: a
        /// number is never reused and never changes its meaning. Hundreds are
        /// rooms: 1 Identity … 8 Execution, 9 Audience, 10 Routing, 11 SSOT.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum ReasonCode {
            $(#[doc = $meaning] $variant = $number,)*
        }

        impl ReasonCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code's number in records.
            pub const fn number(self) -> u16 {
                self as u16
            }

            /// The code with this number.
            pub const fn from_number(number: u16) -> Option<Self> {
                match number { $($number => Some(Self::$variant),)* _ => None }
            }

            /// The code's name, `room.what`.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What the code means, in one sentence.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }
        }
    };
}

reasons! {
    SessionExpired = 101, "identity.session-expired", "the session's token is past its end";
    SessionNotYetValid = 102, "identity.session-not-yet-valid", "the clock stands before the session's start";
    SessionRevoked = 103, "identity.session-revoked", "the session, token or principal is on the revocation list";
    SessionStale = 104, "identity.session-stale", "the session was verified too long ago";
    SessionBroken = 105, "identity.session-broken", "the session's stream does not continue from what the caller holds";
    SubjectMismatch = 106, "identity.subject-mismatch", "the intent names another subject than the session";
    AuthorityMissing = 107, "identity.authority-missing", "the roles held do not cover the intent's scope";
    DelegationInvalid = 108, "identity.delegation-invalid", "the delegation chain is too long or widens rights";
    IdentityAnomaly = 109, "identity.anomaly", "the session contradicts what is known of the principal";
    IdentityUnverified = 110, "identity.unverified", "the claims could not be verified";

    IntentMalformed = 201, "intent.malformed", "the submission cannot be read as an intent";
    IntentUnknownKind = 202, "intent.unknown-kind", "the catalogue has no such kind of intent";
    IntentSchema = 203, "intent.schema", "an argument breaks the kind's schema";
    IntentCatalogue = 204, "intent.catalogue", "the intent was checked against another catalogue version";
    IntentLimit = 205, "intent.limit", "the submission exceeds a limit";

    DriftSoft = 301, "modeling.soft-drift", "unusual for this audience";
    DriftHard = 302, "modeling.hard-drift", "inconsistent with this audience's history";
    ContextMismatch = 303, "modeling.context", "the intent does not fit its context";
    PreferenceConflict = 304, "modeling.preference", "the intent contradicts a stated preference";
    HistoryShort = 305, "modeling.history-short", "too little history to judge";

    MemoryInconsistent = 401, "memory.inconsistent", "facts the intent relies on contradict each other or the argument";
    MemoryMisaligned = 402, "memory.misaligned", "the intent relies on facts of another subject or context";
    MemoryStale = 403, "memory.stale", "the intent relies on an outdated version of a fact or snapshot";
    MemoryMissing = 404, "memory.missing", "the intent relies on a fact that does not exist";

    RiskBlock = 501, "safety.block", "a risk is beyond what the envelope lets pass";
    RiskHold = 502, "safety.hold", "a risk needs a person's judgement";
    RiskLimit = 503, "safety.limit", "a risk allows Protected Mode only";
    ForbiddenRoute = 504, "safety.forbidden-route", "a forbidden combination of source, flags and kind";
    AudienceEscalated = 505, "safety.audience-escalated", "the audience is escalated: the Safety System answers for every layer";
    StateInsufficient = 506, "safety.state-insufficient", "the audience's state is below what the intent requires";
    OutsideValue = 507, "safety.outside-value", "an argument carries a value from outside";
    RiskScored = 508, "safety.risk", "the risk that was scored";
    AudienceHeld = 509, "safety.audience-held", "the audience is on HOLD: nothing passes without governance";
    SensitiveOutflow = 510, "safety.outflow", "a value too sensitive to leave would leave";

    RuleAllow = 601, "governance.allow", "a rule allows it";
    RuleModify = 602, "governance.modify", "a rule allows it narrowed";
    RuleStepUp = 603, "governance.step-up", "a rule asks for a person's approval";
    RuleDefer = 604, "governance.defer", "a rule asks for more before deciding";
    RuleDeny = 605, "governance.deny", "a rule denies it";
    NoRule = 606, "governance.no-rule", "no rule allows it";
    RuleError = 607, "governance.rule-error", "a rule could not be evaluated";
    KernelViolation = 608, "governance.kernel", "a Kernel Constitutional Rule forbids it";
    ApprovalGranted = 609, "governance.approved", "a person approved it";
    ApprovalRefused = 610, "governance.refused", "a person refused it";
    ApprovalExpired = 611, "governance.approval-expired", "nobody answered in time";
    PolicyVersion = 612, "governance.policy-version", "a policy or table is not the locked version";
    DriftRuled = 613, "governance.drift-ruled", "Governance ruled on a drift flag";
    BacktrackAuthorized = 614, "governance.backtrack", "Governance authorized going back to an earlier layer";
    MatrixDecision = 615, "governance.matrix", "the Audience Matrix decides for this class and tier";
    SafetyHeld = 616, "governance.safety-hold", "the Safety System asks for a person's judgement";

    RouteMismatch = 701, "pipeline.mismatch", "no table row matches the Routing ID's components";
    SnapshotOutdated = 702, "pipeline.snapshot-outdated", "the snapshot the intent was routed on is no longer current";
    BranchUnresolved = 703, "pipeline.branch", "branches of the template could not be reduced to one path";
    ModuleNotAllowed = 704, "pipeline.module", "the row does not allow the module";
    EngineMissing = 705, "pipeline.engine-missing", "an engine the row requires has not agreed";
    TokenInvalid = 706, "pipeline.token", "the Routing Approval Token does not fit this route";
    RoutingIdMismatch = 707, "pipeline.routing-id", "the recomputed Routing ID differs";
    PathResolved = 708, "pipeline.path", "the one execution path";
    BranchEliminated = 709, "pipeline.branch-eliminated", "a branch whose condition does not hold was removed";

    Executed = 801, "execution.done", "the module did its work";
    ModuleFailed = 802, "execution.failed", "the module reported a failure";
    ModuleUnknown = 803, "execution.unknown-module", "no such module is registered";
    ContractViolated = 804, "execution.contract", "the Module Contract is not met";
    OutcomeUnknown = 805, "execution.unknown", "whether the effect took place is not known until replay";
    OutputInvalid = 806, "execution.output", "the module's output breaks its contract";

    TransitionRefused = 901, "audience.refused", "the transition is not one of the fifteen edges";
    TransitionTaken = 902, "audience.transition", "the audience changed its state";
    ClearanceMissing = 903, "audience.clearance", "the four verdicts do not clear the transition";

    RouteOpen = 1001, "routing.open", "another route of this session is open";
    Parallel = 1002, "routing.parallel", "a second attempt at the same intent while the first is open";
    EvidenceMissing = 1003, "routing.evidence", "the evidence could not be made durable";

    LogConflict = 1101, "ssot.conflict", "a stream's head moved between reading and writing";
    LogUnknown = 1102, "ssot.unknown", "the store did not say whether it committed";
}

#[cfg(test)]
mod tests {
    use super::ReasonCode;

    #[test]
    fn codes_come_back_from_their_numbers_and_names_differ() {
        let mut names = alloc::collections::BTreeSet::new();
        for &code in ReasonCode::ALL {
            assert_eq!(ReasonCode::from_number(code.number()), Some(code));
            assert!(names.insert(code.name()));
        }
        assert_eq!(ReasonCode::from_number(0), None);
    }
}
