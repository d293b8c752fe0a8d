//! The sessions of a run: opened by tokens, or by the host's word where it counts.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use prospera::id::{PrincipalId, SessionId, SubjectId};
use prospera::identity::{
    DelegationLink, HostClaims, HostVouching, IdentityPolicy, PrincipalKind, Session,
    TokenVerifier, VerifiedClaims,
};
use prospera::intent::Objective;
use prospera::limits::{Limits, TOKEN_BYTES};
use prospera::modeling::Profile;
use prospera::risk::Risk;
use prospera::routing::RouterError;
use prospera::routing::desk::Desk;
use prospera::ssot::record::{StreamId, StreamKind};
use prospera::ssot::verify::verify_stream;
use prospera::time::Timestamp;
use zeroize::Zeroizing;

use super::control::SessionLine;
use crate::failure::Failure;
use crate::store::CliRouter;

/// The session of what belongs to none.
const UNATTRIBUTED: &str = "unattributed";

/// Why a session was not opened: said of the line, or of the run.
pub(crate) enum Refused {
    /// The line is to blame.
    Line(String),
    /// The run cannot go on.
    Run(Failure),
}

impl From<Failure> for Refused {
    fn from(failure: Failure) -> Self {
        Self::Run(failure)
    }
}

/// The open sessions, and what their users said last.
pub(crate) struct Sessions {
    policy: Arc<IdentityPolicy>,
    verifier: Option<TokenVerifier>,
    base: PathBuf,
    pub(crate) desks: BTreeMap<SessionId, Desk<Profile>>,
    pub(crate) said: BTreeMap<SessionId, Objective>,
}

impl Sessions {
    pub(crate) fn new(
        policy: Arc<IdentityPolicy>,
        keys: Option<&str>,
        limits: &Limits,
        base: &Path,
    ) -> Result<Self, Failure> {
        let verifier = keys.map(TokenVerifier::from_jwks).transpose()?;
        let verifier = verifier.map(|verifier| verifier.within(limits));
        let (desks, said) = (BTreeMap::new(), BTreeMap::new());
        Ok(Self { policy, verifier, base: base.to_owned(), desks, said })
    }

    /// Opens the session that a line asks for.
    pub(crate) fn open(
        &mut self,
        router: &CliRouter,
        line: SessionLine,
        now: Timestamp,
    ) -> Result<SessionId, Refused> {
        let mut line = line;
        let signals = std::mem::take(&mut line.signals);
        let claims = match (&line.token, &line.token_file) {
            (Some(_), Some(_)) => {
                return Err(Refused::Line("expected `token` or `token_file`, found both".into()));
            }
            (Some(token), None) => self.verified(token.as_str(), now)?,
            (None, Some(file)) => {
                let token = self.token_file(file)?;
                self.verified(&token, now)?
            }
            (None, None) => self.vouched(line, now)?,
        };
        let session = Session::open(claims.observed(signals), now, &self.policy)
            .map_err(|error| Refused::Line(error.to_string()))?;
        self.admit(router, session, now)
    }

    fn token_file(&self, file: &str) -> Result<Zeroizing<String>, Refused> {
        let inside = !file.starts_with('/') && file.split('/').all(|part| part != "..");
        if !inside {
            let file = named(Path::new(file));
            let message = format!("expected a token file beside the input, found `{file}`");
            return Err(Refused::Line(message));
        }
        read_token(&self.base.join(file))
            .map_err(|failure| Refused::Line(failure.message().to_owned()))
    }

    fn verified(&self, token: &str, now: Timestamp) -> Result<VerifiedClaims, Refused> {
        let Some(verifier) = &self.verifier else {
            let message = "expected no token, as the policy folder has no `jwks.json`";
            return Err(Refused::Line(message.into()));
        };
        verifier
            .verify(token.trim(), now, &self.policy)
            .map_err(|error| Refused::Line(error.to_string()))
    }

    fn vouched(&self, line: SessionLine, now: Timestamp) -> Result<VerifiedClaims, Refused> {
        let Some(host) = self.policy.host() else {
            let message =
                "expected a token, as identity.toml has no `[host]` that vouches for sessions";
            return Err(Refused::Line(message.into()));
        };
        let (Some(id), Some(subject)) = (line.id, line.subject) else {
            let message = "expected `id` and `subject`, or `token`, or `token_file`";
            return Err(Refused::Line(message.into()));
        };
        let roles: Option<BTreeSet<_>> = line.roles.map(|roles| roles.into_iter().collect());
        let person = line.kind.unwrap_or(host.kind) == PrincipalKind::Human;
        let may = |role| host.roles.contains(role) || (person && host.approvers.contains(role));
        if let Some(roles) = &roles
            && !BTreeSet::iter(roles).all(may)
        {
            let message = "expected roles that identity.toml lets the host vouch for";
            return Err(Refused::Line(message.into()));
        }
        let principal = line.principal.unwrap_or_else(|| host.principal.clone());
        let kind = line.kind.unwrap_or(host.kind);
        let mut claims = host_claims(&self.policy, host, (id, subject), (principal, kind), now);
        if let Some(roles) = roles {
            claims.roles = roles;
            delegate(&self.policy, &mut claims);
        }
        claims.consent = line.consent.unwrap_or(true) && host.consent;
        Ok(VerifiedClaims::vouched_by_host(claims))
    }

