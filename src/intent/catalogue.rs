//! The catalogue of intent kinds, and the one place where an [`Intent`] is made.
//!
//! ```
//! use prospera::id::{Name, SubjectId};
//! use prospera::intent::schema::{Shape, Shapes};
//! use prospera::intent::{Catalogue, IntentError, KindSpec, Objective, Request};
//!
//! let catalogue = Catalogue::builder("2026-01".parse()?)
//!     .kind(
//!         KindSpec::new("pay".parse()?, "payments".parse()?)
//!             .check(Shapes::new().required("to", Shape::Text)),
//!     )
//!     .build()?;
//! let request = Request {
//!     kind: "pya".into(),
//!     subject: "alice".parse()?,
//!     session: "s-1".parse()?,
//!     request: None,
//!     objective: Objective::new("Pay the rent."),
//!     arguments: [].into(),
//!     reads: vec![],
//!     snapshot: None,
//! };
//! assert!(matches!(catalogue.intent(request), Err(IntentError::UnknownKind { .. })));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Canonical encoding
//! The digest is [`Domain::Catalogue`] over: the text `catalogue v1`, version, count
//! of kinds, and per kind in name order: name, description, tier (`u8`), flags
//! (`u32`), scope, optional outside source, and the kind's check as
//! [`ArgumentCheck::encode`] writes it, as bytes behind their length.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::digest::{Digest, Domain};
use crate::encode::{DecodeError, Encode, Writer};
use crate::id::{KindId, Name};
use crate::intent::schema::{ArgumentCheck, Shapes, Violation, short};
use crate::intent::{Intent, Kind, Request};
use crate::limits::{INTENT_BYTES, INTENT_ITEMS, TEXT_BYTES, VALUE_DEPTH};
use crate::verdict::{CapabilityTier, Reason, ReasonCode, SafetyFlags};

#[cfg(feature = "files")]
mod file;

/// Why a request is no intent of the catalogue (D-21).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IntentError {
    /// The catalogue has no such kind.
    #[error("no intent kind `{}` in the catalogue{}", short(.found), Nearest(.nearest))]
    UnknownKind {
        /// What was asked for.
        found: Box<str>,
        /// Up to three known kinds of similar name, the most similar first. Empty
        /// without the feature `files`.
        nearest: Vec<KindId>,
    },
    /// An argument breaks the kind's schema.
    #[error("expected {expected}{} of `{kind}`, found {found}", At(.path))]
    Schema {
        /// The kind.
        kind: KindId,
        /// Where, as a JSON pointer from the arguments on.
        path: Box<str>,
        /// What was expected.
        expected: Box<str>,
        /// What was found.
        found: Box<str>,
    },
    /// More of something than is read.
    #[error("expected at most {limit} {what}, found {found}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// The bound.
        limit: usize,
        /// How many there are.
        found: usize,
    },
    /// The bytes are no canonical intent.
    #[error("expected a canonical intent: {0}")]
    Canonical(#[from] DecodeError),
    /// The canonical intent was checked against another catalogue.
    #[error("expected an intent of catalogue {expected}, found one of {found}")]
    Catalogue {
        /// The digest of this catalogue.
        expected: Digest,
        /// The digest the intent names.
        found: Digest,
    },
}

impl IntentError {
    /// The code under which a route is Blocked for it (D-21).
    pub const fn code(&self) -> ReasonCode {
        match self {
            Self::UnknownKind { .. } => ReasonCode::IntentUnknownKind,
            Self::Schema { .. } => ReasonCode::IntentSchema,
            Self::Limit { .. } => ReasonCode::IntentLimit,
            Self::Canonical(_) => ReasonCode::IntentMalformed,
            Self::Catalogue { .. } => ReasonCode::IntentCatalogue,
        }
    }

    /// The reason for which a route is Blocked for it.
    pub fn reason(&self) -> Reason {
        Reason::new(self.code()).detail(alloc::format!("{self}"))
    }
}

struct Nearest<'a>(&'a [KindId]);

impl core::fmt::Display for Nearest<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (i, kind) in self.0.iter().enumerate() {
            write!(f, "{}`{kind}`", if i == 0 { "; nearest: " } else { ", " })?;
        }
        Ok(())
    }
}

