//! The catalogue of intent kinds, and the one place where an [`Intent`] is made.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use crate::digest::Digest;
use crate::id::KindId;
use crate::intent::{Intent, Kind, Request};

/// Why a request is no intent of the catalogue (D-21).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntentError {
    /// The catalogue has no such kind.
    #[error("no intent kind `{found}` in the catalogue")]
    UnknownKind {
        /// What was asked for.
        found: Box<str>,
    },
}

/// The kinds of intent that exist, with the schema of each.
#[derive(Debug)]
pub struct Catalogue {
    kinds: BTreeMap<KindId, Arc<Kind>>,
    digest: Digest,
}

impl Catalogue {
    /// Checks a request and makes it an intent.
    ///
    /// # Errors
    /// [`IntentError`].
    pub fn intent(&self, request: Request) -> Result<Intent, IntentError> {
        let Some(kind) = self.kinds.get(&*request.kind) else {
            return Err(IntentError::UnknownKind { found: request.kind });
        };
        Ok(Intent::assemble(Arc::clone(kind), self.digest, request))
    }

    /// The catalogue's digest.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
}
