//! Decisions of governance: asked for before, taken by others, used once.

use crate::audience::state::State;
use crate::digest::Digest;
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::governance::{GovernanceDecision, Matter};
use crate::id::PrincipalId;
use crate::routing::audit::memo::{Few, GovernanceMemo, Kept, Memo};
use crate::routing::audit::{Auditor, absent, beside, known_subject, rests};
use crate::ssot::matrix::{Check, Rule, Scene, Why};
use crate::ssot::record::{Record, StreamId, StreamKind};
use crate::time::Timestamp;

/// What a decision is about, and what may rest on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum About {
    /// This intent.
    Intent(Digest),
    /// Leaving PRIVILEGED.
    Exit,
    /// Leaving HOLD for this state.
    Release(State),
    /// Reviewing an escalation.
    Review,
    /// Taking this route back.
    Route(Digest),
    /// Erasing what is kept of a subject.
    Erasure,
}

impl About {
    fn of(matter: &Matter) -> Self {
        match matter {
            Matter::Approval { intent, .. } => Self::Intent(*intent),
            Matter::PrivilegedExit { .. } => Self::Exit,
            Matter::HoldRelease { to, .. } => Self::Release(*to),
            Matter::EscalationReview { .. } => Self::Review,
            Matter::Backtrack { route, .. } => Self::Route(route.digest()),
            Matter::Erasure { .. } => Self::Erasure,
        }
    }
}

impl core::fmt::Display for About {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Self::Intent(intent) => write!(f, "intent {}", intent.short()),
            Self::Exit => f.write_str("leaving PRIVILEGED"),
            Self::Release(to) => write!(f, "leaving HOLD for {to}"),
            Self::Review => f.write_str("an escalation"),
            Self::Route(route) => write!(f, "taking route {} back", route.short()),
            Self::Erasure => f.write_str("erasing payloads"),
        }
    }
}

impl Encode for About {
    fn encode(&self, out: &mut Writer) {
        match self {
            Self::Intent(intent) => out.u8(1).digest(intent),
            Self::Exit => out.u8(2),
            Self::Release(to) => out.u8(3).value(to),
            Self::Review => out.u8(4),
            Self::Route(route) => out.u8(5).digest(route),
            Self::Erasure => out.u8(6),
        };
    }
}

impl Decode for About {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let offset = input.offset();
        Ok(match input.u8()? {
            1 => Self::Intent(input.digest()?),
            2 => Self::Exit,
            3 => Self::Release(input.value()?),
            4 => Self::Review,
            5 => Self::Route(input.digest()?),
            6 => Self::Erasure,
            other => return Err(Reader::bad_tag("what a decision is about", other, offset)),
        })
    }
}

impl Auditor {
    pub(super) fn decision(
        &mut self,
        record: &Record,
        decision: &GovernanceDecision,
        scene: &mut Scene<'_, Memo>,
    ) {
        known_subject(record, self.blind, scene);
        self.policies.check_ever("governance", &decision.policy(), scene);
        if decision.decided_at() != record.timestamp() {
            scene.fault(Rule::OwnTime, record.timestamp(), decision.decided_at());
        }
        let name = record.stream().name();
        let requester = match decision.matter() {
            Matter::Approval { requester, .. } => Some(requester.name()),
            Matter::PrivilegedExit { subject }
            | Matter::HoldRelease { subject, .. }
            | Matter::EscalationReview { subject }
            | Matter::Erasure { subject, .. } => {
                if subject.name() != name {
                    let expected = alloc::format!("a decision on `{name}`");
                    scene.fault(Rule::Subject, expected, alloc::format!("one on `{subject}`"));
                }
                Some(subject.name())
            }
            Matter::Backtrack { .. } => None,
        };
        if requester == Some(decision.decider().name()) {
            let found = alloc::format!("`{}`", decision.decider());
            scene.fault(Rule::OwnRequest, "somebody else to decide", found);
        }
        question(record, decision, self.blind, scene);
        let kept = Kept {
            record: record.digest(),
            about: About::of(decision.matter()),
            granted: decision.granted(),
            expires_at: decision.expires_at(),
            decider: decision.decider().clone(),
        };
        if let Some(memo) = scene.memo() {
            if !matches!(memo, Memo::Governance(_)) {
                *memo = Memo::Governance(GovernanceMemo::default());
            }
            if let Memo::Governance(memo) = memo {
                if let Matter::Erasure { before, .. } = decision.matter()
                    && decision.granted()
                {
                    memo.erased_before = memo.erased_before.max(*before);
                }
                memo.decisions.push(kept);
            }
        }
    }
}