struct At<'a>(&'a str);

impl core::fmt::Display for At<'_> {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.0.is_empty() {
            f.write_str(" in the arguments")
        } else {
            write!(f, " at `{}`", short(self.0))
        }
    }
}

/// A kind of intent, as it is put into a catalogue.
#[derive(Debug)]
pub struct KindSpec {
    kind: Kind,
    description: Box<str>,
    check: Box<dyn ArgumentCheck>,
}

impl KindSpec {
    /// A kind that needs this scope: it observes, has no flags and takes no arguments.
    pub fn new(id: KindId, scope: Name) -> Self {
        let tier = CapabilityTier::Observe;
        let flags = SafetyFlags::NONE;
        Self {
            kind: Kind { id, tier, flags, scope, reads_outside: None },
            description: Box::default(),
            check: Box::new(Shapes::new()),
        }
    }

    /// What it is for.
    #[must_use]
    pub fn description(mut self, text: &str) -> Self {
        self.description = text.into();
        self
    }

    /// What a module that serves it may do.
    #[must_use]
    pub const fn tier(mut self, tier: CapabilityTier) -> Self {
        self.kind.tier = tier;
        self
    }

    /// What is dangerous about it, beside what was said before.
    #[must_use]
    pub const fn flags(mut self, flags: SafetyFlags) -> Self {
        self.kind.flags = self.kind.flags.union(flags);
        self
    }

    /// The outside source its output comes from; raises [`SafetyFlags::READS_OUTSIDE`].
    #[must_use]
    pub fn reads_outside(mut self, source: Name) -> Self {
        self.kind.reads_outside = Some(source);
        self.flags(SafetyFlags::READS_OUTSIDE)
    }

    /// What its arguments must look like.
    #[must_use]
    pub fn check(mut self, check: impl ArgumentCheck + 'static) -> Self {
        self.check = Box::new(check);
        self
    }
}

/// A catalogue that cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CatalogueError {
    /// Two kinds of one name.
    #[error("expected each kind once, found `{kind}` again")]
    Duplicate {
        /// The kind.
        kind: KindId,
    },
    /// No kind at all.
    #[error("expected at least one kind, found none")]
    Empty,
}

/// Puts a [`Catalogue`] together.
#[derive(Debug)]
#[must_use = "a builder does nothing until it builds"]
pub struct CatalogueBuilder {
    version: Name,
    kinds: Vec<KindSpec>,
}

impl CatalogueBuilder {
    /// Adds a kind.
    pub fn kind(mut self, kind: KindSpec) -> Self {
        self.kinds.push(kind);
        self
    }

    /// The catalogue.
    ///
    /// # Errors
    /// [`CatalogueError`].
    pub fn build(self) -> Result<Catalogue, CatalogueError> {
        let mut kinds = BTreeMap::new();
        for KindSpec { kind, description, check } in self.kinds {
            if kinds.contains_key(&kind.id) {
                return Err(CatalogueError::Duplicate { kind: kind.id });
            }
            kinds.insert(kind.id.clone(), Entry { kind: Arc::new(kind), description, check });
        }
        if kinds.is_empty() {
            return Err(CatalogueError::Empty);
        }
        let mut catalogue = Catalogue { version: self.version, kinds, digest: Digest::ZERO };
        catalogue.digest = Domain::Catalogue.hash(&catalogue.to_canonical());
        Ok(catalogue)
    }
}

/// The kinds of intent that exist, with the check of each. Immutable.
#[derive(Debug)]
pub struct Catalogue {
    version: Name,
    kinds: BTreeMap<KindId, Entry>,
    digest: Digest,
}

#[derive(Debug)]
struct Entry {
    kind: Arc<Kind>,
    description: Box<str>,
    check: Box<dyn ArgumentCheck>,
}

