//! Routes: whatever is submitted, the evidence is there and nothing denied is executed.

use std::format;
use std::string::ToString as _;
use std::vec::Vec;

use super::super::world::{World, WorldDesk};
use super::super::{Broken, Held, must};
use crate::digest::Digest;
use crate::id::KindId;
use crate::intent::intake::digest;
use crate::intent::{Catalogue, Malformed, Request, Submission};
use crate::modeling::ModelingEngine;
use crate::routing::engines::Engines;
use crate::routing::router::{FollowUp, Profile, Routed};
use crate::routing::{Desk, EvidenceBlock, Outcome, Router};
use crate::ssot::record::{Record, RecordKind};
use crate::ssot::store::Store;
use crate::ssot::verify::verify;
use crate::time::Clock;
use crate::verdict::Verdict;

const PROPERTY: &str = "route_is_sound";

/// One step of a script.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "a script is short, and made by hand or by a strategy"
)]
pub enum Step {
    /// A request is submitted.
    Submit(Request),
    /// A governor answers the last route that was stepped up, and it is submitted again.
    Answer {
        /// Yes or no.
        granted: bool,
    },
    /// Time passes.
    Wait {
        /// How much.
        millis: u32,
    },
}

/// Routes one submission and checks what must hold of every route: its evidence is in
/// the log, under the digest and at the index it was said to be; at most one effect was
/// carried out; and none where the verdict is not to execute. `effects` counts what your
/// modules did so far.
///
/// # Errors
/// [`Broken`], also when the router could not route at all.
#[expect(clippy::similar_names, reason = "a router and what it routed")]
pub fn route_is_sound<E: Engines, S: Store, C: Clock>(
    router: &Router<E, S, C>,
    desk: &mut Desk<Profile<E>>,
    submission: Submission,
    effects: impl Fn() -> usize,
) -> Result<Routed, Broken>
where
    E::Modeling: ModelingEngine,
{
    let broken = |what: &dyn core::fmt::Display| Broken::new(PROPERTY, what);
    let before = effects();
    let intent = submission.digest();
    let routed = router.route(desk, submission).map_err(|error| broken(&error))?;
    let done = effects().saturating_sub(before);
    let evidence: EvidenceBlock =
        stored(router.store(), routed.index, RecordKind::EvidenceBlock, |record| {
            record.digest() == routed.record
        })?;
    must(PROPERTY, evidence == *routed.evidence && evidence.intent == intent, || {
        format!("{evidence:?} is stored for {:?}", routed.evidence)
    })?;
    must(PROPERTY, evidence.verdict == routed.verdict, || "two verdicts".into())?;
    must(PROPERTY, done <= 1, || format!("{done} effects of one route"))?;
    match routed.verdict {
        Verdict::Allow | Verdict::Modify => {
            let outcome = routed.outcome.as_ref().ok_or_else(|| broken(&"no outcome"))?;
            must(PROPERTY, outcome.evidence == routed.record, || {
                "an outcome of another route".into()
            })?;
            must(PROPERTY, outcome.output.is_some() == routed.output.is_some(), || {
                "an output that the outcome does not name".into()
            })?;
        }
        Verdict::StepUp | Verdict::Defer | Verdict::Deny => {
            let nothing = done == 0 && routed.outcome.is_none() && routed.output.is_none();
            must(PROPERTY, nothing, || format!("{} and yet executed", routed.verdict))?;
        }
    }
    let asks = matches!(routed.follow_up, Some(FollowUp::Approval(_)));
    must(PROPERTY, asks == (routed.verdict == Verdict::StepUp), || {
        format!("{} with {:?}", routed.verdict, routed.follow_up)
    })?;
    Ok(routed)
}

/// The body of the record at an index, which must be of this kind and as expected.
fn stored<T: crate::encode::Decode, S: Store>(
    store: &S,
    index: u64,
    kind: RecordKind,
    expected: impl Fn(&Record) -> bool,
) -> Result<T, Broken> {
    let broken = |what: &dyn core::fmt::Display| Broken::new(PROPERTY, what);
    let found = store.read(index, 1).map_err(|error| broken(&error))?;
    let found = found.first().ok_or_else(|| broken(&"no record at the index"))?;
    let record = Record::decode_sealed(&found.bytes).map_err(|error| broken(&error))?;
    must(PROPERTY, record.kind() == kind && expected(&record), || {
        format!("another record at index {index}: {record:?}")
    })?;
    T::from_canonical(record.body()).map_err(|error| broken(&error))
}

/// Routes requests one after another in alice's session `s-1` of a world, and verifies
/// the log they leave.
///
/// # Errors
/// [`Broken`] as [`route_is_sound`], or when the log does not verify.
pub fn routes_are_sound(world: &World, requests: impl IntoIterator<Item = Request>) -> Held {
    script_is_sound(world, requests.into_iter().map(Step::Submit))
}

/// Walks a script in alice's session `s-1` of a world: every route is sound, an answer
/// counts for the intent it was given for and once, and the log verifies.
///
/// # Errors
/// [`Broken`] as [`route_is_sound`], or when the log does not verify.
pub fn script_is_sound(world: &World, steps: impl IntoIterator<Item = Step>) -> Held {
    let mut walk = Walk::open(world)?;
    for step in steps {
        match step {
            Step::Submit(request) => walk
                .submit(submission(&world.catalogue, request.clone()), || {
                    submission(&world.catalogue, request)
                })?,
            Step::Answer { granted } => walk.answer(granted)?,
            Step::Wait { millis } => world.clock.advance_millis(millis.into()),
        }
    }
    walk.finish()
}

