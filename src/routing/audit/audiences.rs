//! Audiences: legal moves, from the state reached, for causes that are in the log.

use crate::audience::any::{AudienceSnapshot, Entry, ReplayProblem};
use crate::audience::causes::Ground;
use crate::audience::lineage::{Cause, Cleared, LineageEvent};
use crate::audience::state::State;
use crate::digest::Digest;
use crate::id::Subsystem;
use crate::limits::SNAPSHOT_RECORDS;
use crate::routing::audit::decisions::{About, Use};
use crate::routing::audit::memo::{AudienceMemo, Memo};
use crate::routing::audit::{Auditor, Due, Pending, beside, known_subject, rests};
use crate::ssot::matrix::{Check, Rule, Scene, Why};
use crate::ssot::record::{Record, StreamKind};

impl Auditor {
    pub(super) fn audience(
        &mut self,
        record: &Record,
        entry: Result<&Entry, &ReplayProblem>,
        scene: &mut Scene<'_, Memo>,
    ) {
        known_subject(record, self.blind, scene);
        replay(record, entry, scene);
        if let Ok(entry) = entry {
            self.rules_of(record, entry, scene);
            if let Entry::Event(event) = entry {
                self.cause(record, event, scene);
            }
        }
        if record.source() == Subsystem::Safety {
            self.pending = Some(Pending {
                what: Due::Evidence { subject: record.stream().name().clone() },
                stream: record.stream().clone(),
                at: scene.at(),
                time: record.timestamp(),
            });
        }
    }

    /// That the rules it names are those in force. Governance's acts do not wait for the
    /// policy stream: theirs were in force once.
    fn rules_of(&self, record: &Record, entry: &Entry, scene: &mut Scene<'_, Memo>) {
        let held = record.source() != Subsystem::Governance;
        let mut part = |name: &str, digest: &Digest| {
            if held {
                self.policies.check_now(name, digest, scene);
            } else {
                self.policies.check_ever(name, digest, scene);
            }
        };
        match entry {
            Entry::Blocked(block) => part("envelope", &block.envelope),
            Entry::Checked(check) => part("kernel", &check.kernel),
            Entry::Refused(_) | Entry::Snapshot(_) => {}
            Entry::Event(event) => match event.cause() {
                Cause::Clearance(Cleared { envelope, classifier, matrix, kernel, .. }) => {
                    part("envelope", envelope);
                    part("classifier", classifier);
                    part("matrix", matrix);
                    part("kernel", kernel);
                }
                Cause::Restriction(Ground::ClassC { classifier }) => part("classifier", classifier),
                Cause::Violation { kernel, .. } => part("kernel", kernel),
                _ => {}
            },
        }
    }

    /// That what it refers to is in the log.
    fn cause(&self, record: &Record, event: &LineageEvent, scene: &mut Scene<'_, Memo>) {
        let (about, approver) = match event.cause() {
            Cause::Clearance(cleared) => return basis(record, cleared.snapshot, scene),
            Cause::Approval(approver) => (About::Release(event.to()), approver),
            Cause::Review(approver) => (About::Review, approver),
            Cause::Governed { approver, .. } => (About::Exit, approver),
            _ => return,
        };
        let (decision, decider) = (approver.record, Some(&approver.principal));
        let asked = Use { decision, about, decider, at: record.timestamp() };
        asked.check(&beside(record, StreamKind::Governance), self.blind, scene);
    }
}

/// That it is an edge, and starts where the stream is.
fn replay(record: &Record, entry: Result<&Entry, &ReplayProblem>, scene: &mut Scene<'_, Memo>) {
    let mut memo = match scene.memo() {
        Some(Memo::Audience(memo)) => *memo,
        _ => AudienceMemo::new(),
    };
    let state = memo.state;
    let index = scene.index();
    // What the Safety System asks for stands right before the evidence of its route, in one
    // commit: that route may still name the state from before.
    if record.source() == Subsystem::Safety {
        if memo.last.checked_add(1) != Some(index) || memo.time != record.timestamp() {
            memo.before = state;
        }
        (memo.last, memo.time) = (index, record.timestamp());
    }
    match entry {
        Err(problem) => {
            let expected = alloc::format!("a transition from {state}");
            scene.fault(Rule::Illegal, expected, problem);
            memo.lost = memo.lost.or(Some(index));
        }
        Ok(Entry::Snapshot(found)) => snapshot(record, *found, &memo, scene),
        Ok(entry) => {
            if entry.starts_from() != state && memo.lost.is_none() {
                let expected = alloc::format!("a record that starts from {state}");
                scene.fault(Rule::State, expected, entry.starts_from());
                memo.lost = Some(index);
            }
            (memo.state, memo.review) = entry.after(memo.state, memo.review);
        }
    }
    if let Some(own) = scene.memo() {
        *own = Memo::Audience(memo);
    }
}

/// That a snapshot stands where one may, and says what the records before it lead to.
fn snapshot(
    record: &Record,
    found: AudienceSnapshot,
    memo: &AudienceMemo,
    scene: &mut Scene<'_, Memo>,
) {
    scene.begin(Check::Snapshot);
    let sequence = record.sequence();
    if sequence == 0 || !sequence.is_multiple_of(SNAPSHOT_RECORDS) {
        let expected = alloc::format!("a snapshot at a multiple of {SNAPSHOT_RECORDS}");
        scene.fault(Rule::Snapshot, expected, alloc::format!("one at {sequence}"));
    }
    if let Some(index) = memo.lost {
        scene.end(Check::Snapshot, Why::Rests { stream: record.stream().clone(), index });
        return;
    }
    let expected = AudienceSnapshot { state: memo.state, review: memo.review };
    if found != expected {
        let text = |s: AudienceSnapshot| alloc::format!("{} with review {:?}", s.state, s.review);
        scene.fault(Rule::Snapshot, text(expected), text(found));
    }
}

/// That the snapshot named is where the subject's memory stands.
fn basis(record: &Record, snapshot: Digest, scene: &mut Scene<'_, Memo>) {
    let stream = beside(record, StreamKind::Memory);
    let (head, doubt) =
        scene.other(&stream).map_or((Digest::ZERO, None), |o| (o.head.digest(), o.doubt));
    if !rests(scene, Check::Lineage, doubt) && head != snapshot {
        scene.fault(Rule::Basis, alloc::format!("snapshot {head}"), snapshot);
    }
}

/// The states that a route recorded now may name: that of the audience, and the one from
/// before its last move where that stands in the same commit.
pub(super) fn states(
    memo: Option<&Memo>,
    index: u64,
    record: &Record,
) -> Result<(State, State), u64> {
    let Some(Memo::Audience(memo)) = memo else { return Ok((State::Init, State::Init)) };
    if let Some(lost) = memo.lost {
        return Err(lost);
    }
    let same = memo.last.checked_add(1) == Some(index) && memo.time == record.timestamp();
    Ok((memo.state, if same { memo.before } else { memo.state }))
}
