//! One line after another through the router.

use std::sync::Arc;

use prospera::digest::Digest;
use prospera::id::{RequestId, SessionId, SubjectId};
use prospera::intent::intake::{Channel, Mapping, digest, mcp, native};
use prospera::intent::{Catalogue, Expanded, Malformed, Objective, Submission};
use prospera::json;
use prospera::limits::Limits;
use prospera::memory::NewFact;
use prospera::policy::RouterSettings;
use prospera::provenance::{Label, Source, SourcePattern};
use prospera::routing::{EvidenceBlock, Routed, payloads};
use prospera::ssot::record::{RecordKind, StreamId, StreamKind};
use prospera::ssot::verify::verify_stream;
use prospera::time::Clock as _;
use prospera::value::Value;
use prospera::verdict::{Reason, ReasonCode};

use super::control::{Control, DecideLine, FactLine, is_control, read};
use super::input::Line;
use super::sessions::{Refused, Sessions};
use crate::failure::Failure;
use crate::store::{CliClock, CliRouter};

/// A run: the router and what it is asked with.
pub(crate) struct Run {
    pub(crate) router: CliRouter,
    pub(crate) sessions: Sessions,
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) intake: Option<Mapping>,
    pub(crate) settings: RouterSettings,
    pub(crate) limits: Limits,
    pub(crate) calls_only: bool,
    pub(crate) input: String,
}

/// What came of a line.
pub(crate) enum Done {
    /// It was routed.
    Routed { routed: Box<Routed>, session: SessionId, request: Option<RequestId>, malformed: bool },
    /// It spoke for the host, and was done.
    Control(String),
}

impl Run {
    /// Does what a line asks for. What cannot be read, or not be done, is routed all the
    /// same, to be Blocked with evidence.
    pub(crate) fn line(&mut self, line: &Line, clock: &CliClock) -> Result<Done, Failure> {
        let value = json::parse(&line.bytes, &self.limits).ok();
        if value.as_ref().is_some_and(is_control) {
            let refused = if self.calls_only {
                "expected a call: `--calls-only` refuses lines that speak for the host".to_owned()
            } else {
                match self.control(&line.bytes, value.as_ref(), clock) {
                    Ok(done) => return Ok(Done::Control(done)),
                    Err(Refused::Run(failure)) => return Err(failure),
                    Err(Refused::Line(why)) => why,
                }
            };
            return self.refuse(line, None, None, &refused, clock);
        }
        match self.expand(&line.bytes, value.as_ref()) {
            Ok(expanded) => self.submit(line, expanded, clock),
            Err(malformed) => self.malformed(malformed, clock),
        }
    }

    /// Reads a line as what it is: a mapped record, an MCP call, or the project's own.
    fn expand(&self, bytes: &[u8], value: Option<&Value>) -> Result<Expanded, Malformed> {
        let at = |pointer: &str| value.and_then(|value| json::at(value, pointer));
        let text = |pointer: &str| at(pointer).and_then(Value::as_text);
        let said = |pointer: &str| {
            let session: SessionId = text(pointer)?.parse().ok()?;
            self.sessions.said.get(&session).cloned()
        };
        let heard = |objective: Option<Objective>| match objective {
            Some(objective) => {
                let mut channel = Channel::new(Source::User);
                channel.objective = Some(objective);
                channel
            }
            None => Channel::new(self.settings.instruction()),
        };
        let limits = &self.limits;
        if text("/jsonrpc").is_some() {
            let said = said("/params/_meta/prospera~1session");
            return mcp::read(bytes, &heard(said), limits);
        }
        if let Some(mapping) = &self.intake {
            return mapping.read(bytes, &Channel::new(self.settings.instruction()), limits);
        }
        let own = at("/objective").is_some();
        let said = if own { None } else { said("/session") };
        native::read(bytes, &heard(said), limits)
    }

