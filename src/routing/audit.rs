//! What the Integrity Matrix asks of bodies: schema, identity, lineage, replay, policy.
//!
//! The log's own checks (chain, proof, order) stand in [`crate::ssot::matrix`]. An
//! [`Auditor`] makes the others, record by record in the order of the log. It needs no
//! policy file, no key and no engine: what it asks follows from the records alone.
//!
//! ```
//! use prospera::routing::audit::Auditor;
//! use prospera::ssot::matrix::{Inspector, Made, Options, State};
//! use prospera::testing::world::Setup;
//!
//! let world = Setup::sample()?.build()?;
//! let mut desk = world.open("alice", "s-1")?;
//! let intent = world.intent("note.read", "Read my notes.", &[("name", "today".into())])?;
//! world.router.route(&mut desk, intent)?;
//!
//! let store = world.router.store();
//! let mut inspector = Inspector::new(Auditor::new());
//! let run = inspector.run(store, &Options::default(), |_| {})?;
//! assert_eq!((run.from, run.read), (0, store.len()?));
//! let made = Made { at: world.clock.now(), by: "example".into() };
//! let matrix = inspector.matrix(store, made)?;
//! assert_ne!(matrix.verdict(), State::Unsound);
//! # use prospera::ssot::store::Store as _;
//! # use prospera::time::Clock as _;
//! # Ok::<(), prospera::testing::world::Failure>(())
//! ```
//!
//! # What is asked, exactly
//!
//! **Schema.** The record's kind belongs into a stream of its kind; the body reads as the
//! kind's type to its last byte; what was read encodes to the same bytes.
//!
//! **Identity.** The record's source is a subsystem that writes this kind. Evidence: the
//! session of the routing stream was opened for this subject and by this principal, is
//! not closed, and, where the route passed the Identity System, its claims held at that
//! time (within [`LEEWAY_MILLIS`], the largest leeway any identity policy may allow). An
//! opening: its claims name this session and this subject, held when they were verified,
//! and their delegation chain only narrows. Records of an audience, facts and decisions:
//! a session was opened for the subject before. A decision: nobody decides on what they
//! asked for themselves.
//!
//! **Lineage.** An outcome names the evidence of the route that is open. Approvals,
//! backtracks, releases, reviews and governed downgrades name a decision that is in the
//! subject's governance stream, was granted, had not ended, is about exactly this, and
//! was not used before. A decision answers a question that a route had asked. The memory
//! snapshot that evidence and clearances name is the head of the subject's memory stream.
//! A move that the Safety System asked for stands in one commit with the evidence of the
//! route it follows from. A session's opening stands in the session's stream and right
//! after it in the subject's, alike. A payload that is kept is the one that is named; one
//! that is not kept was erased by a decision of governance that stands in the subject's
//! stream, which is counted and no fault. A route without outcome is open, which is told and
//! no fault.
//!
//! **Replay.** An audience's record starts from the state the stream has reached and is
//! an edge of the table. Routes of one session follow each other; the Routing ID is the
//! one that its components give, with the votes that stand after the routes before; the
//! state named is the one the audience had at that place of the log; the trace goes
//! through the layers in their order. Facts are taken in the order of their versions,
//! within their bounds. A session is opened once, and closed when it is open.
//!
//! **Policy.** Evidence names the pins in force at that place of the log. Clearances,
//! blocks and constitutional checks name the parts of that set; decisions and openings,
//! which do not wait for the policy stream, those of a set that was ever in force. The files
//! that a pin names are kept, and are those it names.
//!
//! Scores of a session against earlier ones, and conflicts that were detected, are held
//! against schema and source; nothing else rests on them here.
//!
//! **Snapshot.** Applies from a stream's first snapshot on. It stands where one may
//! ([`crate::ssot::snapshot`]); an audience's names the state and the review that the
//! records before it lead to. A session's holds a profile that only the modeling rules
//! can make again: it is *not checked* here, and
//! [`Router::check_snapshots`](crate::routing::Router::check_snapshots) or a replay says
//! what [`Matrix::lay_over`](crate::ssot::matrix::Matrix::lay_over) takes.
//!
//! **Order**, beside what the log asks: an outcome stands where a route is open; evidence
//! and decisions carry the record's own time; a route that passed the Identity System has
//! a time not before the session's last route, beyond the leeway. Nothing else is asked of
//! time: a clock may step back, and records say so ([`crate::ssot::plan`]).
//!
//! What it costs to remember: some 40 bytes for an audience, 250 for a session, 60 for its
//! routes; for a subject 110 for each question nobody has answered and 130 for each
//! decision nobody has used, 1024 of each at most; for its facts what its keys take.
//!
//! Requirements: PLAN-8.5.

