//! Governed acts: facts, approvals, releases, reviews, authorizations.
//!
//! Each act is decided by a person who holds the role, is recorded first, and is then
//! what the audience's own verb consumes: nothing here moves an audience by itself.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::mandate::{Moving, authority};
use super::{ATTEMPTS, Profile, Router, RouterError, read};
use crate::audience::any::{AnyAudience, Change, Refused};
use crate::audience::causes::{DowngradeCause, HoldTrigger};
use crate::audience::evidence::{GovernanceApproval, GovernanceAuthorization, GovernanceReview};
use crate::audience::state::State;
use crate::audience::states::{Escalated, Hold, Privileged};
use crate::audience::table::{Edge, Way, edge};
use crate::audience::typed::{Audience, Transition};
use crate::digest::Digest;
use crate::encode::Encode;
use crate::governance::{
    GovernanceDecision, GovernanceEngine, KernelInput, Matter, ReviewError, Sitting,
};
use crate::id::{LayerId, Name, PrincipalId, SessionId, SubjectId, Subsystem};
use crate::identity::{IdentityEngine, IdentityInput, PrincipalKind, Session};
use crate::memory::NewFact;
use crate::provenance::Label;
use crate::routing::desk::Desk;
use crate::routing::engines::Engines;
use crate::routing::evidence::EvidenceBlock;
use crate::ssot::record::{Draft, Record, RecordKind, StreamId, StreamKind};
use crate::ssot::store::{Batch, Store};
use crate::ssot::verify::verify_stream;
use crate::time::{Clock, Timestamp};
use crate::verdict::{CapabilityTier, Drift, Reason, ReasonCode, SafetyFlags, Verdict};

/// A decision and the digest of the record that holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided {
    /// The decision.
    pub decision: GovernanceDecision,
    /// The record's digest.
    pub record: Digest,
}

impl<E: Engines, S: Store, C: Clock> Router<E, S, C> {
    /// Records a fact of the desk's subject. Routes that were decided on the snapshot
    /// before halt at their commit and are re-evaluated.
    ///
    /// # Errors
    /// [`RouterError::Facts`] when a bound of the facts is reached: nothing is recorded;
    /// [`RouterError::Ledger`] when another writer was faster: the desk reads again.
    pub fn remember(&self, desk: &mut Desk<Profile<E>>, fact: NewFact) -> Result<u64, RouterError> {
        let mut live = self.take_live(desk)?;
        if live.audience.state() == State::Escalated {
            // D-10: every call on the subject gets the Safety System's answer.
            desk.live = Some(live);
            return Err(RouterError::Act("the audience is ESCALATED: nothing is recorded".into()));
        }
        let now = self.clock.now();
        let streams = &desk.streams;
        let record = live.facts.record(fact);
        // A record that the facts do not take would end every later replay of them.
        if let Err(error) = live.facts.admits(&record) {
            desk.live = Some(live);
            return Err(error.into());
        }
        let draft = record.draft(desk.session.subject());
        let batch = Batch::new(now)
            .expect(streams.memory.clone(), live.facts.head())
            .expect(streams.audience.clone(), live.audience.head())
            .append(draft);
        let receipt = self.ledger.commit(batch)?;
        for record in receipt.records() {
            live.facts.apply(record)?;
        }
        let version = record.version;
        desk.live = Some(live);
        Ok(version)
    }

