//! The router's own acts, one record at a time: what a replay repeats.
//!
//! Nothing here decides anything. Each function is an act of the router without the
//! store's part around it (reading, trying again), so that [`crate::routing::replay`] runs
//! the code that decided, and not a copy of it.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::acts::{Decided, lowered, released, reviewed, row};
use super::attempt::{Recorded, Walked, reusable};
use super::open::opening;
use super::{Profile, Router, RouterError, Rules};
use crate::audience::any::AnyAudience;
use crate::audience::causes::{DowngradeCause, HoldTrigger};
use crate::audience::state::State;
use crate::audience::table::Way;
use crate::commitment::{SALT_LEN, Salts};
use crate::digest::Digest;
use crate::governance::{
    Authority, GovernanceDecision, GovernanceEngine as _, Matter, ReviewError, Sitting, TokenMint,
};
use crate::id::{Name, PrincipalId};
use crate::identity::{Scopes, Session, Standing};
use crate::intent::Submission;
use crate::memory::{FactRecord, Facts};
use crate::provenance::Label;
use crate::routing::desk::{Conduct, Desk, Live, OpenRoute, Streams, learn};
use crate::routing::engines::Engines;
use crate::routing::evidence::{EvidenceBlock, Outcome};
use crate::routing::stop::Stop;
use crate::ssot::conflict::ConflictDetected;
use crate::ssot::record::{Head, StreamId, StreamKind};
use crate::ssot::store::{Batch, Store};
use crate::time::{Clock, Timestamp};

/// What came of a route that was routed again, up to its evidence.
pub(in crate::routing) enum Again {
    /// It ended before its effect.
    Ended(Box<EvidenceBlock>),
    /// Its effect follows: it is open on the desk.
    Opened,
}

impl<E: Engines, S: Store, C: Clock> Router<E, S, C> {
    /// A router under rules that nobody pins.
    pub(in crate::routing) fn again(
        engines: E,
        rules: Rules,
        store: S,
        clock: C,
    ) -> Result<Self, RouterError> {
        Self::unpinned(engines, rules, store, clock)
    }

    /// Says where the policy stream ends.
    pub(in crate::routing) const fn under(&mut self, policy: Head) {
        self.policy = policy;
    }

    /// Replaces the mint of tokens.
    pub(in crate::routing) fn minting(&mut self, mint: TokenMint) {
        self.rules.mint = mint;
    }

    /// [`Router::open`] up to its record.
    pub(in crate::routing) fn open_again(&self, session: &Session) -> Result<(), RouterError> {
        let streams = Streams::of(session.id(), session.subject());
        let (after, scored) = self.scored(session, &streams)?;
        let batch = opening(session, &streams, after, scored, self.clock.now());
        let _receipt = self.ledger.commit(batch)?;
        Ok(())
    }

    /// What speaks against a session since it was opened.
    pub(in crate::routing) fn doubt_again(
        &self,
        session: &Session,
    ) -> Result<Option<Standing>, RouterError> {
        self.doubt(&Streams::of(session.id(), session.subject()))
    }

    /// One advance of [`Router::resume`].
    pub(in crate::routing) fn advance_again(
        &self,
        session: &Session,
        live: &mut Live<Profile<E>>,
    ) -> Result<(), RouterError> {
        self.advance(session, live).map(drop)
    }

    /// [`Router::route`] up to the evidence.
    pub(in crate::routing) fn route_again(
        &self,
        desk: &mut Desk<Profile<E>>,
        submission: Submission,
        contested: Vec<ConflictDetected>,
        salted: bool,
    ) -> Result<Again, RouterError> {
        let Desk { session, streams, pads, live } = desk;
        pads.contested = contested;
        let Some(live) = live else {
            return Err(RouterError::SessionUnknown { session: session.id().clone() });
        };
        // Its salts were kept with it; that there is a key is all that is asked for here.
        let key = || Salts::new([0; SALT_LEN]).key(session.subject(), &Digest::ZERO);
        (live.key, live.key_is_new) = (salted.then(key), false);
        if let Some(open) = &live.open {
            return Err(RouterError::Parallel {
                session: session.id().clone(),
                evidence: open.evidence,
                same_intent: open.block.intent == submission.digest(),
            });
        }
        match self.record(session, streams, pads, live, submission)? {
            Recorded::Ended(routed) => Ok(Again::Ended(routed.evidence)),
            Recorded::Due { sealed, receipt, .. } => {
                let evidence = live.routing.digest();
                let (block, room) = sealed.put_aside();
                pads.block = reusable(room);
                debug_assert!(receipt.covers(&evidence));
                live.open = Some(OpenRoute { evidence, block: *block });
                Ok(Again::Opened)
            }
            Recorded::Moved(_) | Recorded::MovedAhead(_) => {
                Err(RouterError::Contended { attempts: 1 })
            }
        }
    }

    /// The verdict that these rules give a submission on this desk. Nothing is recorded.
    pub(in crate::routing) fn consider_again(
        &self,
        session: &Session,
        live: &Live<Profile<E>>,
        submission: Submission,
    ) -> Box<EvidenceBlock> {
        let Walked { result, .. } = self.walk(session, live, submission, alloc::vec::Vec::new());
        match result {
            Ok(sealed) => sealed.abandon().0,
            Err(stop) => Stop::conclude(stop).into_parts().0,
        }
    }

