//! `Route<L>`: one intent on its way, and the type says which layer it has passed.
//!
//! Each layer takes the route by value and gives back either the route at its next
//! place or a terminal of its own type. A route cannot be copied, so it cannot be
//! in two places; a layer cannot be left out, because its verb does not exist where
//! the route stands.
//!
//! ```compile_fail
//! use prospera::routing::{Route, layers};
//! fn skip(route: Route<layers::Identity>, safety: &impl prospera::safety::SafetyEngine,
//!         view: &prospera::routing::SafetyView<'_>) {
//!     let _ = route.assess(safety, view); // Intent, Modeling and Memory come first
//! }
//! ```
//!
//! INVARIANT (one path): the only ways to a `Route<P>` are [`Route::receive`], the
//! verb of the layer that leads to `P`, and [`Route::backtrack`] with Governance's
//! authorization.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::marker::PhantomData;

use crate::audience::state::State;
use crate::digest::Digest;
use crate::execution::{Execution, IdempotencyKey};
use crate::id::{LayerId, SnapshotId};
use crate::identity::{IdentityEngine, IdentityFinding, IdentityInput, Session};
use crate::intent::{
    Intent, IntentEngine, PackageInput, RoutingComponents, RoutingPackage, Submission,
};
use crate::limits::REASONS;
use crate::memory::{Facts, MemoryEngine, MemoryInput};
use crate::modeling::{ModelingEngine, ModelingInput};
use crate::pipeline::ExecutionPath;
use crate::provenance::Label;
use crate::risk::Risk;
use crate::routing::evidence::{EvidenceBlock, StepResult, TraceEntry};
use crate::routing::layers::{self, Follows, Layer, Position, Precedes};
use crate::routing::terminal::{
    DriftReferral, IdentityBlocked, IntentBlocked, MemoryHalt, SafetyBlocked,
};
use crate::safety::{SafetyDecision, SafetyEngine, SafetyFinding, SafetyInput};
use crate::time::Timestamp;
use crate::verdict::{
    Consensus, Drift, Narrowing, Reason, ReasonCode, SafetyFlags, SafetyMode, Verdict, Vote,
};

mod decide;
mod effect;

pub use decide::GovernanceView;
pub use effect::{Sealed, Uncommitted};

/// One intent at one place of the routing path.
#[must_use = "a route that is dropped leaves no evidence: conclude it or carry it on"]
pub struct Route<P: Position> {
    core: Box<Core>,
    place: PhantomData<fn() -> P>,
}

/// Everything learnt on the way. The evidence block grows with the route, so what
/// is recorded is what was decided.
pub(super) struct Core {
    pub(super) submission: Submission,
    pub(super) wait_until: Timestamp,
    /// The votes the Routing ID was made of at Step 2; its other components are the
    /// evidence's own.
    pub(super) packaged: Option<Consensus>,
    pub(super) identity: IdentityFinding,
    pub(super) safety: Option<SafetyFinding>,
    pub(super) path: Option<ExecutionPath>,
    pub(super) key: Option<IdempotencyKey>,
    pub(super) execution: Option<Execution>,
    /// The canonical bytes of the output.
    pub(super) output: Option<Arc<[u8]>>,
    pub(super) block: Box<EvidenceBlock>,
}

impl Core {
    /// Notes how a layer ended.
    #[inline]
    pub(super) fn note(&mut self, layer: LayerId, result: StepResult, mut reasons: Vec<Reason>) {
        if reasons.len() > REASONS {
            cut(&mut reasons);
        }
        let vote = match result {
            StepResult::Passed | StepResult::Narrowed => Vote::Agree,
            StepResult::Flagged | StepResult::Stopped => Vote::Dissent,
            StepResult::Backtracked => Vote::Abstain,
        };
        self.block.consensus = self.block.consensus.with(layer, vote);
        self.block.trace.push(TraceEntry { layer, result, reasons });
    }

    /// Notes that a layer suspended the route: nothing supplied in time denies (D-52).
    pub(super) fn suspend(&mut self, layer: LayerId, reasons: Vec<Reason>) {
        self.block.wait_until = Some(self.wait_until);
        self.stop(layer, Verdict::Defer, reasons);
    }

