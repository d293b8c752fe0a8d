//! A desk: one session at the router, with everything routes of this session rest on.
//!
//! All of it is read from the log by verified replay when the session opens, from a
//! snapshot on where the stream has one, and kept up to date by the very same function
//! afterwards, so a desk that was restored knows what a desk that stayed open knows.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::fmt;

use crate::audience::any::AnyAudience;
use crate::audience::classifier::{Class, Consent, Profile as ClassProfile};
use crate::audience::state::State;
use crate::commitment::SubjectKey;
use crate::digest::Digest;
use crate::governance::{Approval, BacktrackAuthorization, GovernanceDecision, Matter};
use crate::id::{KindId, LayerId, SessionId, SnapshotId, SubjectId};
use crate::identity::{Session, Standing};
use crate::intent::RoutingId;
use crate::memory::{Facts, Remembered, ShortTerm};
use crate::modeling::{ModelingEngine, Observation};
use crate::pipeline::{Advancement, Progress, Settlement};
use crate::provenance::Label;
use crate::risk::Risk;
use crate::routing::evidence::{EvidenceBlock, Outcome, OutcomeStatus, StepResult};
use crate::ssot::conflict::ConflictDetected;
use crate::ssot::ledger::Receipt;
use crate::ssot::record::{Head, Record, StreamId, StreamKind};
use crate::ssot::store::Batch;
use crate::time::Timestamp;
use crate::verdict::{Consensus, Drift, ReasonCode, Verdict, Vote};

pub(super) mod saved;

/// One session at the router.
pub struct Desk<P> {
    pub(super) session: Session,
    pub(super) streams: Streams,
    pub(super) pads: Pads,
    /// `None` after a failure that leaves open what the log holds: it is read again
    /// before the next route.
    pub(super) live: Option<Box<Live<P>>>,
}

/// What routes of a session rest on.
pub(super) struct Live<P> {
    pub(super) audience: AnyAudience,
    pub(super) profile: P,
    pub(super) facts: Facts,
    pub(super) short_term: ShortTerm,
    pub(super) history: BTreeMap<KindId, u32>,
    pub(super) standing: Consensus,
    pub(super) progress: Progress,
    pub(super) decisions: Vec<(Digest, GovernanceDecision)>,
    pub(super) routing: Head,
    pub(super) governance: Head,
    pub(super) open: Option<OpenRoute>,
    pub(super) record: Conduct,
    /// The time of the audience's first record.
    pub(super) since: Option<Timestamp>,
    /// Whether subsystems say different things of the subject, as this desk found.
    pub(super) torn: bool,
    /// What speaks against the session since it was opened.
    pub(super) doubt: Option<Standing>,
    /// What the salts of the subject's payloads are derived from, where they have any.
    pub(super) key: Option<SubjectKey>,
    /// Whether the key is new: it is kept with the next evidence.
    pub(super) key_is_new: bool,
}

/// A route whose evidence is durable and whose outcome is not.
#[derive(Debug, Clone)]
pub struct OpenRoute {
    /// The digest of the evidence block's record.
    pub evidence: Digest,
    /// The evidence block.
    pub block: EvidenceBlock,
}

/// How a subject's routes ended so far: what the Classifier looks at.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Conduct {
    pub(super) good: u32,
    pub(super) bad: u32,
    /// The time of its first route.
    pub(super) first: Option<Timestamp>,
    /// The time of this session's last route.
    pub(super) seen: Timestamp,
}

impl<P> Desk<P> {
    pub(super) fn new(session: Session, live: Box<Live<P>>) -> Self {
        let streams = Streams::of(session.id(), session.subject());
        Self { session, streams, pads: Pads::default(), live: Some(live) }
    }

    /// The session.
    pub const fn session(&self) -> &Session {
        &self.session
    }

    /// The audience's state; none while the log has to be read again.
    pub fn state(&self) -> Option<State> {
        self.live.as_ref().map(|live| live.audience.state())
    }

    /// Everything the session has read so far; none while the log has to be read again.
    pub fn context(&self) -> Option<&Label> {
        self.live.as_ref().map(|live| live.short_term.context())
    }

    /// The subject's facts; none while the log has to be read again.
    pub fn facts(&self) -> Option<&Facts> {
        self.live.as_ref().map(|live| &live.facts)
    }

    /// What the Pipeline learnt from this session's outcomes (IRM-4.8); none while the
    /// log has to be read again.
    pub fn progress(&self) -> Option<&Progress> {
        self.live.as_ref().map(|live| &live.progress)
    }

    /// The snapshot the next route will be routed on.
    pub fn snapshot(&self) -> Option<SnapshotId> {
        self.facts().map(Facts::snapshot)
    }

