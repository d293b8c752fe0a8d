//! Intents: what somebody wants done for an audience, checked once and then fixed.
//!
//! An [`Intent`] exists only as the result of [`Catalogue::intent`]: its kind is
//! known, its arguments fit the kind's schema, every argument carries the label of
//! where it came from, and its hash is computed. Nothing behind that point parses
//! or checks its shape again.
//!
//! Requirements: IRM-2.9, IRM-4.2.2.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;

use crate::commitment::{Part, Salt, SubjectKey, commit, to_kept};
use crate::digest::{Digest, Domain};
use crate::encode::Writer;
use crate::id::{FactKey, KindId, Name, RequestId, SessionId, SnapshotId, SubjectId};
use crate::provenance::{Label, Sensitivity};
use crate::value::Value;
use crate::verdict::{CapabilityTier, SafetyFlags};

pub use catalogue::{Catalogue, CatalogueBuilder, CatalogueError, IntentError, KindSpec};
pub use intake::{Expanded, Malformed, Submission};
pub use label::LabelContext;
pub use package::{IntentEngine, PackageInput, RoutingPackage};
pub use routing_id::{RoutingComponents, RoutingId};

mod canonical;
pub mod catalogue;
pub mod fields;
pub mod intake;
pub mod label;
pub mod package;
pub mod routing_id;
pub mod schema;
#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod vectors;

/// What the user wants in the end, in their own words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Objective {
    text: Arc<str>,
    hash: Digest,
    salt: Option<Box<Salt>>,
}

impl Objective {
    /// An objective; its hash is that of the text.
    pub fn new(text: &str) -> Self {
        Self { text: text.into(), hash: Domain::Objective.hash(text.as_bytes()), salt: None }
    }

    fn salted(&mut self, salt: Salt) {
        self.hash = commit(Part::Objective, &salt, &Value::from(&*self.text));
        self.salt = Some(Box::new(salt));
    }

    /// The bytes to keep under its hash: the text, behind its salt where it has one.
    pub(crate) fn kept(&self) -> Arc<[u8]> {
        match &self.salt {
            None => self.shared_text().into(),
            Some(salt) => to_kept(salt, self.text.as_bytes()).into(),
        }
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text, shared.
    pub(crate) fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// The User Objective Hash (IRM-3.1.2): the digest of the text, or the commitment to it.
    pub const fn hash(&self) -> Digest {
        self.hash
    }
}

/// One argument: its value and where it came from. `Debug` does not show a secret's value.
#[derive(Clone, PartialEq, Eq)]
pub struct Argument {
    /// The value.
    pub value: Value,
    /// Where it came from.
    pub label: Label,
}

impl fmt::Debug for Argument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Argument");
        match self.label.sensitivity() {
            Sensitivity::Secret => shown.field("value", &format_args!("(hidden)")),
            _ => shown.field("value", &self.value),
        };
        shown.field("label", &self.label).finish()
    }
}

/// A fact an intent relies on, at the version it saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFact {
    /// The fact's key.
    pub key: FactKey,
    /// The version seen.
    pub version: u64,
}

/// What is asked for, before the catalogue has checked it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The name of the kind.
    pub kind: Box<str>,
    /// Whom it is done for.
    pub subject: SubjectId,
    /// The session it belongs to.
    pub session: SessionId,
    /// The caller's own mark; two requests that differ only in it are two intents.
    pub request: Option<RequestId>,
    /// What it serves.
    pub objective: Objective,
    /// The arguments by name.
    pub arguments: BTreeMap<Box<str>, Argument>,
    /// The facts it relies on.
    pub reads: Vec<ReadFact>,
    /// The snapshot it was made on, where the caller knows one.
    pub snapshot: Option<SnapshotId>,
}

/// What the catalogue says of a kind of intent, as far as later layers need it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kind {
    /// The kind's name.
    pub id: KindId,
    /// What a module that serves it may do.
    pub tier: CapabilityTier,
    /// What is dangerous about it.
    pub flags: SafetyFlags,
    /// The scope that a session's roles must cover.
    pub scope: Name,
    /// The name of the outside source its output comes from, where it reads one.
    pub reads_outside: Option<Name>,
}

/// A checked intent. Immutable; its hash covers everything but the objective. `Debug` does
/// not show the canonical bytes, in which every argument stands in full.
#[derive(PartialEq, Eq)]
pub struct Intent(Box<Parts>);

impl fmt::Debug for Intent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Parts { kind, subject, session, request, objective, arguments, hash, .. } = &*self.0;
        f.debug_struct("Intent")
            .field("kind", kind)
            .field("subject", subject)
            .field("session", session)
            .field("request", request)
            .field("objective", objective)
            .field("arguments", arguments)
            .field("hash", hash)
            .finish_non_exhaustive()
    }
}