    /// A person's answer to the route of `session` whose evidence is in `record` and that
    /// was stepped up: for exactly its intent, good for
    /// [`super::Rules::decision_millis`], used once. What was asked, of whom and by whom is
    /// read from the log.
    ///
    /// # Errors
    /// [`RouterError::NotAuthorized`] when the approver's session does not hold;
    /// [`RouterError::Review`] when the answer is too late, the asker's own, not a
    /// person's, or given without the role.
    pub fn approve(
        &self,
        approver: &Session,
        session: &SessionId,
        record: Digest,
        granted: bool,
        note: &str,
    ) -> Result<Decided, RouterError> {
        let (stepped_up, latest) = self.asked(session, record)?;
        let (Verdict::StepUp, Some(role), Some(until)) =
            (stepped_up.verdict, &stepped_up.approver, stepped_up.wait_until)
        else {
            return Err(RouterError::Act("the route asks for no approval".into()));
        };
        self.in_time(&stepped_up, until, latest)?;
        let matter =
            Matter::Approval { intent: stepped_up.intent, requester: stepped_up.principal.clone() };
        self.decide(
            approver,
            &stepped_up.subject,
            &stepped_up.principal,
            role,
            matter,
            granted,
            note,
        )
    }

    /// Governance authorizes a route with hard drift to be modelled again (D-22, D-25).
    /// Its intent, submitted again unchanged as the session's next, then goes on with the
    /// drift as a flag that the rules must rule on.
    ///
    /// # Errors
    /// [`RouterError::Act`] when the route did not end in hard drift; otherwise as
    /// [`Router::approve`].
    pub fn authorize_backtrack(
        &self,
        governor: &Session,
        session: &SessionId,
        record: Digest,
        note: &str,
    ) -> Result<Decided, RouterError> {
        let (referred, latest) = self.asked(session, record)?;
        let (Drift::Hard, Verdict::Defer, Some(route), Some(until)) =
            (referred.drift, referred.verdict, referred.routing_id, referred.wait_until)
        else {
            return Err(RouterError::Act("the route was not referred for hard drift".into()));
        };
        self.in_time(&referred, until, latest)?;
        // The route was referred to Governance (D-22); it goes back from there.
        let (from, target) = (LayerId::Governance, LayerId::Modeling);
        let matter = Matter::Backtrack { route, from, target };
        let role = &self.rules.governor;
        self.decide(governor, &referred.subject, &referred.principal, role, matter, true, note)
    }

    /// Suspends a subject: the shortest legal restrictive path to HOLD, each edge on
    /// record, in one commit (D-6). For the triggers a host or Governance knows of: a
    /// governance flag, subsystems in conflict, an identity or a lineage in doubt
    /// (ASM2-8.1..ASM2-8.4). Restricting needs nobody's permission; from PRIVILEGED,
    /// which only an authorization leaves otherwise, the subject escalates (D-2).
    ///
    /// # Errors
    /// [`RouterError::Move`] from INIT, and where the subject is suspended already.
    pub fn suspend(&self, subject: &SubjectId, trigger: HoldTrigger) -> Result<State, RouterError> {
        let suspended = self.audience(subject)?.suspend(trigger, None, self.clock.now());
        self.settle_change(suspended.map_err(|not_moved| not_moved.into_parts().1)?)
    }

    /// Governance approves that a subject leaves HOLD, for BASE or RESTRICTED
    /// (ASM2-8.5, ASM2-8.6).
    ///
    /// # Errors
    /// [`RouterError::Act`] when the subject is not in HOLD; otherwise as
    /// [`Router::approve`].
    pub fn release(
        &self,
        governor: &Session,
        subject: &SubjectId,
        to: State,
        note: &str,
    ) -> Result<State, RouterError> {
        let row = row(State::Hold, to)?;
        let matter = Matter::HoldRelease { subject: subject.clone(), to };
        let AnyAudience::Hold(audience) = self.audience(subject)? else {
            return Err(self.not_in(subject, State::Hold)?);
        };
        let decided = self.govern(governor, subject, matter, note)?;
        self.settle_change(released(audience, row, &decided, self.clock.now())?)
    }

    /// Governance has reviewed an escalation: the subject moves to HOLD (ASM2-4.9).
    ///
    /// # Errors
    /// As [`Router::release`].
    pub fn review(
        &self,
        governor: &Session,
        subject: &SubjectId,
        note: &str,
    ) -> Result<State, RouterError> {
        let row = row(State::Escalated, State::Hold)?;
        let matter = Matter::EscalationReview { subject: subject.clone() };
        let AnyAudience::Escalated(audience) = self.audience(subject)? else {
            return Err(self.not_in(subject, State::Escalated)?);
        };
        let decided = self.govern(governor, subject, matter, note)?;
        self.settle_change(reviewed(audience, row, &decided, self.clock.now())?)
    }

