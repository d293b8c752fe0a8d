//! One thread of the soak: sessions one after another, and what must hold of each.
//!
//! After each session its stream is read again and compared with what the modules noted,
//! both ways: what was run has evidence that let it pass and an outcome, and what has an
//! outcome was run.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::Ordering;

use prospera::audience::state::State;
use prospera::digest::Digest;
use prospera::id::{Name, SessionId, SubjectId};
use prospera::identity::{HostClaims, IdentityPolicy, PrincipalKind, Session, VerifiedClaims};
use prospera::intent::Submission;
use prospera::intent::intake::{Channel, native};
use prospera::limits::Limits;
use prospera::provenance::{Label, Source};
use prospera::risk::Risk;
use prospera::routing::{EvidenceBlock, Outcome, OutcomeStatus};
use prospera::ssot::record::{RecordKind, StreamId, StreamKind};
use prospera::ssot::store::Store;
use prospera::ssot::verify::verify_stream;
use prospera::testing::world::{GOVERNOR, WorldDesk, session as vouched};
use prospera::time::{Clock as _, Timestamp};
use prospera::verdict::Verdict;

use crate::hostile::{Hostile, Random, Sender};
use crate::run::{Failure, Ground, add, lanes};

/// Most routes of one session.
const LENGTH: usize = 200;
/// One route in so many is hostile.
const HOSTILE: usize = 10;

/// One thread: sessions one after another.
pub(crate) struct Worker<'a, S> {
    ground: &'a Ground<'a, S>,
    number: usize,
    random: Random,
    /// A session whose claims end soon, and when.
    stale: Option<(WorldDesk, Timestamp)>,
}

/// A session at work.
struct Sitting {
    desk: WorldDesk,
    subject: String,
    id: SessionId,
    governor: Session,
    number: usize,
    /// How many evidence blocks it must have.
    blocks: usize,
}

impl<'a, S: Store> Worker<'a, S> {
    pub(crate) fn new(ground: &'a Ground<'a, S>, number: usize, seed: u64) -> Self {
        Self { ground, number, random: Random::new(seed), stale: None }
    }

