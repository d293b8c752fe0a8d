//! A store held against what was signed for it.

use super::TilesError;
use crate::ssot::checkpoint::{Checkpoint, Finding, Origin, Trusted};
use crate::ssot::merkle::{self, Hash, ProveError, TreeHead};
use crate::ssot::store::{Store, StoreError};

/// The root over the first `size` records, of which there must be so many.
pub(super) fn root_at<S: Store + ?Sized>(store: &S, size: u64) -> Result<Hash, TilesError> {
    Ok(merkle::head_at(store, size)?.root)
}

impl From<ProveError<StoreError>> for TilesError {
    fn from(error: ProveError<StoreError>) -> Self {
        match error {
            ProveError::Asked(error) => error.into(),
            ProveError::Nodes(error) => error.into(),
            ProveError::Count { .. } => {
                StoreError::Damaged { what: "its tree has fewer nodes than it says".into() }.into()
            }
        }
    }
}

/// The checkpoint of what a store has now, not signed yet.
///
/// # Errors
/// [`TilesError::Store`].
pub fn checkpoint_of<S: Store + ?Sized>(
    store: &S,
    origin: Origin,
) -> Result<Checkpoint, TilesError> {
    let head = store.tree_head()?;
    Ok(Checkpoint::new(origin, head.size, head.root))
}

/// Holds a store against a checkpoint of its log: the store must have at least as many
/// records, and these must be those signed for.
///
/// The tree that the store keeps is believed.
/// [`verify`](crate::ssot::verify::verify()) holds it against the records.
///
/// # Errors
/// [`Finding::Deleted`], [`Finding::OlderCopy`], [`Finding::SplitView`] where the sizes are
/// the same, [`Finding::Rewritten`].
pub fn against<S: Store + ?Sized>(store: &S, trusted: &Trusted) -> Result<TreeHead, TilesError> {
    let (size, now) = (trusted.size(), store.tree_head()?);
    if now.size == 0 && size > 0 {
        return Err(Finding::Deleted { remembered: size }.into());
    }
    if now.size < size {
        return Err(Finding::OlderCopy { remembered: size, found: now.size }.into());
    }
    let then = root_at(store, size)?;
    if then == *trusted.root() {
        return Ok(now);
    }
    Err(if now.size == size {
        Finding::SplitView { size, remembered: *trusted.root(), found: then }.into()
    } else {
        Finding::Rewritten { from: size, to: now.size }.into()
    })
}
