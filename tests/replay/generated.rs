//! Whatever a router does, a replay does again: generated runs.

use proptest::prelude::*;
use prospera::audience::causes::HoldTrigger;
use prospera::audience::state::State;
use prospera::audience::table::Way;
use prospera::digest::Digest;
use prospera::id::SubjectId;
use prospera::memory::NewFact;
use prospera::provenance::{Label, Source};
use prospera::ssot::record::RecordKind;
use prospera::ssot::store::Store as _;
use prospera::testing::world::{Setup, World, WorldDesk};
use prospera::value::Value;
use prospera::verdict::Verdict;

use super::{replayed, same};

/// One step of a run with several subjects and sessions.
#[derive(Debug, Clone)]
enum Step {
    Open,
    Route { session: usize, kind: usize, text: u8, twice: bool },
    Odd { session: usize },
    Fact { session: usize, value: u8 },
    Suspend { subject: usize },
    Review { subject: usize },
    Release { subject: usize, restricted: bool },
    Request { session: usize, to: usize },
    Answer { granted: bool },
    Settle { session: usize },
    Resume { session: usize },
    Wait { millis: u32 },
}

fn step() -> impl Strategy<Value = Step> {
    let session = 0..6_usize;
    prop_oneof![
        2 => Just(Step::Open),
        12 => (session.clone(), 0..5_usize, 0..4_u8, any::<bool>())
            .prop_map(|(session, kind, text, twice)| Step::Route { session, kind, text, twice }),
        1 => session.clone().prop_map(|session| Step::Odd { session }),
        2 => (session.clone(), 0..3_u8).prop_map(|(session, value)| Step::Fact { session, value }),
        1 => (0..2_usize).prop_map(|subject| Step::Suspend { subject }),
        1 => (0..2_usize).prop_map(|subject| Step::Review { subject }),
        2 => (0..2_usize, any::<bool>())
            .prop_map(|(subject, restricted)| Step::Release { subject, restricted }),
        1 => (session.clone(), 0..7_usize).prop_map(|(session, to)| Step::Request { session, to }),
        3 => any::<bool>().prop_map(|granted| Step::Answer { granted }),
        1 => session.clone().prop_map(|session| Step::Settle { session }),
        1 => session.prop_map(|session| Step::Resume { session }),
        1 => (0..200_000_u32).prop_map(|millis| Step::Wait { millis }),
    ]
}

const SUBJECTS: [&str; 2] = ["alice", "bob"];

const KINDS: [(&str, &str); 5] = [
    ("note.read", "name"),
    ("note.write", "name"),
    ("web.read", "address"),
    ("payment.send", "to"),
    ("key.rotate", "key"),
];

struct Run {
    world: World,
    desks: Vec<WorldDesk>,
    governor: prospera::identity::Session,
    asked: Option<(usize, Digest, (usize, u8))>,
}

impl Run {
    fn new() -> Self {
        let world = Setup::sample().unwrap().build().unwrap();
        let governor = world.governor("grace", "g-1").unwrap();
        Self { world, desks: Vec::new(), governor, asked: None }
    }

    fn route(&mut self, session: usize, kind: usize, text: u8) {
        let Some(desk) = self.desks.get_mut(session) else { return };
        let (kind_name, argument) = KINDS[kind];
        let text_value = format!("value {text}");
        let mut request =
            prospera::testing::world::request(kind_name, &[(argument, text_value.as_str().into())])
                .unwrap();
        request.subject = desk.session().subject().clone();
        request.session = desk.session().id().clone();
        let intent = self.world.catalogue.intent(request).unwrap();
        if let Ok(routed) = self.world.router.route(desk, intent.into())
            && routed.verdict == Verdict::StepUp
        {
            self.asked = Some((session, routed.record, (kind, text)));
        }
    }