use crate::digest::Digest;
use crate::encode::{DecodeError, Reader, Writer};
use crate::id::{Name, Subsystem};
use crate::limits::LEEWAY_MILLIS;
use crate::routing::audit::memo::Memo;
use crate::routing::audit::policies::Policies;
use crate::routing::audit::schema::Body;
use crate::ssot::matrix::{Cell, Check, Examiner, Fault, Rule, Scene, Why};
use crate::ssot::record::{Record, RecordKind, StreamId, StreamKind};
use crate::ssot::store::{Store, StoreError};
use crate::time::Timestamp;

mod audiences;
mod decisions;
mod evidence;
mod facts;
mod memo;
mod policies;
mod schema;
mod sessions;

/// Makes the checks that read bodies.
#[derive(Debug, Clone, Default)]
pub struct Auditor {
    policies: Policies,
    /// What the next record must be.
    pending: Option<Pending>,
    /// The last place whose record could not be believed.
    gap: Option<u64>,
    /// The first such place: what is missing from there on may have stood there.
    blind: Option<u64>,
}

/// What the next record must be, because one commit wrote both.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Pending {
    what: Due,
    /// Whose record asks for it, and where that stands.
    stream: StreamId,
    at: (u64, u64),
    time: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Due {
    /// The same opening, with this digest, in the stream of the subject.
    Twin { subject: Name, body: Digest },
    /// The evidence of a route of this subject.
    Evidence { subject: Name },
}

impl Auditor {
    /// Nothing was seen yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what was due, if this is it; says whether it was.
    fn settle(&mut self, record: &Record, body: &Body, scene: &mut Scene<'_, Memo>) -> bool {
        let Some(pending) = self.pending.take() else { return false };
        let same_commit = record.timestamp() == pending.time;
        let fits = match (&pending.what, body) {
            (Due::Twin { subject, body }, Body::Opened(_)) => {
                record.stream().kind() == StreamKind::Subject
                    && record.stream().name() == subject
                    && sessions::body_digest(record) == *body
            }
            (Due::Evidence { subject }, Body::Evidence(block)) => block.subject.name() == subject,
            // The same commit goes on with the same audience.
            (Due::Evidence { .. }, Body::Audience(_)) if same_commit => {
                let same = *record.stream() == pending.stream;
                if same {
                    self.pending = Some(pending);
                    return false;
                }
                same
            }
            _ => false,
        };
        if !(fits && same_commit) {
            let found = alloc::format!("{} of `{}`", record.kind().name(), record.stream());
            scene.fault_in(&pending.stream, pending.fault(&found));
        }
        fits && same_commit
    }
}

impl Pending {
    fn fault(&self, found: &str) -> Fault {
        let next = self.at.0.saturating_add(1);
        match &self.what {
            Due::Twin { subject, .. } => {
                let expected = alloc::format!(
                    "record {next} to be the same opening in the stream of subject `{subject}`"
                );
                Fault::new(Rule::Twin, self.at, expected, found)
            }
            Due::Evidence { subject } => {
                let expected = alloc::format!(
                    "the evidence of a route of `{subject}` in the same commit, after it"
                );
                Fault::new(Rule::Cause, self.at, expected, found)
            }
        }
    }
}