    fn policy(&self) -> &'a IdentityPolicy {
        self.ground.router.engines().identity.policy()
    }

    fn now(&self) -> Timestamp {
        self.ground.clock.now()
    }

    pub(crate) fn work(mut self) -> Result<(), Failure> {
        let mut number = 0;
        while self.ground.left.load(Ordering::Relaxed) > 0
            && !self.ground.over.load(Ordering::Relaxed)
        {
            self.sit(number)?;
            number += 1;
        }
        Ok(())
    }

    fn sit(&mut self, number: usize) -> Result<(), Failure> {
        let ground = self.ground;
        let (chapter, worker) = (ground.chapter, self.number);
        // Each subject comes twice: the second session rests on the first.
        let subject = format!("u{chapter}-{worker}-{}", number / 2);
        let id = format!("w{chapter}-{worker}-{number}");
        let session = vouched(self.policy(), &subject, &id, None, self.now())?;
        let desk = ground.router.open(session)?;
        let governor = vouched(self.policy(), "grace", "g-1", Some(GOVERNOR), self.now())?;
        add(Some(&ground.totals.sessions));
        let id: SessionId = id.parse()?;
        let mut sitting = Sitting { desk, subject, id, governor, number: 0, blocks: 0 };
        self.lift(&mut sitting)?;
        let mut left = LENGTH;
        while left > 0 && ground.may_route() {
            left -= 1;
            sitting.number += 1;
            if self.random.below(LENGTH * 4) == 0 {
                self.resume(&mut sitting)?;
            }
            let suspended = is_suspended(&sitting.desk);
            let before = ground.tally.count(&sitting.id);
            if self.random.below(HOSTILE) == 0 {
                let way = self.random.below(Hostile::ALL.len());
                add(Some(&ground.totals.hostile));
                add(ground.totals.ways.get(way));
                let how = Hostile::ALL.get(way).copied().unwrap_or(Hostile::Malformed);
                self.attack(&mut sitting, how)?;
                if how != Hostile::Replayed && ground.tally.count(&sitting.id) != before {
                    return Err(format!("{how:?} was executed").into());
                }
            } else {
                add(Some(&ground.totals.honest));
                self.honest(&mut sitting)?;
            }
            if suspended {
                if ground.tally.count(&sitting.id) != before {
                    return Err("a suspended audience executed something".into());
                }
                left = left.min(4);
            }
        }
        self.compare(&sitting)
    }

    /// A person looks at a subject that was suspended in its session before.
    fn lift(&self, sitting: &mut Sitting) -> Result<(), Failure> {
        let (router, subject): (_, SubjectId) = (&self.ground.router, sitting.subject.parse()?);
        let mut state = sitting.desk.state();
        if state == Some(State::Escalated) {
            state = Some(router.review(&sitting.governor, &subject, "looked at")?);
        }
        if state == Some(State::Hold) {
            router.release(&sitting.governor, &subject, State::Base, "for a second try")?;
            self.resume(sitting)?;
        }
        Ok(())
    }

    /// Takes the session up again, as after a restart.
    fn resume(&self, sitting: &mut Sitting) -> Result<(), Failure> {
        let ground = self.ground;
        let stream = StreamId::new(StreamKind::Session, sitting.id.name().clone());
        let records = verify_stream(ground.router.store(), &stream)?;
        let again = Session::resume(&sitting.id, &records, self.now(), self.policy())?;
        sitting.desk = ground.router.resume(again)?;
        Ok(())
    }

    fn honest(&mut self, sitting: &mut Sitting) -> Result<(), Failure> {
        if self.random.below(20) == 0 {
            return self.pay(sitting).map(|_executed| ());
        }
        let bytes = sitting.sender().honest(&mut self.random);
        self.route(sitting, &bytes, true).map(|_verdict| ())
    }

    /// A payment that a person approves. Answers whether it was carried out.
    fn pay(&self, sitting: &mut Sitting) -> Result<Option<Vec<u8>>, Failure> {
        let bytes = sitting.sender().payment();
        let (verdict, record) = self.route(sitting, &bytes, true)?;
        if verdict != Verdict::StepUp {
            return Ok(None);
        }
        let router = &self.ground.router;
        router.approve(&sitting.governor, &sitting.id, record, true, "")?;
        self.ground.totals.routes.fetch_add(1, Ordering::Relaxed);
        let (verdict, _) = self.route(sitting, &bytes, true)?;
        Ok((verdict == Verdict::Allow).then_some(bytes))
    }

    fn attack(&mut self, sitting: &mut Sitting, how: Hostile) -> Result<(), Failure> {
        let ground = self.ground;
        let turned_away = |refused: bool| {
            add(Some(&ground.totals.at_the_door));
            if refused { Ok(()) } else { Err(Failure::from(format!("{how:?} was let in"))) }
        };
        match how {
            Hostile::Expired => {
                if let Some((desk, ends)) = &mut self.stale
                    && ground.clock.now() >= *ends
                {
                    let id = desk.session().id().name().as_str().to_owned();
                    let subject = desk.session().subject().name().as_str().to_owned();
                    let sender = Sender { subject: &subject, session: &id, number: sitting.number };
                    let bytes = sender.hostile(how, &mut self.random);
                    let submission = read(&bytes, &Channel::new(Source::User), desk, ground);
                    let routed = ground.router.route(desk, submission)?;
                    let denied = routed.verdict == Verdict::Deny;
                    add(ground.totals.verdicts.get(place(routed.verdict)));
                    return if denied { Ok(()) } else { Err("an ended session routed".into()) };
                }
                let now = self.now();
                let id = format!("stale-{}-{}", ground.chapter, self.number);
                let ended = claims(&sitting.subject, &id, now, now)?;
                let later = now.plus_millis(self.policy().leeway_ms() + 1);
                turned_away(Session::open(ended, later, self.policy()).is_err())?;
                if self.stale.is_none() {
                    let ends = now.plus_millis(1000);
                    let claims = claims(&sitting.subject, &id, now, ends)?;
                    let session = Session::open(claims, now, self.policy())?;
                    let desk = ground.router.open(session)?;
                    self.stale = Some((desk, ends.plus_millis(self.policy().leeway_ms())));
                }
                Ok(())
            }
            Hostile::Forged => {
                let id = sitting.id.name().as_str();
                let session =
                    vouched(self.policy(), &sitting.subject, id, Some(GOVERNOR), self.now())?;
                turned_away(ground.router.resume(session).is_err())?;
                forged_token()
            }
            Hostile::Reopened => {
                let id = sitting.id.name().as_str();
                let session = vouched(self.policy(), &sitting.subject, id, None, self.now())?;
                turned_away(ground.router.open(session).is_err())
            }
            Hostile::Replayed => {
                let Some(bytes) = self.pay(sitting)? else { return Ok(()) };
                let before = ground.tally.count(&sitting.id);
                ground.totals.routes.fetch_add(1, Ordering::Relaxed);
                let (verdict, _) = self.route(sitting, &bytes, true)?;
                if verdict == Verdict::Allow || ground.tally.count(&sitting.id) != before {
                    return Err("an approval was used twice".into());
                }
                Ok(())
            }
            _ => {
                let bytes = sitting.sender().hostile(how, &mut self.random);
                let agreed = !matches!(how, Hostile::ForeignSession | Hostile::WrongSubject);
                let (verdict, _) = self.route(sitting, &bytes, agreed)?;
                let standing = sitting.desk.state();
                if how.escalates() && standing == Some(State::Verified) {
                    return Err(format!("{how:?} left the audience in {standing:?}").into());
                }
                match verdict {
                    Verdict::Deny | Verdict::Defer | Verdict::StepUp => Ok(()),
                    Verdict::Allow | Verdict::Modify => Err(format!("{how:?}: {verdict}").into()),
                }
            }
        }
    }

    /// Routes bytes as they arrive, and holds the answer against what was run.
    fn route(
        &self,
        sitting: &mut Sitting,
        bytes: &[u8],
        agreed: bool,
    ) -> Result<(Verdict, Digest), Failure> {
        let ground = self.ground;
        let mut channel = Channel::new(Source::User);
        if agreed {
            channel.subject = Some(sitting.subject.parse()?);
            channel.session = Some(sitting.id.clone());
        }
        let submission = read(bytes, &channel, &sitting.desk, ground);
        let before = ground.tally.count(&sitting.id);
        let routed = ground.router.route(&mut sitting.desk, submission)?;
        let done = ground.tally.count(&sitting.id) - before;
        sitting.blocks += 1;
        add(ground.totals.verdicts.get(place(routed.verdict)));
        let executed = routed.outcome.as_ref().is_some_and(|o| o.status == OutcomeStatus::Done);
        let may = matches!(routed.verdict, Verdict::Allow | Verdict::Modify);
        if done != usize::from(executed) || (executed && !may) {
            return Err(
                format!("{}: {done} runs, outcome {:?}", routed.verdict, routed.outcome).into()
            );
        }
        Ok((routed.verdict, routed.record))
    }

    /// Compares a session's stream with what the modules noted, both ways.
    fn compare(&self, sitting: &Sitting) -> Result<(), Failure> {
        let ground = self.ground;
        let stream = StreamId::new(StreamKind::Routing, sitting.id.name().clone());
        let (mut evidence, mut done) = (HashMap::new(), HashSet::new());
        for record in verify_stream(ground.router.store(), &stream)? {
            match record.kind() {
                RecordKind::EvidenceBlock => {
                    let block: EvidenceBlock = record.read()?;
                    evidence.insert(record.digest(), (block.intent, block.opens_route()));
                }
                RecordKind::Outcome => {
                    let outcome: Outcome = record.read()?;
                    if outcome.status == OutcomeStatus::Done && !done.insert(outcome.evidence) {
                        return Err("two outcomes of one route".into());
                    }
                }
                _ => {}
            }
        }
        if evidence.len() != sitting.blocks {
            let (found, expected) = (evidence.len(), sitting.blocks);
            return Err(format!("expected {expected} evidence blocks, found {found}").into());
        }
        for (key, intent) in ground.tally.take(&sitting.id) {
            if evidence.get(&key) != Some(&(intent, true)) {
                return Err(format!("{key} was run without evidence that let it pass").into());
            }
            if !done.remove(&key) {
                return Err(format!("{key} was run twice, or has no outcome").into());
            }
            add(Some(&ground.totals.executed));
            for (sum, lane) in ground.totals.keys.iter().zip(lanes(&key)) {
                sum.fetch_add(lane, Ordering::Relaxed);
            }
        }
        match done.into_iter().next() {
            Some(key) => Err(format!("the log says {key} was executed, and no module ran").into()),
            None => Ok(()),
        }
    }
}