    /// Notes that a layer ended the route.
    pub(super) fn stop(&mut self, layer: LayerId, verdict: Verdict, reasons: Vec<Reason>) {
        self.block.verdict = verdict;
        self.note(layer, StepResult::Stopped, reasons);
    }

    /// The votes as Steps 7 and 8 count them: a flag that Governance has ruled on, by
    /// letting the route pass, no longer stands in the way. The evidence keeps the dissent.
    pub(super) fn settled(&self) -> Consensus {
        let flagged = |entry: &&TraceEntry| {
            entry.result == StepResult::Flagged && entry.layer < LayerId::Governance
        };
        let votes = self.block.consensus;
        if votes.vote(LayerId::Governance) != Vote::Agree {
            return votes;
        }
        let ruled = self.block.trace.iter().filter(flagged);
        ruled.fold(votes, |votes, entry| votes.with(entry.layer, Vote::Agree))
    }

    /// The components of the Routing ID as the evidence has them; none before Step 2.
    pub(super) fn components(&self) -> Option<RoutingComponents> {
        let block = &self.block;
        Some(RoutingComponents {
            intent: block.intent,
            objective: block.objective?,
            snapshot: block.snapshot,
            flags: block.flags,
            consensus: self.packaged?,
        })
    }

    pub(super) const fn flags(&self) -> SafetyFlags {
        self.block.flags.union(self.block.raised)
    }
}

/// What the Safety System is shown beside the route.
#[derive(Debug, Clone, Copy)]
pub struct SafetyView<'a> {
    /// The audience's state.
    pub state: State,
    /// Everything the session has read so far.
    pub context: &'a Label,
    /// Age of the oldest fact the intent relies on, in milliseconds.
    pub staleness_millis: u64,
}

/// Under what a route is received: who asks, as of which snapshot, under which rules.
#[derive(Debug, Clone, Copy)]
pub struct Reception<'a> {
    /// The session.
    pub session: &'a Session,
    /// The audience's state.
    pub state: State,
    /// The audience's class: 1 A, 2 B, 3 C, 0 not classified.
    pub class: u8,
    /// The current snapshot.
    pub snapshot: SnapshotId,
    /// The digest of everything it is decided under.
    pub pins: Digest,
    /// Standing votes from the session's last route.
    pub standing: Consensus,
    /// The time now; the route keeps it to its end.
    pub now: Timestamp,
    /// When a suspended route (correction, hard drift, HOLD) counts as denied (D-52).
    pub wait_until: Timestamp,
}

impl Route<layers::Received> {
    /// Takes in a submission. A malformed one is routed too: it will be Blocked,
    /// with evidence.
    pub fn receive(submission: Submission, reception: &Reception<'_>) -> Self {
        let session = reception.session;
        let block = Box::new(EvidenceBlock {
            verdict: Verdict::Deny,
            timestamp: reception.now,
            routing_id: None,
            intent: submission.digest(),
            objective: submission.intent().map(|intent| intent.objective().hash()),
            flags: SafetyFlags::NONE,
            raised: SafetyFlags::NONE,
            consensus: reception.standing,
            token: None,
            template: None,
            branch: None,
            module: None,
            mode: SafetyMode::Normal,
            subject: session.subject().clone(),
            principal: session.principal().clone(),
            kind: submission.intent().map(|intent| intent.kind().id.clone()),
            state: reception.state,
            class: reception.class,
            snapshot: reception.snapshot,
            pins: reception.pins,
            risk: Risk::ZERO,
            surprise: Risk::ZERO,
            drift: Drift::None,
            narrowing: Narrowing::default(),
            approval: None,
            backtrack: None,
            approver: None,
            wait_until: None,
            trace: Vec::with_capacity(LayerId::ALL.len()),
            salted: submission.intent().is_some_and(|intent| intent.salt().is_some()),
        });
        let core = Core {
            submission,
            wait_until: reception.wait_until,
            packaged: None,
            identity: IdentityFinding {
                strength: Risk::ZERO,
                anomaly: Risk::ZERO,
                because: Vec::new(),
            },
            safety: None,
            path: None,
            key: None,
            execution: None,
            output: None,
            block,
        };
        Self::at(Box::new(core))
    }