impl Examiner for Auditor {
    type Memo = Memo;
    const NAME: &'static str = "prospera routing audit 1";

    fn starts(&self, check: Check, kind: StreamKind) -> Cell {
        let applies = match check {
            Check::Chain | Check::Proof | Check::Order | Check::Schema | Check::Identity => true,
            Check::Lineage => !matches!(kind, StreamKind::Memory | StreamKind::Policy),
            Check::Replay => {
                !matches!(kind, StreamKind::Governance | StreamKind::Policy | StreamKind::Subject)
            }
            Check::Policy => kind != StreamKind::Memory,
            Check::Snapshot => false,
        };
        if applies { Cell::NEW } else { Cell::NotApplicable }
    }

    fn examine<S: Store + ?Sized>(
        &mut self,
        record: &Record,
        scene: &mut Scene<'_, Memo>,
        store: &S,
    ) -> Result<(), StoreError> {
        check_source(record, scene);
        let Some(body) = schema::read(record, scene) else {
            self.gap(scene.index());
            return Ok(());
        };
        let settled = self.settle(record, &body, scene);
        match &body {
            Body::Audience(entry) => self.audience(record, entry.as_ref(), scene),
            Body::Opened(opened) => self.opened(record, opened, settled, scene),
            Body::Closed => sessions::closed(record, scene),
            Body::Evidence(block) => self.evidence(record, block, scene, store)?,
            Body::Outcome(outcome) => evidence::outcome(record, outcome, scene, store)?,
            Body::Fact(fact) => {
                known_subject(record, self.blind, scene);
                facts::fact(fact, scene);
            }
            Body::Decision(decision) => self.decision(record, decision, scene),
            Body::Pinned(pinned) => {
                self.policies.pin(record.stream(), pinned);
                policies::content(pinned, scene, store)?;
            }
            Body::Saved => evidence::saved(record, scene),
            Body::Noted => {}
        }
        Ok(())
    }

    fn gap(&mut self, index: u64) {
        self.pending = None;
        self.gap = Some(index);
        self.blind = self.blind.or(Some(index));
    }

    fn pending(&self) -> Option<(StreamId, Fault)> {
        let pending = self.pending.as_ref()?;
        Some((pending.stream.clone(), pending.fault("the log's end")))
    }

    fn closing<'m>(
        &self,
        stream: &StreamId,
        memo: &'m Memo,
        other: &dyn Fn(&StreamId) -> Option<&'m Memo>,
    ) -> Option<Fault> {
        let Memo::Routing(routes) = memo else { return None };
        let at = routes.missing?;
        let of = |kind, name: &Name| StreamId::new(kind, name.clone());
        let Some(Memo::Session(session)) = other(&of(StreamKind::Session, stream.name())) else {
            return None;
        };
        let decided = match other(&of(StreamKind::Governance, session.subject.name())) {
            Some(Memo::Governance(memo)) => memo.erased_before,
            _ => 0,
        };
        let gone = decided <= at.0 && self.blind.is_none();
        let expected = "the payload it names, or a decision to erase it";
        gone.then(|| Fault::new(Rule::Payload, at, expected, "neither"))
    }

    fn remarks(&self, memo: &Memo) -> (Option<u64>, u64) {
        match memo {
            Memo::Routing(routes) => (routes.open.as_ref().map(|open| open.index), routes.erased),
            _ => (None, 0),
        }
    }

    fn policy(&self) -> Option<Digest> {
        self.policies.in_force().map(crate::routing::Pins::digest)
    }

    fn save(&self, out: &mut Writer) {
        self.policies.save(out);
        match &self.pending {
            None => {
                out.u8(0);
            }
            Some(Pending { what, stream, at, time }) => {
                match what {
                    Due::Twin { subject, body } => out.u8(1).value(subject).digest(body),
                    Due::Evidence { subject } => out.u8(2).value(subject),
                };
                out.value(stream).u64(at.0).u64(at.1).value(time);
            }
        }
        memo::put_number(self.gap, out);
        memo::put_number(self.blind, out);
    }

    fn load(&mut self, input: &mut Reader<'_>) -> Result<(), DecodeError> {
        self.policies = Policies::load(input)?;
        let offset = input.offset();
        let what = match input.u8()? {
            0 => None,
            1 => Some(Due::Twin { subject: input.value()?, body: input.digest()? }),
            2 => Some(Due::Evidence { subject: input.value()? }),
            other => return Err(Reader::bad_tag("what is due", other, offset)),
        };
        self.pending = match what {
            None => None,
            Some(what) => Some(Pending {
                what,
                stream: input.value()?,
                at: (input.u64()?, input.u64()?),
                time: input.value()?,
            }),
        };
        self.gap = memo::number(input)?;
        self.blind = memo::number(input)?;
        Ok(())
    }

    fn reset(&mut self) {
        *self = Self::default();
    }
}

