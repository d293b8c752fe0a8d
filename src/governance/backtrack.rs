//! Going back to an earlier layer (IRM-2, D-25): authorized by governance, for one route
//! and one layer, once.

use crate::digest::Digest;
use crate::governance::review::{GovernanceDecision, Matter, ReviewError};
use crate::id::LayerId;
use crate::intent::RoutingId;
use crate::time::Timestamp;

impl GovernanceDecision {
    /// The authorization to go back, once the decision's record has this digest.
    /// Whoever calls this has found the record in the log, and that no record used it.
    ///
    /// INVARIANT (one mint): the only place where a [`BacktrackAuthorization`] is made.
    pub(crate) fn authorize_backtrack(
        &self,
        record: Digest,
        now: Timestamp,
    ) -> Result<BacktrackAuthorization, ReviewError> {
        self.in_force(now)?;
        match *self.matter() {
            Matter::Backtrack { route, target, .. } => {
                Ok(BacktrackAuthorization { route, target, record })
            }
            ref other => Err(ReviewError::Matter { found: other.name() }),
        }
    }
}

/// Permits one route to go back to one layer, once (D-25). Neither copied nor stored:
/// using it consumes it.
#[derive(Debug)]
#[must_use = "an authorization that is not used changes nothing"]
pub struct BacktrackAuthorization {
    route: RoutingId,
    target: LayerId,
    record: Digest,
}

impl BacktrackAuthorization {
    /// Spends the authorization: gives the digest of its record when route and layer are
    /// the authorized ones.
    ///
    /// # Errors
    /// [`BacktrackMismatch`]; the authorization is spent all the same.
    pub fn spend(self, route: RoutingId, target: LayerId) -> Result<Digest, BacktrackMismatch> {
        if self.route == route && self.target == target {
            Ok(self.record)
        } else {
            Err(BacktrackMismatch { expected: (self.route, self.target), found: (route, target) })
        }
    }

    /// The route it is for.
    pub const fn route(&self) -> RoutingId {
        self.route
    }

    /// The layer it leads back to.
    pub const fn target(&self) -> LayerId {
        self.target
    }
}

/// An authorization for another route or layer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected route {} back to {}, found route {} back to {}",
    .expected.0, .expected.1, .found.0, .found.1
)]
pub struct BacktrackMismatch {
    expected: (RoutingId, LayerId),
    found: (RoutingId, LayerId),
}