    fn submit(
        &mut self,
        line: &Line,
        expanded: Expanded,
        clock: &CliClock,
    ) -> Result<Done, Failure> {
        let (session, subject) = (expanded.session.clone(), expanded.subject.clone());
        match self.sessions.find(&self.router, &session, &subject, clock.now()) {
            Ok(()) => {}
            Err(Refused::Run(failure)) => return Err(failure),
            Err(Refused::Line(why)) => {
                return self.refuse(line, Some(session), Some(subject), &why, clock);
            }
        }
        let request = expanded.request.clone();
        let Some(desk) = self.sessions.desks.get_mut(&session) else {
            return Err(Failure::new(format!("session `{session}` is not open")));
        };
        let nothing = Label::empty();
        let facts = |value: &Value| {
            let mut found = desk.facts()?.holding(value).map(|(_, fact)| fact.read_label());
            let first = found.next()?;
            Some(found.fold(first, |all, one| all.join(&one)))
        };
        let context = desk.context().unwrap_or(&nothing);
        let submission = expanded.submit(&self.catalogue, context, Some(&facts));
        let malformed = submission.intent().is_none();
        let routed = Box::new(self.router.route(desk, submission)?);
        Ok(Done::Routed { routed, session, request, malformed })
    }

    /// Routes what cannot be read in the session it belongs to, where that one is open.
    fn malformed(&mut self, malformed: Malformed, clock: &CliClock) -> Result<Done, Failure> {
        let named = malformed.session.clone().zip(malformed.subject.clone());
        let open = named.filter(|(session, subject)| {
            let found = self.sessions.find(&self.router, session, subject, clock.now());
            found.is_ok()
        });
        let session = match open {
            Some((session, _)) => session,
            None => self.sessions.unattributed(&self.router, clock.now())?,
        };
        let Some(desk) = self.sessions.desks.get_mut(&session) else {
            return Err(Failure::new(format!("session `{session}` is not open")));
        };
        let routed = Box::new(self.router.route(desk, Submission::Malformed(malformed))?);
        Ok(Done::Routed { routed, session, request: None, malformed: true })
    }

    fn refuse(
        &mut self,
        line: &Line,
        session: Option<SessionId>,
        subject: Option<SubjectId>,
        why: &str,
        clock: &CliClock,
    ) -> Result<Done, Failure> {
        let reason = Reason::new(ReasonCode::IdentityUnverified).detail(why);
        let digest = digest(&line.bytes);
        let id = self.sessions.unattributed(&self.router, clock.now())?;
        let Some(desk) = self.sessions.desks.get_mut(&id) else {
            return Err(Failure::new(format!("session `{id}` is not open")));
        };
        let malformed = Malformed { digest, subject, session, reason };
        let routed = Box::new(self.router.route(desk, Submission::Malformed(malformed))?);
        Ok(Done::Routed { routed, session: id, request: None, malformed: true })
    }

    fn control(
        &mut self,
        bytes: &[u8],
        value: Option<&Value>,
        clock: &CliClock,
    ) -> Result<String, Refused> {
        match read(bytes).map_err(Refused::Line)? {
            Control::Session(line) => {
                let id = self.sessions.open(&self.router, line, clock.now())?;
                Ok(format!("session `{id}` opened"))
            }
            Control::User(line) => {
                let session = line.session;
                self.sessions.said.insert(session.clone(), Objective::new(&line.text));
                Ok(format!("the user of `{session}` spoke"))
            }
            Control::Fact(line) => self.fact(line, value),
            Control::Decide(line) => self.decide(&line),
            Control::Review(line) => {
                let governor = desk(&self.sessions, &line.by)?.session();
                let state = self.router.review(governor, &line.subject, &line.note);
                let state = state.map_err(said)?;
                self.reread(&line.subject, clock)?;
                Ok(format!("the escalation of `{}` was reviewed: {state}", line.subject))
            }
            Control::Release(line) => {
                let governor = desk(&self.sessions, &line.by)?.session();
                let state = self.router.release(governor, &line.subject, line.to, &line.note);
                let state = state.map_err(said)?;
                self.reread(&line.subject, clock)?;
                Ok(format!("`{}` was released from HOLD: {state}", line.subject))
            }
        }
    }

    fn fact(&mut self, line: FactLine, value: Option<&Value>) -> Result<String, Refused> {
        let Some(desk) = self.sessions.desks.get_mut(&line.session) else {
            return Err(not_open(&line.session));
        };
        let mut label = Label::empty().with_sensitivity(line.sensitivity);
        if line.sources.is_empty() {
            label.absorb(&Source::Policy.into());
        }
        for source in line.sources {
            label.absorb(&source_of(source).map_err(Refused::Line)?.into());
        }
        let written = value.and_then(|value| json::at(value, "/fact/value"));
        let value = written.filter(|value| **value != Value::Null).cloned();
        let key = line.key.clone();
        let withdrawn = value.is_none();
        let fact = NewFact { key: line.key, value, label, context: line.context, expires_at: None };
        let version = self.router.remember(desk, fact).map_err(said)?;
        let what = if withdrawn { "withdrawn" } else { "remembered" };
        Ok(format!("`{key}` {what}, version {version}"))
    }