    /// The record of a known outcome of the desk's open route, as after its effect.
    pub(in crate::routing) fn end_again(
        &self,
        desk: &mut Desk<Profile<E>>,
        outcome: &Outcome,
    ) -> Result<EvidenceBlock, RouterError> {
        let Desk { session, streams, pads, live } = desk;
        let Some(live) = live else {
            return Err(RouterError::SessionUnknown { session: session.id().clone() });
        };
        let Some(open) = live.open.take() else {
            return Err(RouterError::Act("no route of the session is open".into()));
        };
        let recorded = if open.evidence == outcome.evidence {
            self.record_outcome(live, streams, pads, &open.block, outcome, None)
        } else {
            let found = outcome.evidence.short();
            Err(RouterError::Act(
                alloc::format!("the open route is {}, not {found}", open.evidence.short()).into(),
            ))
        };
        match recorded {
            Ok(()) => Ok(open.block),
            Err(error) => {
                live.open = Some(open);
                Err(error)
            }
        }
    }

    /// [`Router::remember`] of a fact that has its version.
    pub(in crate::routing) fn remember_again(
        &self,
        fact: &FactRecord,
        audience: &AnyAudience,
        facts: &Facts,
    ) -> Result<(), RouterError> {
        if audience.state() == State::Escalated {
            return Err(RouterError::Act("the audience is ESCALATED: nothing is recorded".into()));
        }
        facts.admits(fact)?;
        let subject = audience.subject();
        let of = |kind| StreamId::new(kind, subject.name().clone());
        let batch = Batch::new(self.clock.now())
            .expect(of(StreamKind::Memory), facts.head())
            .expect(of(StreamKind::Audience), audience.head())
            .append(fact.draft(subject));
        let _receipt = self.ledger.commit(batch)?;
        Ok(())
    }

    /// What a desk of this session rests on, read from the log.
    pub(in crate::routing) fn load_again(
        &self,
        session: &Session,
    ) -> Result<Box<Live<Profile<E>>>, RouterError> {
        self.load(session)
    }

    /// [`Router::suspend`] of this audience.
    pub(in crate::routing) fn suspend_again(
        &self,
        audience: AnyAudience,
        trigger: HoldTrigger,
    ) -> Result<(), RouterError> {
        let suspended = audience.suspend(trigger, None, self.clock.now());
        self.settle_change(suspended.map_err(|not_moved| not_moved.into_parts().1)?).map(drop)
    }

    /// [`Router::request`] of a transition that the table does not have.
    pub(in crate::routing) fn refuse_again(
        &self,
        session: &Session,
        context: &Label,
        audience: AnyAudience,
        (to, way): (State, Way),
    ) -> Result<(), RouterError> {
        match audience.request(to, way) {
            Ok(_) => Err(RouterError::Act("the table has that transition".into())),
            Err(refused) => self.refuse(session, context, refused, to).map(drop),
        }
    }

    /// What a recorded decision of Governance does to this audience.
    pub(in crate::routing) fn governed_again(
        &self,
        audience: AnyAudience,
        to: State,
        cause: Option<DowngradeCause>,
        decided: &Decided,
    ) -> Result<(), RouterError> {
        let (from, now) = (audience.state(), self.clock.now());
        let row = row(from, to)?;
        let change = match (audience, cause) {
            (AnyAudience::Hold(audience), None) => released(audience, row, decided, now)?,
            (AnyAudience::Escalated(audience), None) => reviewed(audience, row, decided, now)?,
            (AnyAudience::Privileged(audience), Some(cause)) => {
                lowered(audience, row, cause, decided, now)?
            }
            _ => return Err(RouterError::Act("governance decides nothing of that".into())),
        };
        self.settle_change(change).map(drop)
    }

    /// The decision that somebody who may takes at this time.
    pub(in crate::routing) fn decide_again(
        &self,
        (decider, role): (&PrincipalId, &Name),
        requester: &PrincipalId,
        matter: Matter,
        (granted, note): (bool, &str),
        now: Timestamp,
    ) -> Result<GovernanceDecision, ReviewError> {
        let sitting = Sitting {
            requester,
            role,
            policy: self.engines.governance().policy(),
            now,
            valid_millis: self.rules.decision_millis,
        };
        let scopes = Scopes::from([role.clone()]);
        let by = Authority { principal: decider, kind: "human", scopes: &scopes, delegation: 0 };
        sitting.decide(matter, &by, granted, note)
    }

    /// Takes a finished route of this session into its desk without deciding it again.
    pub(in crate::routing) fn own_again(
        &self,
        live: &mut Live<Profile<E>>,
        block: &EvidenceBlock,
        outcome: Option<&Outcome>,
    ) {
        live.own(self.engines.modeling(), block, outcome);
    }

    /// Takes a route of an earlier session into a desk.
    pub(in crate::routing) fn earlier_again(
        &self,
        live: &mut Live<Profile<E>>,
        block: &EvidenceBlock,
        outcome: Option<&Outcome>,
    ) {
        live.absorb(self.engines.modeling(), block, outcome, false);
    }

    /// What later sessions of the subject learn from a finished route.
    pub(in crate::routing) fn learn_again(
        &self,
        profile: &mut Profile<E>,
        record: &mut Conduct,
        block: &EvidenceBlock,
        outcome: Option<&Outcome>,
    ) {
        learn(self.engines.modeling(), profile, record, block, outcome);
    }
}