/// The subsystems that write records of a kind.
pub const fn sources(kind: RecordKind) -> &'static [Subsystem] {
    match kind {
        RecordKind::AudienceEvent
        | RecordKind::EnvelopeBlock
        | RecordKind::TransitionRefused
        | RecordKind::ConstitutionalCheck => {
            &[Subsystem::Audience, Subsystem::Safety, Subsystem::Governance]
        }
        RecordKind::SessionOpened | RecordKind::SessionClosed | RecordKind::IdentityScored => {
            &[Subsystem::Identity]
        }
        RecordKind::ConflictDetected => &[Subsystem::Ssot],
        RecordKind::EvidenceBlock => &[Subsystem::Routing],
        RecordKind::Outcome => &[Subsystem::Execution],
        RecordKind::Fact => &[Subsystem::Memory],
        RecordKind::GovernanceDecision | RecordKind::PolicyPinned => &[Subsystem::Governance],
        RecordKind::Snapshot => {
            &[Subsystem::Audience, Subsystem::Safety, Subsystem::Governance, Subsystem::Routing]
        }
    }
}

fn check_source(record: &Record, scene: &mut Scene<'_, Memo>) {
    let allowed = sources(record.kind());
    if !allowed.contains(&record.source()) {
        let names: alloc::vec::Vec<&str> = allowed.iter().map(|source| source.name()).collect();
        let expected = alloc::format!("{} as its source", names.join(" or "));
        scene.fault(Rule::Source, expected, record.source().name());
    }
}

/// The stream of another kind with the same name.
fn beside(record: &Record, kind: StreamKind) -> StreamId {
    StreamId::new(kind, record.stream().name().clone())
}

/// Notes that something is not there; or, behind a record that could not be believed and
/// may have been it, that it is not known.
fn absent(
    blind: Option<u64>,
    scene: &mut Scene<'_, Memo>,
    rule: Rule,
    expected: impl core::fmt::Display,
) {
    match blind {
        Some(index) => scene.end(rule.check(), Why::Gap { index }),
        None => scene.fault(rule, expected, "none"),
    }
}

/// That a session was opened for the subject whose stream this is.
fn known_subject(record: &Record, blind: Option<u64>, scene: &mut Scene<'_, Memo>) {
    let stream = beside(record, StreamKind::Subject);
    match scene.other(&stream) {
        None => {
            let expected = alloc::format!("a session that was opened for `{}`", stream.name());
            absent(blind, scene, Rule::NoSession, expected);
        }
        Some(other) => {
            if let Some(why) = other.doubt {
                scene.end(Check::Identity, why);
            }
        }
    }
}

/// Whether a clock that shows `time` is not before `earlier`, beyond any leeway.
const fn not_before(time: Timestamp, earlier: Timestamp) -> bool {
    earlier.since(time) <= LEEWAY_MILLIS
}

/// Ends the check that needs another stream, which is doubted or unread; gives the reason
/// to go no further.
fn rests(scene: &mut Scene<'_, Memo>, check: Check, why: Option<Why>) -> bool {
    match why {
        Some(why) => {
            scene.end(check, why);
            true
        }
        None => false,
    }
}