/// What the host says of a session that ends then.
fn claims(
    subject: &str,
    id: &str,
    now: Timestamp,
    ends: Timestamp,
) -> Result<VerifiedClaims, Failure> {
    Ok(VerifiedClaims::vouched_by_host(HostClaims {
        principal: subject.parse()?,
        kind: PrincipalKind::Human,
        subject: subject.parse()?,
        session: id.parse()?,
        roles: [].into(),
        scopes: ["work".parse::<Name>()?].into(),
        delegation: Vec::new(),
        consent: true,
        strength: Risk::MAX,
        issued_at: now,
        expires_at: ends,
    }))
}

impl Sitting {
    fn sender(&self) -> Sender<'_> {
        Sender { subject: &self.subject, session: self.id.name().as_str(), number: self.number }
    }
}

fn is_suspended(desk: &WorldDesk) -> bool {
    matches!(desk.state(), Some(State::Escalated | State::Hold))
}

fn place(verdict: Verdict) -> usize {
    match verdict {
        Verdict::Allow => 0,
        Verdict::Modify => 1,
        Verdict::StepUp => 2,
        Verdict::Defer => 3,
        Verdict::Deny => 4,
    }
}

fn read<S>(
    bytes: &[u8],
    channel: &Channel,
    desk: &WorldDesk,
    ground: &Ground<'_, S>,
) -> Submission {
    let nothing = Label::empty();
    match native::read(bytes, channel, &Limits::DEFAULT) {
        Ok(expanded) => {
            expanded.submit(&ground.catalogue, desk.context().unwrap_or(&nothing), None)
        }
        Err(malformed) => Submission::Malformed(malformed),
    }
}

/// A signed token with a changed signature opens nothing.
#[cfg(feature = "jwt")]
fn forged_token() -> Result<(), Failure> {
    use prospera::identity::TokenVerifier;
    let keys = include_str!("../office/policy/jwks.json");
    let policy = include_str!("../office/policy/identity.toml");
    let good = include_str!("../office/tokens/nora.jwt").trim();
    let policy = IdentityPolicy::from_toml("identity.toml", policy)?;
    let verifier = TokenVerifier::from_jwks(keys)?;
    let then = Timestamp::from_millis(1_767_603_600_000);
    let (front, signature) = good.rsplit_once('.').ok_or("a token has three parts")?;
    let forged = format!("{front}.{}", signature.chars().rev().collect::<String>());
    if verifier.verify(&forged, then, &policy).is_ok() {
        return Err("a forged token was believed".into());
    }
    let late = then.plus_millis(10 * 365 * 86_400_000);
    if verifier.verify(good, then, &policy).is_err() || verifier.verify(good, late, &policy).is_ok()
    {
        return Err("a token was believed at the wrong time".into());
    }
    Ok(())
}

#[cfg(not(feature = "jwt"))]
fn forged_token() -> Result<(), Failure> {
    Ok(())
}