impl Encode for Catalogue {
    fn encode(&self, out: &mut Writer) {
        out.text("catalogue v1").value(&self.version).count(self.kinds.len());
        for Entry { kind, description, check } in self.kinds.values() {
            let mut checked = Writer::new();
            check.encode(&mut checked);
            out.value(&kind.id)
                .text(description)
                .value(&kind.tier)
                .u32(kind.flags.bits())
                .value(&kind.scope)
                .option(kind.reads_outside.as_ref())
                .bytes(checked.as_bytes());
        }
    }
}

impl Catalogue {
    /// A catalogue of this version, to be filled.
    pub const fn builder(version: Name) -> CatalogueBuilder {
        CatalogueBuilder { version, kinds: Vec::new() }
    }

    /// Checks a request and makes it an intent.
    ///
    /// # Errors
    /// [`IntentError`].
    pub fn intent(&self, request: Request) -> Result<Intent, IntentError> {
        for (what, found) in
            [("arguments", request.arguments.len()), ("facts read", request.reads.len())]
        {
            if found > INTENT_ITEMS {
                return Err(IntentError::Limit { what, limit: INTENT_ITEMS, found });
            }
        }
        let objective = request.objective.text().len();
        if objective > TEXT_BYTES {
            let (what, limit) = ("bytes of objective", TEXT_BYTES);
            return Err(IntentError::Limit { what, limit, found: objective });
        }
        // What is deeper could be written and never be read again.
        if request.arguments.values().any(|argument| argument.value.is_deeper_than(VALUE_DEPTH)) {
            let (what, limit) = ("levels of nesting", VALUE_DEPTH);
            return Err(IntentError::Limit { what, limit, found: VALUE_DEPTH + 1 });
        }
        let Some(entry) = self.kinds.get(&*request.kind) else {
            let nearest = self.nearest(&request.kind);
            return Err(IntentError::UnknownKind { found: request.kind, nearest });
        };
        entry.check.check(&request.arguments).map_err(|Violation { path, expected, found }| {
            IntentError::Schema { kind: entry.kind.id.clone(), path, expected, found }
        })?;
        let intent = Intent::assemble(Arc::clone(&entry.kind), self.digest, request);
        let found = intent.canonical().len();
        if found > INTENT_BYTES {
            return Err(IntentError::Limit { what: "canonical bytes", limit: INTENT_BYTES, found });
        }
        Ok(intent)
    }

    /// The kinds, in name order.
    pub fn kinds(&self) -> impl Iterator<Item = &Kind> {
        self.kinds.values().map(|entry| &*entry.kind)
    }

    /// The kind of this name.
    pub fn kind(&self, name: &str) -> Option<&Kind> {
        self.kinds.get(name).map(|entry| &*entry.kind)
    }

    /// What the kind of this name is for.
    pub fn description(&self, name: &str) -> Option<&str> {
        self.kinds.get(name).map(|entry| &*entry.description)
    }

    /// What the arguments of the kind of this name must look like.
    pub fn check(&self, name: &str) -> Option<&dyn ArgumentCheck> {
        self.kinds.get(name).map(|entry| &*entry.check)
    }

    /// The version.
    pub const fn version(&self) -> &Name {
        &self.version
    }

    /// The catalogue's digest: over everything it says, schemas included.
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// Up to three kinds whose names are within a third of the longer name's length
    /// by edit distance (Damerau-Levenshtein), the nearest first.
    #[cfg(feature = "files")]
    pub fn nearest(&self, found: &str) -> Vec<KindId> {
        use alloc::collections::BTreeSet;

        use crate::limits::NAME_BYTES;
        if found.len() > NAME_BYTES {
            return Vec::new();
        }
        let near: BTreeSet<(usize, &KindId)> = self
            .kinds
            .keys()
            .map(|kind| (strsim::damerau_levenshtein(found, kind.as_str()), kind))
            .filter(|(far, kind)| *far <= found.len().max(kind.as_str().len()) / 3)
            .collect();
        near.into_iter().take(3).map(|(_, kind)| kind.clone()).collect()
    }

    #[cfg(not(feature = "files"))]
    #[expect(clippy::unused_self, reason = "the other build looks at the kinds")]
    const fn nearest(&self, _found: &str) -> Vec<KindId> {
        Vec::new()
    }
}

#[cfg(test)]
mod tests;