    /// Governance authorizes that a subject leaves PRIVILEGED for a downgrade cause
    /// (D-2).
    ///
    /// # Errors
    /// As [`Router::release`].
    pub fn downgrade_privileged(
        &self,
        governor: &Session,
        subject: &SubjectId,
        cause: DowngradeCause,
        note: &str,
    ) -> Result<State, RouterError> {
        let row = row(State::Privileged, State::Verified)?;
        let matter = Matter::PrivilegedExit { subject: subject.clone() };
        let AnyAudience::Privileged(audience) = self.audience(subject)? else {
            return Err(self.not_in(subject, State::Privileged)?);
        };
        let decided = self.govern(governor, subject, matter, note)?;
        self.settle_change(lowered(audience, row, cause, &decided, self.clock.now())?)
    }

    /// Asks for a transition by name. What the table does not have is refused: the
    /// state stays, a constitutional check runs on the subject at once, and both are
    /// recorded; a violation escalates (D-3). What it has is told, not taken: its verb
    /// needs its evidence.
    ///
    /// # Errors
    /// [`RouterError::Refused`] with the refusal's own words.
    pub fn request(
        &self,
        desk: &mut Desk<Profile<E>>,
        to: State,
        way: Way,
    ) -> Result<&'static Edge, RouterError> {
        for _ in 1..ATTEMPTS {
            match self.request_once(desk, to, way) {
                // The audience moved meanwhile: the answer is for where it is now.
                Err(RouterError::Ledger(error)) if super::moved(&error) => {}
                done => return done,
            }
        }
        self.request_once(desk, to, way)
    }

    fn request_once(
        &self,
        desk: &mut Desk<Profile<E>>,
        to: State,
        way: Way,
    ) -> Result<&'static Edge, RouterError> {
        let mut live = self.take_live(desk)?;
        match super::mandate::take(&mut live)?.request(to, way) {
            Ok((audience, row)) => {
                live.audience = audience;
                desk.live = Some(live);
                Ok(row)
            }
            Err(refused) => {
                let words = refused.to_string();
                let context = live.short_term.context();
                let state = self.refuse(&desk.session, context, refused, to)?;
                Err(RouterError::Refused { refusal: words.into(), state })
            }
        }
    }

    /// The constitutional check that a refusal sets off, and the record of both (D-3).
    pub(super) fn refuse(
        &self,
        session: &Session,
        context: &Label,
        refused: Refused,
        to: State,
    ) -> Result<State, RouterError> {
        let privileged = to == State::Privileged;
        let kernel = self.engines.governance().kernel(&KernelInput {
            state: refused.state(),
            flags: if privileged { SafetyFlags::PRIVILEGED } else { SafetyFlags::NONE },
            tier: if privileged { CapabilityTier::Privileged } else { CapabilityTier::Observe },
            authority: authority(session),
            risk: crate::risk::Risk::ZERO,
            label: context,
            lineage_intact: true,
        });
        self.settle_change(refused.checked(&kernel))
    }

    /// A subject's audience, by verified replay from its last snapshot on.
    ///
    /// # Errors
    /// [`RouterError::Verify`], [`RouterError::Replay`].
    pub fn audience(&self, subject: &SubjectId) -> Result<AnyAudience, RouterError> {
        Ok(self.restored(subject)?.0)
    }

    /// The evidence block that a record of this digest holds, on a session's stream.
    ///
    /// # Errors
    /// [`RouterError::Act`] when the session has no such route.
    pub fn evidence(
        &self,
        session: &SessionId,
        record: Digest,
    ) -> Result<EvidenceBlock, RouterError> {
        let stream = StreamId::new(StreamKind::Routing, session.name().clone());
        let records = verify_stream(self.store(), &stream)?;
        let found =
            records.iter().find(|r| r.digest() == record && r.kind() == RecordKind::EvidenceBlock);
        match found {
            Some(record) => read(record),
            None => Err(RouterError::Act(
                alloc::format!("session `{session}` has no route {}", record.short()).into(),
            )),
        }
    }

    /// The evidence block of this digest, and when the session's last route was recorded.
    fn asked(
        &self,
        session: &SessionId,
        record: Digest,
    ) -> Result<(EvidenceBlock, Timestamp), RouterError> {
        let block = self.evidence(session, record)?;
        let stream = StreamId::new(StreamKind::Routing, session.name().clone());
        let latest = verify_stream(self.store(), &stream)?.iter().map(Record::timestamp).max();
        Ok((block, latest.unwrap_or_default()))
    }

    /// Whether an answer comes in time: after the question, and before its end, as far as
    /// the clock and the session's own records know. A clock that went back gives no
    /// question a longer life.
    fn in_time(
        &self,
        asked: &EvidenceBlock,
        until: Timestamp,
        latest: Timestamp,
    ) -> Result<(), RouterError> {
        let now = self.clock.now();
        if now < asked.timestamp {
            return Err(ReviewError::TooEarly { asked_at: asked.timestamp, found: now }.into());
        }
        let found = now.max(latest);
        if found >= until {
            return Err(ReviewError::TooLate { expires_at: until, found }.into());
        }
        Ok(())
    }

    fn not_in(&self, subject: &SubjectId, expected: State) -> Result<RouterError, RouterError> {
        let found = self.audience(subject)?.state();
        Ok(RouterError::Act(
            alloc::format!("expected `{subject}` in {expected}, found it in {found}").into(),
        ))
    }

    pub(super) fn govern(
        &self,
        governor: &Session,
        subject: &SubjectId,
        matter: Matter,
        note: &str,
    ) -> Result<Decided, RouterError> {
        // Whose standing it is about must not decide on it.
        let requester = PrincipalId::from(subject.name().clone());
        let role = &self.rules.governor;
        self.decide(governor, subject, &requester, role, matter, true, note)
    }

    /// Whether somebody may decide in this role: a person whose session holds it and whose
    /// own audience, which is given back, is not suspended (D-10).
    pub(super) fn may_decide(
        &self,
        decider: &Session,
        role: &Name,
    ) -> Result<AnyAudience, RouterError> {
        let now = self.clock.now();
        let identified = self.engines.identity().identify(&IdentityInput {
            session: decider,
            subject: decider.subject(),
            scope: Some(role),
            now,
        });
        if let Err(reason) = identified {
            return Err(RouterError::NotAuthorized {
                role: role.clone(),
                principal: decider.principal().clone(),
                reason,
            });
        }
        // Nobody who is suspended decides for others (D-10).
        let standing = self.audience(decider.subject())?;
        let suspended = match standing.state() {
            State::Escalated => Some(ReasonCode::AudienceEscalated),
            State::Hold => Some(ReasonCode::AudienceHeld),
            _ => None,
        };
        if let Some(code) = suspended {
            return Err(RouterError::NotAuthorized {
                role: role.clone(),
                principal: decider.principal().clone(),
                reason: Reason::new(code),
            });
        }
        if decider.kind() != PrincipalKind::Human {
            let (decider, found) = (decider.principal().clone(), decider.kind().name());
            return Err(ReviewError::NotAPerson { decider, found }.into());
        }
        Ok(standing)
    }

    #[expect(clippy::too_many_arguments, reason = "each is a fact of the record")]
    fn decide(
        &self,
        decider: &Session,
        subject: &SubjectId,
        requester: &PrincipalId,
        role: &Name,
        matter: Matter,
        granted: bool,
        note: &str,
    ) -> Result<Decided, RouterError> {
        let now = self.clock.now();
        let standing = self.may_decide(decider, role)?;
        let sitting = Sitting {
            requester,
            role,
            policy: self.engines.governance().policy(),
            now,
            valid_millis: self.rules.decision_millis,
        };
        let decision = sitting.decide(matter, &authority(decider), granted, note)?;
        let stream = StreamId::new(StreamKind::Governance, subject.name().clone());
        let draft = Draft::new(
            stream.clone(),
            RecordKind::GovernanceDecision,
            Subsystem::Governance,
            decision.to_canonical(),
        );
        let head = self.store().head(&stream)?;
        let of_decider = StreamId::new(StreamKind::Audience, decider.subject().name().clone());
        let batch =
            Batch::new(now).expect(stream, head).expect(of_decider, standing.head()).append(draft);
        let receipt = self.ledger.commit(batch)?;
        let record = receipt.digests().next().unwrap_or(Digest::ZERO);
        Ok(Decided { decision, record })
    }

    /// Commits a change of an audience and gives the state it led to.
    pub(super) fn settle_change(&self, change: Change) -> Result<State, RouterError> {
        let moving = Moving::Changes(change);
        let mut batch = Batch::new(self.clock.now());
        let drafts = moving.drafts(Subsystem::Governance);
        let streams: Vec<_> = drafts.first().map(|d| d.stream().clone()).into_iter().collect();
        for stream in streams {
            batch = batch.expect(stream, moving.expected_head());
        }
        for draft in drafts {
            batch = batch.append(draft);
        }
        let receipt = self.ledger.commit(batch)?;
        let settled = moving.confirm(&receipt)?;
        settled
            .map(|audience| audience.state())
            .ok_or_else(|| RouterError::Act("nothing changed".into()))
    }
}