    /// Notes that the digest of what was submitted is salted, be it an intent or not.
    pub(super) fn mark_salted(&mut self) {
        self.core.block.salted = true;
    }
}

impl<P: Position> Route<P> {
    fn at(core: Box<Core>) -> Self {
        Self { core, place: PhantomData }
    }

    /// The submission.
    pub fn submission(&self) -> &Submission {
        &self.core.submission
    }

    /// The evidence so far.
    pub fn evidence(&self) -> &EvidenceBlock {
        &self.core.block
    }

    /// Takes up a route that Governance sent back.
    pub(super) fn resume(core: Box<Core>) -> Self {
        Self::at(core)
    }

    /// What the Identity System found; nothing before Step 1 is passed.
    pub fn identity(&self) -> &IdentityFinding {
        &self.core.identity
    }

    /// What the Safety System found, once Step 5 is passed.
    pub fn safety(&self) -> Option<&SafetyFinding> {
        self.core.safety.as_ref()
    }

    /// Age of the oldest fact the intent relies on, in milliseconds; 0 without one.
    pub fn staleness(&self, facts: &Facts) -> u64 {
        let Some(intent) = intent_of(&self.core) else { return 0 };
        let written = intent.reads().iter().filter_map(|read| facts.at(&read.key, read.version));
        written.map(|fact| self.core.block.timestamp.since(fact.written_at())).max().unwrap_or(0)
    }

    /// Step 1 (IRM-4.1): who asks, with which authority, in which session.
    ///
    /// # Errors
    /// [`IdentityBlocked`]: final for this submission.
    ///
    /// Requirements: IRM-3.3.1, IRM-4.1.1..IRM-4.1.4.
    pub fn identify<E>(
        mut self,
        engine: &E,
        session: &Session,
    ) -> Result<Route<layers::Identity>, IdentityBlocked>
    where
        P: Precedes<layers::Identity>,
        E: IdentityEngine + ?Sized,
    {
        let core = &mut *self.core;
        let finding = match &core.submission {
            Submission::Intent(intent) => {
                if intent.session() == session.id() {
                    engine.identify(&IdentityInput {
                        session,
                        subject: intent.subject(),
                        scope: Some(&intent.kind().scope),
                        now: core.block.timestamp,
                    })
                } else {
                    Err(Reason::new(ReasonCode::SessionBroken)
                        .detail(alloc::format!("the intent names session {}", intent.session())))
                }
            }
            Submission::Malformed(_) => engine.identify(&IdentityInput {
                session,
                subject: session.subject(),
                scope: None,
                now: core.block.timestamp,
            }),
        };
        match finding {
            Ok(finding) => {
                // Its reasons go into the trace, and nowhere else.
                core.identity.strength = finding.strength;
                core.identity.anomaly = finding.anomaly;
                core.note(LayerId::Identity, StepResult::Passed, finding.because);
                Ok(Route::at(self.core))
            }
            Err(reason) => {
                core.stop(LayerId::Identity, Verdict::Deny, alloc::vec![reason]);
                Err(IdentityBlocked::new(self.core))
            }
        }
    }

    /// Step 2 (IRM-4.2): structure, and the Routing ID.
    ///
    /// # Errors
    /// [`IntentBlocked`] (D-21): final for this submission; no package is made.
    ///
    /// Requirements: IRM-2.9, IRM-4.2.2..IRM-4.2.5.
    pub fn package<E>(
        mut self,
        engine: &E,
        catalogue: Digest,
    ) -> Result<Route<layers::Intent>, IntentBlocked>
    where
        P: Precedes<layers::Intent>,
        E: IntentEngine + ?Sized,
    {
        let core = &mut *self.core;
        let packaged = match &core.submission {
            Submission::Malformed(malformed) => Err(malformed.reason.clone()),
            Submission::Intent(intent) => {
                let input = PackageInput {
                    intent,
                    snapshot: core.block.snapshot,
                    consensus: core.block.consensus,
                    catalogue,
                };
                engine.package(&input).and_then(|package| faithful(&input, package))
            }
        };
        match packaged {
            Ok(package) => {
                core.block.routing_id = Some(package.id());
                core.block.flags = package.components().flags;
                core.packaged = Some(package.components().consensus);
                core.note(LayerId::Intent, StepResult::Passed, Vec::new());
                Ok(Route::at(self.core))
            }
            Err(reason) => {
                core.stop(LayerId::Intent, Verdict::Deny, alloc::vec![reason]);
                Err(IntentBlocked::new(self.core))
            }
        }
    }