    /// The route that has evidence and no outcome yet, if there is one.
    pub fn open_route(&self) -> Option<&OpenRoute> {
        self.live.as_ref().and_then(|live| live.open.as_ref())
    }
}

impl<P> fmt::Debug for Desk<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk")
            .field("session", self.session.id())
            .field("state", &self.state())
            .finish_non_exhaustive()
    }
}

impl<P> Live<P> {
    /// Takes a finished route into everything that later routes rest on. `own` says
    /// whether it belongs to this session or to an earlier one of the subject.
    pub(super) fn absorb<M: ModelingEngine<Profile = P> + ?Sized>(
        &mut self,
        modeling: &M,
        block: &EvidenceBlock,
        outcome: Option<&Outcome>,
        own: bool,
    ) {
        learn(modeling, &mut self.profile, &mut self.record, block, outcome);
        let Some(kind) = &block.kind else { return };
        for used in block.approval.into_iter().chain(block.backtrack) {
            self.decisions.retain(|(record, _)| *record != used);
        }
        if !own {
            return;
        }
        let vote = match outcome.map(|o| o.status) {
            None => Vote::Abstain,
            Some(OutcomeStatus::Done) => Vote::Agree,
            Some(OutcomeStatus::Failed | OutcomeStatus::Unknown) => Vote::Dissent,
        };
        // A route that is suspended has not ended: the same intent, taken up again, has
        // the same Routing ID, so what Governance decides on it still fits.
        if !matches!(block.verdict, Verdict::StepUp | Verdict::Defer) {
            self.standing = block.consensus.with(LayerId::Execution, vote);
        }
        if let Some(outcome) = outcome {
            if let Some(template) = &block.template {
                self.progress.advance(Advancement {
                    evidence: outcome.evidence,
                    kind: kind.clone(),
                    template: template.clone(),
                    outcome: match outcome.status {
                        OutcomeStatus::Done => Settlement::Done,
                        OutcomeStatus::Failed => Settlement::Failed,
                        OutcomeStatus::Unknown => Settlement::Unknown,
                    },
                });
            }
            if outcome.status == OutcomeStatus::Done {
                let count = self.history.entry(kind.clone()).or_default();
                *count = count.saturating_add(1);
            }
            self.short_term.absorb(Remembered {
                kind: kind.clone(),
                verdict: block.verdict,
                output: outcome.output,
                label: outcome.label.clone(),
                at: block.timestamp,
            });
        }
    }

    /// Takes a finished route of this session in.
    pub(super) fn own<M: ModelingEngine<Profile = P> + ?Sized>(
        &mut self,
        modeling: &M,
        block: &EvidenceBlock,
        outcome: Option<&Outcome>,
    ) {
        self.record.seen = self.record.seen.max(block.timestamp);
        self.absorb(modeling, block, outcome, true);
    }

    /// Takes over the audience after a commit. Its first lineage record is the start of
    /// what is known of it, as it is for a replay.
    pub(super) fn arrive(&mut self, audience: AnyAudience, receipt: &Receipt) {
        if self.audience.head() == Head::EMPTY && audience.head() != Head::EMPTY {
            let written = receipt.records().first().map(Record::timestamp);
            self.since = self.since.or(written);
        }
        self.audience = audience;
    }

    /// The decision on exactly this intent that was not used yet.
    pub(super) fn approval(&self, intent: Digest) -> Option<Approval> {
        let approvals =
            self.decisions.iter().rev().filter_map(|(record, decision)| decision.approval(*record));
        approvals.into_iter().find(|approval| approval.intent == intent)
    }

    /// The record under which the subject's payloads were last erased.
    pub(super) fn erased(&self) -> Digest {
        let erasure = |(record, decision): &(Digest, GovernanceDecision)| match decision.matter() {
            Matter::Erasure { .. } => Some(*record),
            _ => None,
        };
        self.decisions.iter().rev().find_map(erasure).unwrap_or(Digest::ZERO)
    }

    /// The authorization to take this route back to Modeling, where one was given that
    /// no route has used.
    pub(super) fn backtrack(
        &self,
        route: RoutingId,
        now: Timestamp,
    ) -> Option<BacktrackAuthorization> {
        self.decisions.iter().rev().find_map(|(record, decision)| match decision.matter() {
            Matter::Backtrack { route: of, target: LayerId::Modeling, .. } if *of == route => {
                decision.authorize_backtrack(*record, now).ok()
            }
            _ => None,
        })
    }

