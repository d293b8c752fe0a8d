//! The run-time driver: walks the typed path, and nothing else does.
//!
//! `Router` is generic over the eight engines, the store and the clock. It adds no
//! rule of its own: each step is the verb of [`Route`](crate::routing::Route), each state change is one of
//! the audience's fifteen edges, and each record goes through the ledger. What it
//! does is order: evidence before effect, one route of a session after another, the
//! audience's mandated move in the same commit as the evidence it follows from.
//!
//! Requirements: IRM-6.12, IRM-7.4, IRM-8.2.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;

use crate::audience::any::{MoveError, ReplayError};
use crate::audience::causes::RestrictionThreshold;
use crate::audience::classifier::Classifier;
use crate::audience::gate::Gate;
use crate::audience::matrix::Matrix;
use crate::audience::state::State;
use crate::commitment::Salts;
use crate::digest::Digest;
use crate::encode::{DecodeError, Encode};
use crate::execution::Output;
use crate::governance::{ReviewError, TokenMint};
use crate::id::{Name, PrincipalId, Subsystem};
use crate::identity::Session;
use crate::intent::Submission;
use crate::memory::FactsError;
use crate::risk::Risk;
use crate::routing::desk::Desk;
use crate::routing::engines::Engines;
use crate::routing::evidence::{EvidenceBlock, Outcome};
use crate::routing::payloads::PayloadError;
use crate::routing::pins::{Pins, PolicyFiles, PolicyPinned};
use crate::routing::stop::Stop;
use crate::routing::table::RoutingTable;
use crate::ssot::ledger::{Ledger, LedgerError};
use crate::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
use crate::ssot::store::{AppendError, Batch, Store, StoreError};
use crate::ssot::verify::{VerifyError, verify_stream};
use crate::time::{Clock, Timestamp};
use crate::verdict::{Reason, Verdict};

pub use acts::Decided;
#[cfg(feature = "std")]
pub(super) use again::Again;
pub use forget::Forgotten;
pub use snapshots::{SnapshotError, SnapshotReport};

mod acts;
#[cfg(feature = "std")]
mod again;
mod attempt;
mod contested;
mod forget;
mod history;
mod linked;
mod mandate;
mod open;
mod settle;
mod snapshots;

/// Everything a router decides under, beside what its engines hold.
#[derive(Debug)]
pub struct Rules {
    /// The digest of the catalogue in force.
    pub catalogue: Digest,
    /// The Routing Table.
    pub table: RoutingTable,
    /// The Classifier.
    pub classifier: Classifier,
    /// The Audience Matrix.
    pub matrix: Matrix,
    /// Risk above this restricts an audience (D-8).
    pub threshold: RestrictionThreshold,
    /// Identity strength from which on an identity counts as validated (ASM2-3.3).
    pub validated_strength: Risk,
    /// Mints clearances.
    pub gate: Gate,
    /// Mints Routing Approval Tokens.
    pub mint: TokenMint,
    /// How long a token lives, in milliseconds.
    pub token_millis: u64,
    /// The role that releases, reviews and authorizes (ASM2-10.6..ASM2-10.8).
    pub governor: Name,
    /// How long a governance decision is good for, in milliseconds.
    pub decision_millis: u64,
    /// The digests of all of this and of the engines' own rules.
    pub pins: Pins,
    /// The files all of this was read from: kept in the log when the set is pinned. Empty
    /// for a set composed in code.
    pub files: PolicyFiles,
}

/// Routes intents. Shared by reference between threads where its parts allow it.
#[derive(Debug)]
pub struct Router<E, S, C> {
    engines: E,
    rules: Rules,
    ledger: Ledger<S>,
    clock: C,
    policy_stream: StreamId,
    policy: Head,
    salts: Option<Salts>,
}

/// What came of a submission.
#[derive(Debug)]
#[must_use = "the verdict says whether anything was done"]
pub struct Routed {
    /// The verdict (D-52).
    pub verdict: Verdict,
    /// The evidence block.
    pub evidence: Box<EvidenceBlock>,
    /// The digest of the record that holds it: the Audit Hash.
    pub record: Digest,
    /// Its place in the global log.
    pub index: u64,
    /// How the effect ended, where there was one.
    pub outcome: Option<Outcome>,
    /// What the module gave back.
    pub output: Option<Output>,
    /// The terminal's own follow-up, where the route ended before its effect.
    pub follow_up: Option<FollowUp>,
    /// The audience's state before and after, where it changed.
    pub moved: Option<(State, State)>,
}