    /// Step 3 (IRM-4.3): does it fit the audience. Soft drift goes on, flagged.
    ///
    /// # Errors
    /// [`DriftReferral`] (D-22): hard drift; Governance denies or authorizes a backtrack.
    ///
    /// Requirements: IRM-4.3.4, IRM-4.3.5.
    pub fn model<E>(
        mut self,
        engine: &E,
        profile: &E::Profile,
    ) -> Result<Route<layers::Modeling>, DriftReferral>
    where
        P: Precedes<layers::Modeling>,
        E: ModelingEngine + ?Sized,
    {
        let core = &mut *self.core;
        let Submission::Intent(intent) = &core.submission else {
            core.stop(LayerId::Modeling, Verdict::Deny, malformed());
            return Err(DriftReferral::new(self.core));
        };
        let flags = core.block.flags;
        let finding =
            engine.model(&ModelingInput { intent, flags, profile, now: core.block.timestamp });
        // A drift that Governance has already looked at is a flag it must rule on.
        let acknowledged = (core.block.trace.iter())
            .any(|e| e.layer == LayerId::Modeling && e.result == StepResult::Backtracked);
        let drift = match finding.drift {
            Drift::Hard if acknowledged => Drift::Soft,
            drift => drift,
        };
        core.block.drift = drift;
        core.block.surprise = finding.surprise;
        match drift {
            Drift::None => core.note(LayerId::Modeling, StepResult::Passed, finding.reasons),
            Drift::Soft => core.note(LayerId::Modeling, StepResult::Flagged, finding.reasons),
            Drift::Hard => {
                core.suspend(LayerId::Modeling, finding.reasons);
                return Err(DriftReferral::new(self.core));
            }
        }
        Ok(Route::at(self.core))
    }

    /// Step 4 (IRM-4.4): does it agree with what is remembered.
    ///
    /// # Errors
    /// [`MemoryHalt`]: Routing Halt with Correction Mode, which lists what to supply.
    ///
    /// Requirements: IRM-4.4.4, IRM-4.4.5.
    pub fn recall<E>(
        mut self,
        engine: &E,
        facts: &Facts,
    ) -> Result<Route<layers::Memory>, MemoryHalt>
    where
        P: Precedes<layers::Memory>,
        E: MemoryEngine + ?Sized,
    {
        let core = &mut *self.core;
        let Submission::Intent(intent) = &core.submission else {
            core.stop(LayerId::Memory, Verdict::Deny, malformed());
            return Err(MemoryHalt::new(self.core, Vec::new()));
        };
        let snapshot = core.block.snapshot;
        match engine.recall(&MemoryInput { intent, facts, snapshot, now: core.block.timestamp }) {
            Ok(finding) => {
                core.note(LayerId::Memory, StepResult::Passed, finding.reasons);
                Ok(Route::at(self.core))
            }
            Err(conflicts) => {
                let reasons = conflicts.iter().map(|c| c.reason.clone()).collect();
                core.suspend(LayerId::Memory, reasons);
                Err(MemoryHalt::new(self.core, conflicts))
            }
        }
    }