    fn decide(&mut self, line: &DecideLine) -> Result<String, Refused> {
        let record = self.stepped_up(&line.session, &line.request)?;
        let approver = desk(&self.sessions, &line.by)?.session();
        let decided = self.router.approve(approver, &line.session, record, line.grant, &line.note);
        let decided = decided.map_err(said)?;
        // What was decided stands in the subject's stream: the desk reads it again.
        let policy = Arc::clone(self.router.engines().identity.policy());
        let now = decided.decision.decided_at();
        let fresh = super::sessions::resume(&self.router, &policy, &line.session, now)?;
        self.sessions.desks.insert(line.session.clone(), fresh);
        let what = if line.grant { "granted" } else { "refused" };
        Ok(format!("`{}` {what} by `{}`", line.request, decided.decision.decider()))
    }

    /// The last route of a session that carries this request's mark.
    fn stepped_up(&self, session: &SessionId, request: &str) -> Result<Digest, Refused> {
        let stream = StreamId::new(StreamKind::Routing, session.name().clone());
        let records =
            verify_stream(self.router.store(), &stream).map_err(|e| Refused::Run(e.into()))?;
        let mut found = None;
        for record in records.iter().filter(|r| r.kind() == RecordKind::EvidenceBlock) {
            let block: EvidenceBlock = record.read().map_err(|e| Refused::Run(e.into()))?;
            let payload = payloads::intent(self.router.store(), &block);
            let payload = payload.map_err(|e| Refused::Run(Failure::new(e)))?;
            let mark = payload.and_then(|bytes| crate::records::request_of(&bytes));
            if mark.is_some_and(|mark| mark.as_str() == request) {
                found = Some(record.digest());
            }
        }
        let none = || format!("session `{session}` has no route with the mark `{request}`");
        found.ok_or_else(|| Refused::Line(none()))
    }

    /// A subject's sessions read its audience again.
    fn reread(&mut self, subject: &SubjectId, clock: &CliClock) -> Result<(), Refused> {
        let policy = Arc::clone(self.router.engines().identity.policy());
        let mine = |(_, desk): &(&SessionId, &_)| is_of(desk, subject);
        let ids: Vec<SessionId> =
            self.sessions.desks.iter().filter(mine).map(|(id, _)| id.clone()).collect();
        for id in ids {
            let fresh = super::sessions::resume(&self.router, &policy, &id, clock.now())?;
            self.sessions.desks.insert(id, fresh);
        }
        Ok(())
    }
}

type CliDesk = prospera::routing::desk::Desk<prospera::modeling::Profile>;

fn is_of(desk: &CliDesk, subject: &SubjectId) -> bool {
    desk.session().subject() == subject
}

fn desk<'a>(sessions: &'a Sessions, id: &SessionId) -> Result<&'a CliDesk, Refused> {
    sessions.desks.get(id).ok_or_else(|| not_open(id))
}

fn not_open(id: &SessionId) -> Refused {
    Refused::Line(format!("expected an open session, found none `{id}`"))
}

/// A governed act that was refused is the line's fault; a store that fails is the run's.
fn said(error: prospera::routing::RouterError) -> Refused {
    use prospera::routing::RouterError as Error;
    match error {
        Error::Act(_) | Error::NotAuthorized { .. } | Error::Review(_) | Error::Refused { .. } => {
            Refused::Line(error.to_string())
        }
        other => Refused::Run(other.into()),
    }
}

fn source_of(pattern: SourcePattern) -> Result<Source, String> {
    Ok(match pattern {
        SourcePattern::User => Source::User,
        SourcePattern::Memory => Source::Memory,
        SourcePattern::Policy => Source::Policy,
        SourcePattern::Agent => Source::Agent,
        SourcePattern::Module(Some(module)) => Source::Module(module),
        SourcePattern::Outside(Some(name)) => Source::Outside(name),
        SourcePattern::Module(None) => return Err("expected `module:NAME`".into()),
        SourcePattern::Outside(None) => return Err("expected `outside:NAME`".into()),
    })
}
