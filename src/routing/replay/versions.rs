//! The policy versions a log was written under.

use alloc::boxed::Box;
use alloc::string::{String, ToString as _};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::digest::Digest;
use crate::identity::IdentityPolicy;
use crate::intent::Catalogue;
use crate::routing::pins::{PolicyFiles, PolicyPinned, digest_of};
use crate::routing::router::{Rules, policy_stream};
use crate::ssot::record::{Head, Record, RecordKind};
use crate::ssot::store::{Store, StoreError};
use crate::ssot::verify::replay;

use super::ReplayError;

/// Everything one policy version decides with.
#[derive(Debug)]
pub struct Version<E> {
    /// The engines. Nothing is executed: modules need their contracts alone.
    pub engines: E,
    /// The rules. Their mint is not used unless [`super::Replay::with_secret`] says so.
    pub rules: Rules,
    /// The kinds of intent.
    pub catalogue: Arc<Catalogue>,
    /// Whose claims are believed.
    pub identity: Arc<IdentityPolicy>,
}

/// Why a policy version cannot be had: what it decided cannot be derived again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VersionError {
    /// The log keeps no files of it, and nobody supplied it.
    #[error("policy version {pins}: the log keeps no files of it")]
    NotKept {
        /// The digest of its pins.
        pins: Digest,
    },
    /// A file that its pin names is not in the log.
    #[error("policy version {pins}: the file `{file}` is not in the log, part {part}")]
    Missing {
        /// The digest of its pins.
        pins: Digest,
        /// The file.
        file: Box<str>,
        /// The digest of the part that is missing.
        part: Digest,
    },
    /// A file that the log keeps is not the one that was pinned.
    #[error(
        "policy version {pins}: the file `{file}` was changed, expected {expected}, found {found}"
    )]
    Changed {
        /// The digest of its pins.
        pins: Digest,
        /// The file.
        file: Box<str>,
        /// The digest of the part, as pinned.
        expected: Digest,
        /// The digest of the bytes that are kept.
        found: Digest,
    },
    /// It cannot be used.
    #[error("policy version {pins} cannot be used: {why}")]
    Unusable {
        /// The digest of its pins.
        pins: Digest,
        /// Why not.
        why: String,
    },
    /// What was supplied is another version.
    #[error("expected policy version {expected}, found {found}")]
    Other {
        /// The digest of the pins in the log.
        expected: Digest,
        /// The digest of the pins supplied.
        found: Digest,
    },
    /// The store failed.
    #[error("the store cannot be read: {why}")]
    Store {
        /// Why not.
        why: String,
    },
}

impl VersionError {
    /// Of a store that failed.
    pub(super) fn store(error: &StoreError) -> Self {
        Self::Store { why: error.to_string() }
    }
}

/// One version of the log's policy stream.
#[derive(Debug, Clone)]
pub struct Pinned {
    /// Its record's place in the log: it is in force from here on.
    pub index: u64,
    /// The record's digest.
    pub record: Digest,
    /// What was pinned, and by whom.
    pub pinned: PolicyPinned,
    /// The head of the policy stream behind it.
    pub(super) head: Head,
}

/// The policy versions of a log, in the order in which they came into force.
///
/// # Errors
/// [`ReplayError`] when the policy stream does not verify or cannot be read.
pub fn versions<S: Store + ?Sized>(store: &S, before: u64) -> Result<Vec<Pinned>, ReplayError> {
    let mut versions = Vec::new();
    for record in replay(store, &policy_stream()?)? {
        let record = record?;
        if record.index() >= before {
            break;
        }
        if record.kind() == RecordKind::PolicyPinned {
            versions.push(pinned(&record)?);
        }
    }
    Ok(versions)
}

fn pinned(record: &Record) -> Result<Pinned, ReplayError> {
    let pinned =
        record.read().map_err(|source| ReplayError::Body { index: record.index(), source })?;
    Ok(Pinned { index: record.index(), record: record.digest(), pinned, head: record.head() })
}

/// The files that the log keeps of a policy version, each held against its digest.
///
/// # Errors
/// [`VersionError`] names the version and the first file that is not there or not the one
/// that was pinned.
pub fn kept_files<S: Store + ?Sized>(
    store: &S,
    pinned: &PolicyPinned,
) -> Result<PolicyFiles, VersionError> {
    let pins = pinned.pins.digest();
    if pinned.files.is_empty() {
        return Err(VersionError::NotKept { pins });
    }
    let mut files = PolicyFiles::default();
    for file in &pinned.files {
        let mut whole = Vec::new();
        for part in &file.parts {
            let kept = store.payload(part).map_err(|error| VersionError::store(&error))?;
            let Some(bytes) = kept else {
                return Err(VersionError::Missing { pins, file: file.name.clone(), part: *part });
            };
            let found = digest_of(&bytes);
            if found != *part {
                let (file, expected) = (file.name.clone(), *part);
                return Err(VersionError::Changed { pins, file, expected, found });
            }
            whole.extend_from_slice(&bytes);
        }
        files.keep(&file.name, &whole);
    }
    Ok(files)
}