    /// Step 5 (IRM-4.5): what harm could come of it. A hold goes on to Governance,
    /// which asks a person; a narrowed intent goes on in Protected Mode.
    ///
    /// # Errors
    /// [`SafetyBlocked`]: the finding says whether the audience must escalate.
    ///
    /// Requirements: IRM-3.4.2, IRM-4.5.4..IRM-4.5.6, IRM-5.2.
    pub fn assess<E>(
        mut self,
        engine: &E,
        view: &SafetyView<'_>,
    ) -> Result<Route<layers::Safety>, SafetyBlocked>
    where
        P: Precedes<layers::Safety>,
        E: SafetyEngine + ?Sized,
    {
        let core = &mut *self.core;
        let Submission::Intent(intent) = &core.submission else {
            core.stop(LayerId::Safety, Verdict::Deny, malformed());
            return Err(SafetyBlocked::new(self.core));
        };
        let mut finding = engine.assess(&SafetyInput {
            intent,
            flags: core.block.flags,
            state: view.state,
            strength: core.identity.strength,
            anomaly: core.identity.anomaly,
            drift: core.block.drift,
            surprise: core.block.surprise,
            context: view.context,
            staleness_millis: view.staleness_millis,
            now: core.block.timestamp,
        });
        core.block.risk = finding.risk;
        core.block.raised = core.block.raised.union(finding.raised);
        let reasons = core::mem::take(&mut finding.reasons);
        let result = match &finding.decision {
            SafetyDecision::Allow => StepResult::Passed,
            SafetyDecision::Modify(narrowing) => {
                core.block.narrowing.absorb(narrowing.clone());
                StepResult::Narrowed
            }
            SafetyDecision::Hold => StepResult::Flagged,
            SafetyDecision::Block => {
                core.safety = Some(finding);
                core.stop(LayerId::Safety, Verdict::Deny, reasons);
                return Err(SafetyBlocked::new(self.core));
            }
        };
        core.safety = Some(finding);
        core.note(LayerId::Safety, result, reasons);
        Ok(Route::at(self.core))
    }

    /// The audience leaves for ESCALATED or HOLD because of what Step 5 found: the
    /// Safety System answers for every later layer, whatever its own answer would be
    /// (D-10).
    pub fn overridden(mut self, verdict: Verdict, reason: Reason) -> SafetyBlocked
    where
        P: Precedes<layers::Governance>,
    {
        let core = &mut *self.core;
        if let Some(entry) = core.block.trace.last_mut() {
            entry.result = StepResult::Stopped;
            entry.reasons.push(reason);
            // It had agreed before the audience's own state spoke.
            core.block.consensus = core.block.consensus.with(entry.layer, Vote::Dissent);
        }
        // Never looser than a stop.
        core.block.verdict = verdict.max(Verdict::Defer);
        if core.block.verdict == Verdict::Defer {
            core.block.wait_until = Some(core.wait_until);
        }
        SafetyBlocked::new(self.core)
    }

    /// The audience's mandated state and class, and what its matrix cell takes away,
    /// hold for the rest of the route (D-5).
    pub fn settle_audience(&mut self, state: State, class: u8, narrowing: Narrowing)
    where
        P: Precedes<layers::Governance>,
    {
        self.core.block.state = state;
        self.core.block.class = class;
        self.core.block.narrowing.absorb(narrowing);
    }

    /// Goes back to a layer that was already passed (D-25), which is then entered
    /// again. What was learnt in it and after it is dropped; the trace says so.
    ///
    /// # Errors
    /// The route and the reason, when the authorization is for another route, another
    /// layer, or too old. The authorization is spent.
    ///
    /// Requirements: IRM-2.8, IRM-7.4.
    pub fn backtrack<T>(
        self,
        authorization: crate::governance::BacktrackAuthorization,
    ) -> Result<Route<T::Before>, BacktrackRefused<P>>
    where
        T: Layer,
        P: Follows<T>,
    {
        match check_backtrack(&self.core, T::ID, authorization) {
            Ok(record) => Ok(Route::at(go_back(self.core, T::ID, record))),
            Err(reason) => Err(BacktrackRefused { route: self, reason }),
        }
    }
}

/// A backtrack that Governance did not authorize in this way. Gives the route back.
#[derive(Debug)]
pub struct BacktrackRefused<P: Position> {
    route: Route<P>,
    reason: Reason,
}