    /// Does a step; what the router refuses is refused.
    fn step(&mut self, step: &Step) {
        let router = &self.world.router;
        let subject =
            |number: usize| -> SubjectId { SUBJECTS[number % SUBJECTS.len()].parse().unwrap() };
        match *step {
            Step::Open => {
                let number = self.desks.len();
                let name = SUBJECTS[number % SUBJECTS.len()];
                self.desks.push(self.world.open(name, &format!("s-{number}")).unwrap());
            }
            Step::Route { session, kind, text, twice } => {
                self.route(session, kind, text);
                if twice {
                    self.route(session, kind, text);
                }
            }
            Step::Odd { session } => {
                let Some(desk) = self.desks.get_mut(session) else { return };
                let reason =
                    prospera::verdict::Reason::new(prospera::verdict::ReasonCode::IntentMalformed);
                let odd = prospera::intent::Malformed {
                    digest: prospera::digest::Domain::Malformed.hash(b"odd"),
                    subject: None,
                    session: None,
                    reason: reason.detail("expected a value"),
                };
                let _routed = router.route(desk, odd.into()).unwrap();
            }
            Step::Fact { session, value } => {
                let Some(desk) = self.desks.get_mut(session) else { return };
                let value = Value::Text(format!("value {value}").into());
                let fact =
                    NewFact::new("landlord".parse().unwrap(), value, Label::from(Source::User));
                let _refused = router.remember(desk, fact);
            }
            Step::Suspend { subject: number } => {
                let _refused = router.suspend(&subject(number), HoldTrigger::GovernanceFlag);
            }
            Step::Review { subject: number } => {
                let _refused = router.review(&self.governor, &subject(number), "seen");
            }
            Step::Release { subject: number, restricted } => {
                let to = if restricted { State::Restricted } else { State::Base };
                let _refused = router.release(&self.governor, &subject(number), to, "go on");
            }
            Step::Request { session, to } => {
                let Some(desk) = self.desks.get_mut(session) else { return };
                let _refused = router.request(desk, State::ALL[to], Way::Advance);
            }
            Step::Answer { granted } => {
                let Some((session, record, (kind, text))) = self.asked.take() else { return };
                let id = self.desks[session].session().id().clone();
                if router.approve(&self.governor, &id, record, granted, "so be it").is_ok() {
                    self.route(session, kind, text);
                }
            }
            Step::Settle { session } => {
                let Some(desk) = self.desks.get_mut(session) else { return };
                let _nothing = router.settle(desk).unwrap();
            }
            Step::Resume { session } => {
                let Some(desk) = self.desks.get_mut(session) else { return };
                let id = desk.session().id().clone();
                let stream = prospera::ssot::record::StreamId::new(
                    prospera::ssot::record::StreamKind::Session,
                    id.name().clone(),
                );
                let records =
                    prospera::ssot::verify::verify_stream(router.store(), &stream).unwrap();
                let identity = Setup::sample().unwrap().identity;
                let now = prospera::time::Clock::now(&self.world.clock);
                let session = prospera::identity::Session::resume(&id, &records, now, &identity);
                if let Ok(session) = session {
                    *desk = router.resume(session).unwrap();
                }
            }
            Step::Wait { millis } => self.world.clock.advance_millis(millis.into()),
        }
    }
}

fn run(steps: &[Step]) -> Run {
    let mut run = Run::new();
    for _ in 0..2 {
        run.step(&Step::Open);
    }
    for step in steps {
        run.step(step);
    }
    run
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(64)
    })]

    /// Issue 4 §3: any run is derived again, byte for byte, on any number of threads.
    #[test]
    fn any_run_replays(steps in prop::collection::vec(step(), 1..60)) {
        let run = run(&steps);
        let one = same(&run.world);
        prop_assert_eq!(replayed(run.world.router.store(), 3), one);
    }
}

/// With the seeds of shrunk failures in code: they are met on every run.
#[test]
fn a_session_begins_with_what_earlier_ones_left() {
    let route = |session, kind, text| Step::Route { session, kind, text, twice: false };
    let steps = [Step::Open, route(1, 4, 0), Step::Open, route(3, 0, 0), route(1, 0, 1)];
    same(&run(&steps).world);
}

/// The steps reach what they are for: otherwise the property says little.
#[test]
fn the_steps_leave_every_kind_of_record() {
    use Step::{Answer, Fact, Odd, Open, Release, Request, Review, Route, Suspend, Wait};
    let route = |session, kind, text| Route { session, kind, text, twice: true };
    let steps = [
        Open,
        Open,
        route(0, 0, 1),
        route(1, 1, 1),
        Fact { session: 0, value: 1 },
        route(2, 1, 2),
        route(0, 3, 1),
        Answer { granted: true },
        route(1, 3, 1),
        Answer { granted: false },
        Odd { session: 2 },
        Wait { millis: 90_000 },
        Suspend { subject: 0 },
        route(0, 0, 2),
        Release { subject: 0, restricted: true },
        route(2, 0, 1),
        Request { session: 1, to: 0 },
        route(1, 4, 1),
        Review { subject: 1 },
        Release { subject: 1, restricted: false },
        Open,
        route(4, 2, 1),
        Step::Resume { session: 2 },
        route(2, 1, 3),
        route(0, 4, 1),
    ];
    let run = run(&steps);
    let report = same(&run.world);
    for kind in [
        RecordKind::AudienceEvent,
        RecordKind::SessionOpened,
        RecordKind::EvidenceBlock,
        RecordKind::Outcome,
        RecordKind::Fact,
        RecordKind::GovernanceDecision,
        RecordKind::PolicyPinned,
        RecordKind::TransitionRefused,
        RecordKind::ConstitutionalCheck,
    ] {
        assert!(report.kinds.contains_key(&kind), "{kind:?} in {report:#?}");
    }
    assert!(run.world.router.store().len().unwrap() > 60);
}
