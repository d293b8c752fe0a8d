//! Policies from the files that a log keeps.

use std::string::ToString as _;

use super::{DefaultEngines, PolicyFolder};
use crate::routing::replay::{Pinned, Version, VersionError, kept_files};
use crate::ssot::store::Store;

/// The version that the log's own files make: what [`Replay`](crate::routing::replay::Replay) is usually resolved
/// with.
///
/// # Errors
/// [`VersionError`].
pub fn kept_version<S: Store + ?Sized>(
    store: &S,
    pinned: &Pinned,
) -> Result<Version<DefaultEngines>, VersionError> {
    let files = kept_files(store, &pinned.pinned)?;
    let read = PolicyFolder::of_files(&files);
    read.and_then(PolicyFolder::for_replay).map_err(|error| VersionError::Unusable {
        pins: pinned.pinned.pins.digest(),
        why: error.to_string(),
    })
}
