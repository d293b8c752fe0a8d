//! One use, over process borders.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;

use crate::id::Name;
use crate::time::Timestamp;

/// What is spent: one token of one issuer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent<'a> {
    /// Who exported it.
    pub issuer: &'a Name,
    /// Its nonce, which stands in the Routing Evidence Block as the token's id.
    pub id: &'a [u8; 16],
    /// From here on it is refused for its age, and need not be remembered.
    pub expires_at: Timestamp,
}

/// Remembers which tokens were imported.
///
/// INVARIANT (one use): of all calls with the same issuer and id, by every process that
/// imports under one audience, at most one ever answers `Ok`; and it answers only when
/// that would survive a crash.
///
/// So a real guard is **durable and shared**. Over a store it is a stream of its own per
/// issuer, for example `tokens/gate-a`: read it to its head; when a record holds the id,
/// answer [`ReplayError::Seen`]; else append one record with the id in a batch that
/// expects exactly that head. Of two importers one gets the conflict, reads again and
/// finds the other's record. An answer of unknown is [`ReplayError::Unknown`], until a
/// read shows which. A record may be forgotten once `expires_at` is past for good, for
/// every clock that is handed to an import.
///
/// The log shows a breach as well: the id stands in the evidence block of the route that
/// redeemed the token, and no two blocks may hold the same one.
pub trait ReplayGuard {
    /// Spends a token, or says that it is spent.
    ///
    /// # Errors
    /// [`ReplayError`]; every one refuses the import.
    fn spend(&mut self, spent: &Spent<'_>) -> Result<(), ReplayError>;
}

impl<G: ReplayGuard + ?Sized> ReplayGuard for &mut G {
    fn spend(&mut self, spent: &Spent<'_>) -> Result<(), ReplayError> {
        (**self).spend(spent)
    }
}

/// Why a token was not spent now.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It was spent before. Final.
    #[error("expected a token that was not used yet, found one that was")]
    Seen,
    /// The guard's store failed before anything was written. Transient.
    #[error("the token could not be spent, nothing was written: {reason}")]
    Failed {
        /// What failed.
        reason: Box<str>,
    },
    /// The guard's store failed, and the token may be spent or not. The token is lost
    /// unless the store shows that nothing was written.
    #[error("it is unknown whether the token was spent: {reason}")]
    Unknown {
        /// What failed.
        reason: Box<str>,
    },
}

/// A guard that forgets everything when the process ends: for tests, and for an importer
/// whose mint and audience do not outlive the process either.
#[derive(Debug, Default)]
pub struct ReplayMemory {
    spent: BTreeSet<(Name, [u8; 16])>,
}

impl ReplayMemory {
    /// Nothing spent yet.
    pub const fn new() -> Self {
        Self { spent: BTreeSet::new() }
    }

    /// How many tokens were spent.
    pub fn len(&self) -> usize {
        self.spent.len()
    }

    /// Whether none was.
    pub fn is_empty(&self) -> bool {
        self.spent.is_empty()
    }
}

impl ReplayGuard for ReplayMemory {
    fn spend(&mut self, spent: &Spent<'_>) -> Result<(), ReplayError> {
        let new = self.spent.insert((spent.issuer.clone(), *spent.id));
        if new { Ok(()) } else { Err(ReplayError::Seen) }
    }
}