/// What a decision of Governance does to an audience in HOLD.
pub(super) fn released(
    audience: Audience<Hold>,
    row: &'static Edge,
    decided: &Decided,
    now: Timestamp,
) -> Result<Change, RouterError> {
    let decision = &decided.decision;
    let approval = GovernanceApproval::mint(
        audience.subject().clone(),
        audience.head().digest(),
        row,
        decision.decider().clone(),
        decision.expires_at(),
        decided.record,
    );
    let change = match row.to {
        State::Base => audience.release(approval, now).map(Transition::into_change),
        _ => audience.release_restricted(approval, now).map(Transition::into_change),
    };
    change.map_err(|error| RouterError::Act(error.to_string().into()))
}

/// What a review does to an audience in ESCALATED.
pub(super) fn reviewed(
    audience: Audience<Escalated>,
    row: &'static Edge,
    decided: &Decided,
    now: Timestamp,
) -> Result<Change, RouterError> {
    let decision = &decided.decision;
    let review = GovernanceReview::mint(
        audience.subject().clone(),
        audience.head().digest(),
        row,
        decision.decider().clone(),
        decision.expires_at(),
        decided.record,
    );
    let reviewed = audience.review(review, now).map(Transition::into_change);
    reviewed.map_err(|error| RouterError::Act(error.to_string().into()))
}

/// What an authorization does to an audience in PRIVILEGED.
pub(super) fn lowered(
    audience: Audience<Privileged>,
    row: &'static Edge,
    cause: DowngradeCause,
    decided: &Decided,
    now: Timestamp,
) -> Result<Change, RouterError> {
    let decision = &decided.decision;
    let authorization = GovernanceAuthorization::mint(
        audience.subject().clone(),
        audience.head().digest(),
        row,
        decision.decider().clone(),
        decision.expires_at(),
        decided.record,
    );
    let lowered = audience.downgrade_governed(cause, authorization, now);
    lowered.map(Transition::into_change).map_err(|error| RouterError::Act(error.to_string().into()))
}

pub(super) fn row(from: State, to: State) -> Result<&'static Edge, RouterError> {
    edge(from, to)
        .ok_or_else(|| RouterError::Act(alloc::format!("{from} → {to} is not an edge").into()))
}