/// That a route had asked.
fn question(
    record: &Record,
    decision: &GovernanceDecision,
    blind: Option<u64>,
    scene: &mut Scene<'_, Memo>,
) {
    let about = match decision.matter() {
        Matter::Approval { .. } | Matter::Backtrack { .. } => About::of(decision.matter()),
        _ => return,
    };
    let stream = beside(record, StreamKind::Subject);
    let Some(other) = scene.other(&stream) else { return };
    let (doubt, now) = (other.doubt, decision.decided_at());
    let asked = match other.memo {
        Memo::Subject(memo) => {
            let fits = |q: &super::memo::Question| {
                q.about == about
                    && now < q.until
                    && now >= q.asked_at
                    && match decision.matter() {
                        Matter::Approval { requester, .. } => q.requester == *requester,
                        _ => true,
                    }
            };
            memo.questions.holds(fits)
        }
        _ => Some(false),
    };
    if rests(scene, Check::Lineage, doubt) {
        return;
    }
    match asked {
        Some(true) => {}
        Some(false) => {
            let expected = alloc::format!("a route that asked about {about} and waits at {now}");
            absent(blind, scene, Rule::Question, expected);
        }
        None => scene.end(Check::Lineage, Why::Forgotten),
    }
}

/// A record that rests on a decision.
pub(super) struct Use<'a> {
    pub(super) decision: Digest,
    pub(super) about: About,
    /// Who is said to have decided.
    pub(super) decider: Option<&'a PrincipalId>,
    pub(super) at: Timestamp,
}

impl Use<'_> {
    /// That the decision is in this stream and may be used so, and was not before.
    pub(super) fn check(&self, stream: &StreamId, blind: Option<u64>, scene: &mut Scene<'_, Memo>) {
        let (decision, about) = (self.decision.short(), &self.about);
        let expected = alloc::format!("an unused decision {decision} on {about} in `{stream}`");
        let Some(other) = scene.other(stream) else {
            absent(blind, scene, Rule::Decision, expected);
            return;
        };
        let doubt = other.doubt;
        if rests(scene, Check::Lineage, doubt) {
            return;
        }
        let taken = match scene.other_memo(stream) {
            Some(Memo::Governance(memo)) => {
                memo.decisions.take(|kept| kept.record == self.decision)
            }
            _ => Few::<Kept>::NONE,
        };
        let kept = match taken {
            Ok(Some(kept)) => kept,
            Ok(None) => {
                absent(blind, scene, Rule::Decision, expected);
                return;
            }
            Err(_) => {
                scene.end(Check::Lineage, Why::Forgotten);
                return;
            }
        };
        let decider = self.decider.filter(|decider| **decider != kept.decider);
        let found = if kept.about != self.about {
            alloc::format!("one on {}", kept.about)
        } else if !kept.granted {
            "one that was refused".into()
        } else if self.at >= kept.expires_at {
            alloc::format!("one that ended at {}, and it was {}", kept.expires_at, self.at)
        } else if let Some(decider) = decider {
            alloc::format!("one of `{}`, said to be of `{decider}`", kept.decider)
        } else {
            return;
        };
        scene.fault(Rule::Decision, expected, found);
    }
}