    /// What the Classifier looks at, with the risk that was scored.
    pub(super) fn class_profile(
        &self,
        session: &Session,
        risk: Risk,
        now: Timestamp,
    ) -> ClassProfile {
        const DAY: u64 = 86_400_000;
        let first = self.record.first.into_iter().chain(self.since).min();
        let age = first.map_or(0, |first| now.since(first) / DAY);
        ClassProfile {
            identity_strength: session.strength(),
            consent: if session.consent() { Consent::Explicit } else { Consent::Implied },
            good_outcomes: self.record.good,
            bad_outcomes: self.record.bad,
            age_days: u32::try_from(age).unwrap_or(u32::MAX),
            risk,
        }
    }
}

/// What every later route of the subject learns from a finished one, in whatever session.
pub(super) fn learn<M: ModelingEngine + ?Sized>(
    modeling: &M,
    profile: &mut M::Profile,
    record: &mut Conduct,
    block: &EvidenceBlock,
    outcome: Option<&Outcome>,
) {
    record.take(block, outcome);
    let Some(kind) = &block.kind else { return };
    let (kind, flags) = (kind.clone(), block.flags);
    let observation = Observation { kind, flags, at: block.timestamp, verdict: block.verdict };
    modeling.observe(profile, &observation);
}

impl Conduct {
    /// A good outcome is an effect that took place. A bad one is a denial for cause:
    /// hard drift, a block by Safety, or a violated kernel rule. A denial because no
    /// rule allows something says nothing about the audience.
    fn take(&mut self, block: &EvidenceBlock, outcome: Option<&Outcome>) {
        self.first = Some(self.first.map_or(block.timestamp, |t| t.min(block.timestamp)));
        if outcome.is_some_and(|o| o.status == OutcomeStatus::Done) {
            self.good = self.good.saturating_add(1);
        }
        let stopped = block.trace.last().filter(|entry| entry.result == StepResult::Stopped);
        let for_cause = stopped.is_some_and(|entry| {
            entry.layer == LayerId::Safety
                || block.drift == Drift::Hard
                || entry.reasons.iter().any(|r| r.code == ReasonCode::KernelViolation)
        });
        if for_cause && block.verdict == Verdict::Deny {
            self.bad = self.bad.saturating_add(1);
        }
    }
}

/// The class as evidence writes it: 1 A, 2 B, 3 C.
pub(super) const fn class_number(class: Class) -> u8 {
    match class {
        Class::A => 1,
        Class::B => 2,
        Class::C => 3,
    }
}

/// What one route after another is written into: room that is used again.
#[derive(Debug, Default)]
pub(super) struct Pads {
    /// The commit of the evidence.
    pub(super) evidence: Option<Batch>,
    /// The body of the evidence.
    pub(super) block: Vec<u8>,
    /// The commit of the outcome.
    pub(super) outcome: Option<Batch>,
    /// The body of the outcome.
    pub(super) end: Vec<u8>,
    /// What made commits halt since the last one that did not.
    pub(super) contested: Vec<ConflictDetected>,
}

impl Pads {
    /// The commit of the evidence: it expects the routing, audience, memory, governance
    /// and policy streams, in this order.
    pub(super) fn evidence(&mut self, streams: &Streams, policy: &StreamId) -> &mut Batch {
        self.evidence.get_or_insert_with(|| {
            Batch::new(Timestamp::default())
                .expect(streams.routing.clone(), Head::EMPTY)
                .expect(streams.audience.clone(), Head::EMPTY)
                .expect(streams.memory.clone(), Head::EMPTY)
                .expect(streams.governance.clone(), Head::EMPTY)
                .expect(policy.clone(), Head::EMPTY)
        })
    }

    /// The commit of the outcome: it expects the routing stream.
    pub(super) fn outcome(&mut self, streams: &Streams) -> &mut Batch {
        self.outcome.get_or_insert_with(|| {
            Batch::new(Timestamp::default()).expect(streams.routing.clone(), Head::EMPTY)
        })
    }
}

/// The streams a session's routes touch.
pub(super) struct Streams {
    pub(super) routing: StreamId,
    pub(super) session: StreamId,
    pub(super) subject: StreamId,
    pub(super) audience: StreamId,
    pub(super) memory: StreamId,
    pub(super) governance: StreamId,
}

impl Streams {
    pub(super) fn of(session: &SessionId, subject: &SubjectId) -> Self {
        let by_session = |kind| StreamId::new(kind, session.name().clone());
        let by_subject = |kind| StreamId::new(kind, subject.name().clone());
        Self {
            routing: by_session(StreamKind::Routing),
            session: by_session(StreamKind::Session),
            subject: by_subject(StreamKind::Subject),
            audience: by_subject(StreamKind::Audience),
            memory: by_subject(StreamKind::Memory),
            governance: by_subject(StreamKind::Governance),
        }
    }
}