    fn admit(
        &mut self,
        router: &CliRouter,
        session: Session,
        now: Timestamp,
    ) -> Result<SessionId, Refused> {
        let id = session.id().clone();
        let desk = match router.open(session) {
            Ok(desk) => desk,
            Err(RouterError::SessionExists { .. }) => resume(router, &self.policy, &id, now)?,
            Err(error) => return Err(Refused::Run(error.into())),
        };
        self.desks.insert(id.clone(), desk);
        Ok(id)
    }

    /// The desk of a session that an intent names; the host opens it where it may.
    pub(crate) fn find(
        &mut self,
        router: &CliRouter,
        id: &SessionId,
        subject: &SubjectId,
        now: Timestamp,
    ) -> Result<(), Refused> {
        if self.desks.contains_key(id) {
            return Ok(());
        }
        let Some(host) = self.policy.host() else {
            let message = format!(
                "session `{id}` was not opened with a token, and identity.toml has no `[host]` that vouches"
            );
            return Err(Refused::Line(message));
        };
        let acts = (host.principal.clone(), host.kind);
        let claims = host_claims(&self.policy, host, (id.clone(), subject.clone()), acts, now);
        let session = Session::open(VerifiedClaims::vouched_by_host(claims), now, &self.policy)
            .map_err(|error| Refused::Line(error.to_string()))?;
        self.admit(router, session, now).map(|_| ())
    }

    /// The session of what belongs to none: without scopes, so that it can do nothing
    /// but leave evidence.
    pub(crate) fn unattributed(
        &mut self,
        router: &CliRouter,
        now: Timestamp,
    ) -> Result<SessionId, Failure> {
        let id: SessionId = UNATTRIBUTED.parse()?;
        if self.desks.contains_key(&id) {
            return Ok(id);
        }
        let claims = HostClaims {
            principal: "prospera".parse()?,
            kind: PrincipalKind::Service,
            subject: UNATTRIBUTED.parse()?,
            session: id.clone(),
            roles: [].into(),
            scopes: [].into(),
            delegation: Vec::new(),
            consent: false,
            strength: Risk::ZERO,
            issued_at: now,
            expires_at: now.plus_millis(self.policy.max_session_ms()),
        };
        let session = Session::open(VerifiedClaims::vouched_by_host(claims), now, &self.policy)?;
        self.admit(router, session, now).map_err(|refused| match refused {
            Refused::Line(message) => Failure::new(message),
            Refused::Run(failure) => failure,
        })
    }
}

/// Takes a session up again from the log.
pub(crate) fn resume(
    router: &CliRouter,
    policy: &IdentityPolicy,
    id: &SessionId,
    now: Timestamp,
) -> Result<Desk<Profile>, Failure> {
    let stream = StreamId::new(StreamKind::Session, id.name().clone());
    let records = verify_stream(router.store(), &stream)?;
    if records.is_empty() {
        return Err(Failure::new(format!("the log has no session `{id}`")));
    }
    let session = Session::resume(id, &records, now, policy)?;
    Ok(router.resume(session)?)
}

/// The name of a file that should hold a token. Somebody may have put the token itself
/// there: a name as long as that is not repeated.
fn named(path: &Path) -> String {
    const LONGEST: usize = 120;
    let name = path.display().to_string();
    let length = name.chars().count();
    if length > LONGEST { format!("({length} characters)") } else { name }
}

/// The token in a file, without white space around it. Wiped when dropped.
pub(crate) fn read_token(path: &Path) -> Result<Zeroizing<String>, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(format!("expected a signed token at `{}`: {error}", named(path)))
    };
    // A token beyond the bound is refused by its verifier: no need to read it whole.
    let most = u64::try_from(TOKEN_BYTES).unwrap_or(u64::MAX).saturating_add(64);
    // All the room at once: a text that grows leaves copies behind.
    let room = usize::try_from(most).unwrap_or(TOKEN_BYTES);
    let mut text = Zeroizing::new(String::with_capacity(room));
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(most).read_to_string(&mut text).map_err(failed)?;
    let end = text.trim_end().len();
    text.truncate(end);
    let start = text.len().saturating_sub(text.trim_start().len());
    text.drain(..start);
    Ok(text)
}

/// What the host says of a session, within what the policy lets it say. An agent acts
/// by the subject's delegation, of all that the session holds.
pub(crate) fn host_claims(
    policy: &IdentityPolicy,
    host: &HostVouching,
    (session, subject): (SessionId, SubjectId),
    (principal, kind): (PrincipalId, PrincipalKind),
    now: Timestamp,
) -> HostClaims {
    let mut claims = HostClaims {
        principal,
        kind,
        subject,
        session,
        roles: host.roles.clone(),
        scopes: host.scopes.clone(),
        delegation: Vec::new(),
        consent: host.consent,
        strength: host.strength,
        issued_at: now,
        expires_at: now.plus_millis(host.session_ms),
    };
    delegate(policy, &mut claims);
    claims
}

fn delegate(policy: &IdentityPolicy, claims: &mut HostClaims) {
    claims.delegation.clear();
    if claims.kind == PrincipalKind::Agent && claims.principal.as_str() != claims.subject.as_str() {
        claims.delegation.push(DelegationLink {
            principal: claims.subject.name().clone().into(),
            granted: policy.scopes(&claims.roles, &claims.scopes),
        });
    }
}
