//! The default Identity System: what is checked on each route (IRM-4.1).
//!
//! | check | when it fails |
//! |---|---|
//! | the subject of the intent is the session's | 106 |
//! | the clock is not before the session, beyond the leeway | 102 |
//! | the session's claims have not ended | 101 |
//! | they were not issued or verified too long ago | 104 |
//! | token, session and every principal of the chain stand | 103 |
//! | the session holds the intent's scope | 107 |
//! | the clock is not before the session's last record, beyond the leeway | 109 |
//!
//! What is odd but no failure adds to the anomaly (ASM2-7.5), each cause with its
//! weight, combined as independent causes ([`Risk::or`]):
//!
//! | cause | weight |
//! |---|---|
//! | the clock is before the session's last record, within the leeway | 0.1 |
//! | an agent acts for a subject that delegated nothing to it | 0.3 |
//!
//! With a linkage model ([`IdentitySystem::with_linkage`]) each session that is opened is
//! compared with the subject's earlier ones ([`crate::identity::linkage`]). Sessions that
//! the policy has revoked don't count as the subject's.
//!
//! A route costs comparisons and ordered look-ups only; text is made when something
//! is wrong.
//!
//! Requirements: IRM-4.1.1, IRM-4.1.2, ASM2-8.1.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::identity::linkage::{IdentityScore, Linkage};
use crate::identity::policy::IdentityPolicy;
use crate::identity::{
    IdentityEngine, IdentityError, IdentityFinding, IdentityInput, PrincipalKind, Session,
    SessionOpened,
};
use crate::risk::Risk;
use crate::verdict::{Reason, ReasonCode};

/// Weight of a clock that stepped back within the leeway.
pub const CLOCK_BACK: Risk = Risk::saturating(100_000);
/// Weight of an agent that nobody delegated to.
pub const UNDELEGATED_AGENT: Risk = Risk::saturating(300_000);

/// The default Identity System: checks each route against one identity policy.
#[derive(Debug, Clone)]
pub struct IdentitySystem {
    policy: Arc<IdentityPolicy>,
    linkage: Option<Arc<Linkage>>,
}

impl IdentitySystem {
    /// An Identity System under this policy.
    pub fn new(policy: impl Into<Arc<IdentityPolicy>>) -> Self {
        Self { policy: policy.into(), linkage: None }
    }

    /// The same, comparing sessions under this model.
    #[must_use]
    pub fn with_linkage(mut self, linkage: impl Into<Arc<Linkage>>) -> Self {
        self.linkage = Some(linkage.into());
        self
    }

    /// The linkage model, where there is one.
    pub const fn linkage(&self) -> Option<&Arc<Linkage>> {
        self.linkage.as_ref()
    }

    /// The policy.
    pub const fn policy(&self) -> &Arc<IdentityPolicy> {
        &self.policy
    }

    fn anomalies(&self, input: &IdentityInput<'_>) -> Result<(Risk, Vec<Reason>), Reason> {
        let session = input.session;
        let mut anomaly = Risk::ZERO;
        let mut because = Vec::new();
        let back = session.last_seen().since(input.now);
        if back > 0 {
            let reason = Reason::new(ReasonCode::IdentityAnomaly)
                .detail(format!("the clock stands {back} ms before the session's last record"));
            if back > self.policy.leeway_ms() {
                return Err(reason);
            }
            anomaly = anomaly.or(CLOCK_BACK);
            because.push(reason);
        }
        if session.kind() == PrincipalKind::Agent && !delegated(session) {
            anomaly = anomaly.or(UNDELEGATED_AGENT);
            because.push(Reason::new(ReasonCode::IdentityAnomaly).detail(format!(
                "agent `{}` acts for `{}`, who delegated nothing to it",
                session.principal(),
                session.subject()
            )));
        }
        Ok((anomaly, because))
    }
}

/// Whether the principal acts for itself or the chain starts at the subject.
fn delegated(session: &Session) -> bool {
    let first = session.delegation().first().unwrap_or_else(|| session.principal());
    first.as_str() == session.subject().as_str()
}

impl IdentityEngine for IdentitySystem {
    fn identify(&self, input: &IdentityInput<'_>) -> Result<IdentityFinding, Reason> {
        let session = input.session;
        if session.subject() != input.subject {
            return Err(Reason::new(ReasonCode::SubjectMismatch).detail(format!(
                "expected subject `{}`, found `{}`",
                session.subject(),
                input.subject
            )));
        }
        let blocked = |error: IdentityError| error.reason();
        self.policy.fresh(session.said(), session.verified_at(), input.now).map_err(blocked)?;
        self.policy.standing(session.said()).map_err(blocked)?;
        if let Some(scope) = input.scope.filter(|scope| !session.scopes().contains(*scope)) {
            return Err(Reason::new(ReasonCode::AuthorityMissing)
                .detail(format!("expected scope `{scope}`, found {}", Listed(session.scopes()))));
        }
        let (anomaly, because) = self.anomalies(input)?;
        Ok(IdentityFinding { strength: session.strength(), anomaly, because })
    }

    fn remembers(&self) -> usize {
        self.linkage.as_ref().map_or(0, |linkage| linkage.sessions())
    }

    fn link(&self, opened: &SessionOpened, earlier: &[SessionOpened]) -> Option<IdentityScore> {
        let linkage = self.linkage.as_ref()?;
        let stands = |earlier: &&SessionOpened| self.policy.standing(&earlier.claims).is_ok();
        Some(linkage.score(opened, earlier.iter().filter(stands)))
    }
}

struct Listed<'a>(&'a crate::identity::Scopes);

impl core::fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (i, scope) in self.0.iter().enumerate() {
            write!(f, "{}`{scope}`", if i == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}