/// A request as it is submitted: an intent, or what it is instead.
fn submission(catalogue: &Catalogue, request: Request) -> Submission {
    let mark = digest(request.kind.as_bytes());
    let (subject, session) = (request.subject.clone(), request.session.clone());
    match catalogue.intent(request) {
        Ok(intent) => Submission::Intent(intent),
        Err(error) => Submission::Malformed(Malformed {
            digest: mark,
            subject: Some(subject),
            session: Some(session),
            reason: error.reason(),
        }),
    }
}

/// A session of a world being tried.
pub(super) struct Walk<'a> {
    world: &'a World,
    desk: WorldDesk,
    governor: crate::identity::Session,
    /// The last route that was stepped up, and its submission once more.
    asked: Option<(Digest, Submission)>,
}

impl<'a> Walk<'a> {
    pub(super) fn open(world: &'a World) -> Result<Self, Broken> {
        let broken = |error: super::super::world::Failure| Broken::new(PROPERTY, error);
        let desk = world.open("alice", "s-1").map_err(broken)?;
        let governor = world.governor("grace", "g-1").map_err(broken)?;
        Ok(Self { world, desk, governor, asked: None })
    }

    /// Routes a submission; `again` makes the same once more.
    pub(super) fn submit(
        &mut self,
        submission: Submission,
        again: impl FnOnce() -> Submission,
    ) -> Held {
        let routed = self.route(submission)?;
        if routed.verdict == Verdict::StepUp {
            self.asked = Some((routed.record, again()));
        }
        Ok(())
    }

    #[cfg(feature = "files")]
    pub(super) fn context(&self) -> crate::provenance::Label {
        self.desk.context().cloned().unwrap_or_default()
    }

    pub(super) fn answer(&mut self, granted: bool) -> Held {
        let Some((record, submission)) = self.asked.take() else { return Ok(()) };
        let world = self.world;
        if world
            .router
            .approve(&self.governor, self.desk.session().id(), record, granted, "")
            .is_err()
        {
            // Too late, or the governor's own session has ended: then it counts for nothing.
            let routed = self.route(submission)?;
            return must(PROPERTY, !routed.evidence.opens_route(), || {
                "an answer that was refused counted".into()
            });
        }
        let routed = self.route(submission)?;
        must(PROPERTY, granted || !routed.evidence.opens_route(), || {
            "an intent that a person refused was executed".into()
        })
    }

    fn route(&mut self, submission: Submission) -> Result<Routed, Broken> {
        let calls = &self.world.calls;
        let kind = submission.intent().map(|intent| intent.kind().id.clone());
        let routed =
            route_is_sound(&self.world.router, &mut self.desk, submission, || calls.count())?;
        self.check_module(kind.as_ref(), &routed)?;
        Ok(routed)
    }

    /// Where there was an effect, it was the one of the module that the evidence names,
    /// under the key that is the evidence's digest.
    fn check_module(&self, kind: Option<&KindId>, routed: &Routed) -> Held {
        let calls = self.world.calls.list();
        let Some((module, _)) = calls.iter().find(|(_, key)| key.digest() == routed.record) else {
            return Ok(());
        };
        let named = routed.evidence.module.as_ref() == Some(module);
        must(PROPERTY, named && routed.evidence.kind.as_ref() == kind, || {
            format!("module `{module}` ran for {:?}", routed.evidence)
        })
    }

    pub(super) fn finish(self) -> Held {
        let broken = |what: &dyn core::fmt::Display| Broken::new(PROPERTY, what);
        let store = self.world.router.store();
        let report = verify(store, |_| {}).map_err(|error| broken(&error))?;
        let length = store.len().map_err(|error| broken(&error))?;
        must(PROPERTY, report.records == length, || "records that were not verified".into())?;
        let subject = self.desk.session().subject();
        let replayed = self.world.router.audience(subject).map_err(|error| broken(&error))?;
        must(PROPERTY, self.desk.state().is_none_or(|state| state == replayed.state()), || {
            format!("the desk is in {:?}, the log says {}", self.desk.state(), replayed.state())
        })?;
        outcomes_follow_evidence(store)
    }
}

/// Every outcome in a log names evidence that stands before it and let pass.
fn outcomes_follow_evidence<S: Store>(store: &S) -> Held {
    let broken = |what: &dyn core::fmt::Display| Broken::new(PROPERTY, what);
    let mut passed = Vec::new();
    for stored in store.read(0, usize::MAX).map_err(|error| broken(&error))? {
        let record = Record::decode_sealed(&stored.bytes).map_err(|error| broken(&error))?;
        match record.kind() {
            RecordKind::EvidenceBlock => {
                let block: EvidenceBlock = record.read().map_err(|error| broken(&error))?;
                if block.opens_route() {
                    passed.push(record.digest());
                }
            }
            RecordKind::Outcome => {
                let outcome: Outcome = record.read().map_err(|error| broken(&error))?;
                let before = passed.iter().position(|evidence| *evidence == outcome.evidence);
                let Some(before) = before else {
                    return Err(broken(&"an outcome without evidence that let it pass"));
                };
                passed.swap_remove(before);
            }
            _ => {}
        }
    }
    must(PROPERTY, passed.is_empty(), || "a route without an outcome".to_string())
}