#[derive(PartialEq, Eq)]
struct Parts {
    kind: Arc<Kind>,
    subject: SubjectId,
    session: SessionId,
    request: Option<RequestId>,
    objective: Objective,
    arguments: BTreeMap<Box<str>, Argument>,
    label: Label,
    reads: Vec<ReadFact>,
    snapshot: Option<SnapshotId>,
    catalogue: Digest,
    canonical: Arc<[u8]>,
    hash: Digest,
    salt: Option<Salt>,
}

impl Intent {
    /// Called by the catalogue alone, after its checks.
    fn assemble(kind: Arc<Kind>, catalogue: Digest, request: Request) -> Self {
        let mut out = Writer::with_capacity(256);
        out.value(&kind.id)
            .value(&request.subject)
            .value(&request.session)
            .option(request.request.as_ref())
            .count(request.arguments.len());
        let mut label = Label::empty();
        for (name, argument) in &request.arguments {
            out.text(name).value(&argument.value).value(&argument.label);
            label.absorb(&argument.label);
        }
        out.count(request.reads.len());
        for read in &request.reads {
            out.value(&read.key).u64(read.version);
        }
        out.option(request.snapshot.as_ref()).digest(&catalogue);
        let canonical = out.into_bytes();
        Self(Box::new(Parts {
            hash: Domain::Intent.hash(&canonical),
            canonical: canonical.into(),
            kind,
            subject: request.subject,
            session: request.session,
            request: request.request,
            objective: request.objective,
            arguments: request.arguments,
            label,
            reads: request.reads,
            snapshot: request.snapshot,
            catalogue,
            salt: None,
        }))
    }

    /// The same intent with salted commitments for its hashes, so that no field of it and
    /// nothing of its objective can be guessed from the evidence
    /// ([`crate::commitment`]). One that is salted stays as it is.
    #[must_use]
    pub fn salted(self, key: &SubjectKey) -> Self {
        let intent = key.salt(Part::Intent, &self.0.hash);
        let objective = key.salt(Part::Objective, &self.0.objective.hash);
        self.salted_with(intent, objective)
    }

    /// [`Intent::salted`] with salts that were kept: what replay needs.
    #[must_use]
    pub fn salted_with(mut self, intent: Salt, objective: Salt) -> Self {
        let parts = &mut *self.0;
        if parts.salt.is_none() {
            // Canonical bytes that are no intent's cannot come from `assemble`.
            let fields = fields::of_canonical(&parts.canonical).unwrap_or(Value::Null);
            parts.hash = commit(Part::Intent, &intent, &fields);
            parts.salt = Some(intent);
            parts.objective.salted(objective);
        }
        self
    }

    /// The salt of its commitment; none when its hash is the plain one.
    pub fn salt(&self) -> Option<&Salt> {
        self.0.salt.as_ref()
    }

    /// The bytes to keep under its hash: the canonical ones, behind the salt where it has
    /// one.
    pub(crate) fn kept(&self) -> Arc<[u8]> {
        match &self.0.salt {
            None => Arc::clone(&self.0.canonical),
            Some(salt) => to_kept(salt, &self.0.canonical).into(),
        }
    }

    /// An intent as the catalogue would make it, for the tests of other rooms.
    #[cfg(test)]
    pub(crate) fn for_tests(kind: Kind, request: Request) -> Self {
        Self::assemble(Arc::new(kind), Digest::ZERO, request)
    }

    /// The kind.
    pub fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// Whom it is done for.
    pub fn subject(&self) -> &SubjectId {
        &self.0.subject
    }

    /// The session it belongs to.
    pub fn session(&self) -> &SessionId {
        &self.0.session
    }

    /// The caller's own mark.
    pub fn request(&self) -> Option<&RequestId> {
        self.0.request.as_ref()
    }

    /// What it serves.
    pub fn objective(&self) -> &Objective {
        &self.0.objective
    }

    /// The arguments by name.
    pub fn arguments(&self) -> &BTreeMap<Box<str>, Argument> {
        &self.0.arguments
    }

    /// The join of all arguments' labels.
    pub fn label(&self) -> &Label {
        &self.0.label
    }

    /// The facts it relies on.
    pub fn reads(&self) -> &[ReadFact] {
        &self.0.reads
    }

    /// The snapshot it says it was made on.
    pub fn snapshot(&self) -> Option<SnapshotId> {
        self.0.snapshot
    }

    /// The digest of the catalogue that checked it.
    pub fn catalogue(&self) -> Digest {
        self.0.catalogue
    }

    /// The canonical bytes that the hash covers: kind, subject, session, optional
    /// request mark, arguments in name order (name, value, label), reads (key,
    /// version), optional snapshot, catalogue digest; encoded as [`crate::encode`] says.
    pub fn canonical(&self) -> &Arc<[u8]> {
        &self.0.canonical
    }

    /// The Intent Hash (IRM-3.1.1): BLAKE3 of [`Intent::canonical`] in [`Domain::Intent`],
    /// or the commitment to its [`fields`] where it is [salted](Intent::salted).
    pub fn hash(&self) -> Digest {
        self.0.hash
    }
}