impl<P: Position> BacktrackRefused<P> {
    /// Why it was refused.
    pub const fn reason(&self) -> &Reason {
        &self.reason
    }

    /// The route, where it stood.
    pub fn into_route(self) -> Route<P> {
        self.route
    }
}

/// Checks and spends an authorization.
pub(super) fn check_backtrack(
    core: &Core,
    target: LayerId,
    authorization: crate::governance::BacktrackAuthorization,
) -> Result<Digest, Reason> {
    let refused = |why: &str| Reason::new(ReasonCode::TokenInvalid).detail(why);
    let Some(id) = core.block.routing_id else {
        return Err(refused("the route has no Routing ID yet"));
    };
    authorization.spend(id, target).map_err(|error| refused(&alloc::format!("{error}")))
}

/// At most [`REASONS`]: a trace must fit into a record, however much there is to say.
#[cold]
fn cut(reasons: &mut Vec<Reason>) {
    let left_out = (reasons.len() + 1).saturating_sub(REASONS);
    reasons.truncate(REASONS - 1);
    if let Some(last) = reasons.last() {
        let more = alloc::format!("and {left_out} more reasons");
        reasons.push(Reason::new(last.code).detail(more));
    }
}

/// Drops everything learnt in `target` and after it.
pub(super) fn go_back(mut core: Box<Core>, target: LayerId, record: Digest) -> Box<Core> {
    let reason = Reason::new(ReasonCode::BacktrackAuthorized)
        .detail(alloc::format!("under record {}", record.short()));
    let block = &mut core.block;
    block.backtrack = Some(record);
    block.trace.retain(|entry| entry.layer < target);
    for layer in LayerId::ALL.into_iter().filter(|layer| *layer >= target) {
        block.consensus = block.consensus.with(layer, Vote::Abstain);
    }
    block.trace.push(TraceEntry {
        layer: target,
        result: StepResult::Backtracked,
        reasons: alloc::vec![reason],
    });
    block.verdict = Verdict::Deny;
    if target <= LayerId::Pipeline {
        core.path = None;
        block.token = None;
        block.template = None;
        block.branch = None;
        block.module = None;
        block.mode = SafetyMode::Normal;
    }
    block.wait_until = None;
    if target <= LayerId::Governance {
        block.approval = None;
        block.approver = None;
    }
    if target <= LayerId::Safety {
        core.safety = None;
        block.risk = Risk::ZERO;
        block.raised = SafetyFlags::NONE;
        block.narrowing = Narrowing::default();
    }
    if target <= LayerId::Modeling {
        block.drift = Drift::None;
        block.surprise = Risk::ZERO;
    }
    if target <= LayerId::Intent {
        core.packaged = None;
        block.routing_id = None;
        block.flags = SafetyFlags::NONE;
    }
    core
}

/// A package whose components are those of this route (D-23). An engine may raise flags; it
/// cannot drop one of the kind's, or speak of another intent.
fn faithful(input: &PackageInput<'_>, package: RoutingPackage) -> Result<RoutingPackage, Reason> {
    let (intent, found) = (input.intent, package.components());
    let holds = found.intent == intent.hash()
        && found.objective == intent.objective().hash()
        && found.snapshot == input.snapshot
        && found.flags.contains(intent.kind().flags)
        && found.consensus == input.consensus.with(LayerId::Intent, Vote::Agree);
    if holds {
        Ok(package)
    } else {
        let detail = "the package's components are not those of the route";
        Err(Reason::new(ReasonCode::RoutingIdMismatch).detail(detail))
    }
}

pub(super) fn malformed() -> Vec<Reason> {
    alloc::vec![Reason::new(ReasonCode::IntentMalformed)]
}

impl<P: Position> fmt::Debug for Route<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route")
            .field("at", &P::NAME)
            .field("intent", &self.core.block.intent)
            .finish_non_exhaustive()
    }
}

/// The intent of a route that is past Step 2.
pub(super) fn intent_of(core: &Core) -> Option<&Intent> {
    core.submission.intent()
}

#[cfg(test)]
mod tests;