/// What the caller can do about a route that ended before its effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FollowUp {
    /// An approver of this role may decide until then.
    Approval(crate::governance::ApprovalRequest),
    /// Correction Mode: what disagrees.
    Correction(Vec<crate::memory::MemoryConflict>),
    /// Something is missing until then.
    Supply {
        /// What.
        missing: Box<str>,
        /// Until when.
        until: Timestamp,
    },
    /// Hard drift: Governance may authorize a backtrack.
    Drift,
}

/// Why a submission could not be routed at all. Nothing was executed, except where
/// [`RouterError::OutcomeNotRecorded`] says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RouterError {
    /// Another route of this session is open: routes of one session follow each other
    /// (IRM-7.5, D-26, D-51). Transient. Or the very same intent was routed to an effect
    /// elsewhere while this attempt was decided, and the store refused the second.
    #[error(
        "another route of session `{session}` came first{}",
        if *.same_intent { ": it is the same intent" } else { "" }
    )]
    Parallel {
        /// The session.
        session: crate::id::SessionId,
        /// The evidence of the open route.
        evidence: Digest,
        /// Whether it is for the same intent.
        same_intent: bool,
    },
    /// The log kept moving while the route was decided, again and again. Transient.
    #[error("the log moved on {attempts} times while the intent was routed")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// The evidence could not be made durable, or not surely: nothing was executed
    /// (D-27). Where the store cannot tell, the session may have an open route now, which
    /// [`Router::settle`] closes.
    #[error("the evidence has no receipt, nothing was executed: {0}")]
    EvidenceNotRecorded(#[source] LedgerError),
    /// The effect was carried out, or may have been, and its outcome could not be
    /// recorded: it is unknown until the session is settled.
    #[error("the outcome of {evidence} was not recorded, it is unknown until replay: {source}")]
    OutcomeNotRecorded {
        /// The evidence of the route.
        evidence: Digest,
        /// Why not.
        #[source]
        source: LedgerError,
    },
    /// The policy set is another than the one in force. Adopt it, by a governed act.
    #[error("the policy set changed ({}), and nobody adopted it", names(.changed))]
    PolicyChanged {
        /// The digest in force.
        expected: Digest,
        /// The digest of the set at hand.
        found: Digest,
        /// The parts that differ.
        changed: Vec<Name>,
    },
    /// The session's stream is not what the session says.
    #[error("session `{session}` was opened before: resume it, or open another")]
    SessionExists {
        /// The session.
        session: crate::id::SessionId,
    },
    /// The session was never opened here, or was opened with other claims.
    #[error("session `{session}` is not what the log says was opened")]
    SessionUnknown {
        /// The session.
        session: crate::id::SessionId,
    },
    /// A governed act was asked for by somebody who may not.
    #[error("`{principal}` may not decide as `{role}`: {reason}")]
    NotAuthorized {
        /// The role.
        role: Name,
        /// Who asked.
        principal: PrincipalId,
        /// Why not.
        reason: Reason,
    },
    /// A decision cannot be taken or used.
    #[error(transparent)]
    Review(#[from] ReviewError),
    /// The table has no such transition (D-3). Recorded, with its constitutional check.
    #[error("{refusal}; the audience is in {state}")]
    Refused {
        /// What was asked for and what is legal.
        refusal: Box<str>,
        /// The state after the check.
        state: State,
    },
    /// A governed act does not fit the audience's state, or the subject.
    #[error("{0}")]
    Act(Box<str>),
    /// An audience could not be moved as mandated.
    #[error("the audience cannot be moved: {0}")]
    Move(#[from] MoveError),
    /// The log does not verify.
    #[error("the log does not verify: {0}")]
    Verify(#[from] VerifyError),
    /// A subject's lineage does not replay.
    #[error("the lineage does not replay: {0}")]
    Replay(#[from] Box<ReplayError>),
    /// A subject's facts do not replay.
    #[error("the facts do not replay: {0}")]
    Facts(#[from] FactsError),
    /// A record's body cannot be read.
    #[error("record {index} cannot be read: {source}")]
    Body {
        /// Its place in the global log.
        index: u64,
        /// Why not.
        source: DecodeError,
    },
    /// The store failed while reading.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is kept of a route is not what its evidence names.
    #[error(transparent)]
    Payload(#[from] PayloadError),
    /// A record other than evidence or outcome could not be written.
    #[error("not recorded: {0}")]
    Ledger(#[from] LedgerError),
}

fn names(names: &[Name]) -> alloc::string::String {
    names.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}

/// How often a route is re-evaluated on a newer snapshot before the caller is told.
const ATTEMPTS: u32 = 8;

/// The name of the stream on which policy sets are pinned.
pub(super) const POLICY: &str = "policy";

impl<E: Engines, S: Store, C: Clock> Router<E, S, C> {
    /// A router under the policy set in force. On an empty log the set is pinned as
    /// the first one, by `operator`.
    ///
    /// # Errors
    /// [`RouterError::PolicyChanged`] when the log says that another set is in force;
    /// [`Router::adopt`] changes that.
    pub fn new(
        engines: E,
        rules: Rules,
        store: S,
        clock: C,
        operator: PrincipalId,
    ) -> Result<Self, RouterError> {
        let mut router = Self::unpinned(engines, rules, store, clock)?;
        match router.pinned()? {
            None => router.pin(operator, Head::EMPTY)?,
            Some((in_force, head)) if in_force.digest() == router.rules.pins.digest() => {
                router.policy = head;
            }
            Some((in_force, _)) => {
                return Err(RouterError::PolicyChanged {
                    expected: in_force.digest(),
                    found: router.rules.pins.digest(),
                    changed: in_force.changed(&router.rules.pins),
                });
            }
        }
        Ok(router)
    }

    /// A router that puts its policy set into force, by a recorded act of a governor
    /// (D-24): a person who holds [`Rules::governor`] of the set at hand. Routes that
    /// other routers decide under the old set halt at their commit; what is recorded
    /// stays as it was decided.
    ///
    /// # Errors
    /// [`RouterError::NotAuthorized`] and [`RouterError::Review`] when `by` may not;
    /// [`RouterError::Ledger`] when it could not be recorded.
    pub fn adopt(
        engines: E,
        rules: Rules,
        store: S,
        clock: C,
        by: &Session,
    ) -> Result<Self, RouterError> {
        let mut router = Self::unpinned(engines, rules, store, clock)?;
        let _standing = router.may_decide(by, &router.rules.governor)?;
        let principal = by.principal().clone();
        match router.pinned()? {
            Some((in_force, head)) if in_force.digest() == router.rules.pins.digest() => {
                router.policy = head;
            }
            Some((_, head)) => router.pin(principal, head)?,
            None => router.pin(principal, Head::EMPTY)?,
        }
        Ok(router)
    }

    fn unpinned(engines: E, rules: Rules, store: S, clock: C) -> Result<Self, RouterError> {
        let (ledger, policy_stream, policy) = (Ledger::new(store), policy_stream()?, Head::EMPTY);
        Ok(Self { engines, rules, ledger, clock, policy_stream, policy, salts: None })
    }

    fn pinned(&self) -> Result<Option<(Pins, Head)>, RouterError> {
        let records = verify_stream(self.store(), &self.policy_stream)?;
        let last = records.iter().rfind(|record| record.kind() == RecordKind::PolicyPinned);
        let Some((record, end)) = last.zip(records.last()) else { return Ok(None) };
        let pinned: PolicyPinned = read(record)?;
        Ok(Some((pinned.pins, end.head())))
    }

    fn pin(&mut self, by: PrincipalId, after: Head) -> Result<(), RouterError> {
        let stream = self.policy_stream.clone();
        let files = self.rules.files.named();
        let body = PolicyPinned { by, pins: self.rules.pins.clone(), files }.to_canonical();
        let draft =
            Draft::new(stream.clone(), RecordKind::PolicyPinned, Subsystem::Governance, body);
        let mut batch = Batch::new(self.clock.now()).expect(stream.clone(), after).append(draft);
        for (digest, part) in self.rules.files.payloads() {
            batch.push_payload(digest, part);
        }
        let receipt = self.ledger.commit(batch)?;
        self.policy = receipt.head(&stream).unwrap_or(after);
        Ok(())
    }

    /// The same router, which salts the payloads of every subject: evidence then holds
    /// commitments that tell nothing of a field that is withheld or erased
    /// ([`crate::commitment`]). A subject's key is drawn with its first route and kept in the
    /// store; a subject that has one is salted by every router.
    #[must_use]
    pub fn salted(mut self, salts: Salts) -> Self {
        self.salts = Some(salts);
        self
    }

    /// The store.
    pub const fn store(&self) -> &S {
        self.ledger.store()
    }

    /// The rules.
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    /// The engines.
    pub const fn engines(&self) -> &E {
        &self.engines
    }

    /// Ends the router and gives back the store.
    pub fn into_store(self) -> S {
        self.ledger.into_store()
    }

    /// Routes one submission to its end: evidence, effect, outcome. When the log moves
    /// on before the evidence is durable, the route halts and is re-evaluated on the
    /// new snapshot (IRM-5.1).
    ///
    /// # Errors
    /// [`RouterError`]. A refusal by a layer is no error but a [`Routed`] verdict.
    pub fn route(
        &self,
        desk: &mut Desk<Profile<E>>,
        submission: Submission,
    ) -> Result<Routed, RouterError> {
        let mut submission = submission;
        if desk.open_route().is_some() {
            // Another process may have ended it since.
            desk.live = None;
        }
        let mut start: Option<Head> = None;
        let mut salted = false;
        for _ in 0..ATTEMPTS {
            let mut live = self.take_live(desk)?;
            if !salted && let Some(key) = &live.key {
                submission = submission.salted(key);
                salted = true;
            }
            let since = *start.get_or_insert(live.routing);
            if let Some(open) = &live.open {
                let error = RouterError::Parallel {
                    session: desk.session.id().clone(),
                    evidence: open.evidence,
                    same_intent: open.block.intent == submission.digest(),
                };
                desk.live = Some(live);
                return Err(error);
            }
            if since != live.routing
                && let Some(evidence) = self.overtaken(&desk.session, since, submission.digest())?
            {
                let session = desk.session.id().clone();
                desk.live = Some(live);
                return Err(RouterError::Parallel { session, evidence, same_intent: true });
            }
            let Desk { session, streams, pads, .. } = desk;
            match self.attempt(session, streams, pads, &mut live, submission)? {
                attempt::Attempt::Done(routed) => {
                    desk.session.saw(routed.evidence.timestamp);
                    desk.live = Some(live);
                    return Ok(routed);
                }
                attempt::Attempt::Moved(again) => {
                    // What is known stays known: only what is new is read.
                    self.catch_up(&desk.streams, &mut live)?;
                    desk.live = Some(live);
                    submission = again;
                }
                attempt::Attempt::MovedAhead(again) => submission = again,
            }
        }
        Err(RouterError::Contended { attempts: ATTEMPTS })
    }

    /// The walk of [`Router::route`] up to the evidence, for callers that want each
    /// terminal as its own type. Nothing is recorded or executed.
    ///
    /// # Errors
    /// [`Stop`] with the terminal; [`RouterError`] when the log cannot be read.
    pub fn consider(
        &self,
        desk: &mut Desk<Profile<E>>,
        submission: Submission,
    ) -> Result<Result<EvidenceBlock, Stop>, RouterError> {
        let live = self.take_live(desk)?;
        let submission = match &live.key {
            Some(key) => submission.salted(key),
            None => submission,
        };
        let walked = self.walk(&desk.session, &live, submission, Vec::new());
        desk.live = Some(live);
        Ok(walked.result.map(|sealed| sealed.evidence().clone()))
    }
}

/// What the modeling engine of a bundle remembers.
pub type Profile<E> = <<E as Engines>::Modeling as crate::modeling::ModelingEngine>::Profile;

pub(super) fn policy_stream() -> Result<StreamId, RouterError> {
    let name = Name::new(POLICY).map_err(|error| RouterError::Act(error.to_string().into()))?;
    Ok(StreamId::new(StreamKind::Policy, name))
}

fn read<T: crate::encode::Decode>(record: &crate::ssot::record::Record) -> Result<T, RouterError> {
    record.read().map_err(|source| RouterError::Body { index: record.index(), source })
}

/// Whether a commit failed because a stream's head moved.
const fn moved(error: &LedgerError) -> bool {
    matches!(error, LedgerError::Append(AppendError::Conflict { .. }))
}

/// Keeps what a hash stands for, beside the chain.
fn keep(batch: &mut Batch, submission: &Submission) {
    if let Some(intent) = submission.intent() {
        batch.push_payload(intent.hash(), intent.kept());
        batch.push_payload(intent.objective().hash(), intent.objective().kept());
    }
}
