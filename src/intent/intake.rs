//! From what arrives to an intent, or to a record of why it is none (IRM-4.2, D-21).
//!
//! Intake takes two steps, because the label of an argument depends on the session,
//! and the session is named by what arrives:
//!
//! 1. a reader (feature `files`: [`mcp`], [`native`], [`Mapping`]) turns bytes into
//!    [`Expanded`]: the request's full meaning, nothing checked against a catalogue;
//! 2. [`Expanded::submit`] labels the arguments and asks the catalogue.
//!
//! INVARIANT (nothing is lost): each step ends in a value that can be routed. What
//! cannot be read is [`Malformed`], with the digest of its bytes and the reason.
//!
//! Requirements: IRM-4.2.1.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::commitment::SubjectKey;
use crate::digest::{Digest, Domain};
use crate::id::{RequestId, SessionId, SnapshotId, SubjectId};
use crate::intent::label::{FactLookup, LabelContext, Labeller};
use crate::intent::{Argument, Catalogue, Intent, Objective, ReadFact, Request};
use crate::provenance::{Label, Source};
use crate::value::Value;
use crate::verdict::Reason;

#[cfg(feature = "files")]
pub use mapping::Mapping;

#[cfg(feature = "files")]
mod fields;
#[cfg(feature = "files")]
mod mapping;
#[cfg(feature = "files")]
pub mod mcp;
#[cfg(feature = "files")]
pub mod native;
#[cfg(feature = "files")]
#[cfg(test)]
mod tests;

/// Something that asked to be done and cannot be read as an intent. It is routed
/// all the same, to be Blocked with evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The digest of the bytes, in [`Domain::Malformed`].
    pub digest: Digest,
    /// Whom it was for, where that could be read or is known from elsewhere.
    pub subject: Option<SubjectId>,
    /// The session it belongs to, where that could be read or is known from elsewhere.
    pub session: Option<SessionId>,
    /// Why it is no intent.
    pub reason: Reason,
}

/// What arrives at the door.
#[derive(Debug, PartialEq, Eq)]
pub enum Submission {
    /// A checked intent.
    Intent(Intent),
    /// Something that is none.
    Malformed(Malformed),
}

impl Malformed {
    /// Why it is no intent.
    pub const fn reason(&self) -> &Reason {
        &self.reason
    }
}

impl Submission {
    /// The intent, if it is one.
    pub const fn intent(&self) -> Option<&Intent> {
        match self {
            Self::Intent(intent) => Some(intent),
            Self::Malformed(_) => None,
        }
    }

    /// The intent's hash, or the digest of the bytes that are none.
    pub fn digest(&self) -> Digest {
        match self {
            Self::Intent(intent) => intent.hash(),
            Self::Malformed(malformed) => malformed.digest,
        }
    }

    /// The same submission with salted commitments for its digests
    /// ([`crate::commitment`]). To be done once: the digest of what is no intent does not
    /// show whether it is one.
    #[must_use]
    pub fn salted(self, key: &SubjectKey) -> Self {
        match self {
            Self::Intent(intent) => Self::Intent(intent.salted(key)),
            Self::Malformed(malformed) => {
                Self::Malformed(Malformed { digest: key.opaque(&malformed.digest), ..malformed })
            }
        }
    }

    /// Whom it is for, where that is known.
    pub fn subject(&self) -> Option<&SubjectId> {
        match self {
            Self::Intent(intent) => Some(intent.subject()),
            Self::Malformed(malformed) => malformed.subject.as_ref(),
        }
    }

    /// The session it belongs to, where that is known.
    pub fn session(&self) -> Option<&SessionId> {
        match self {
            Self::Intent(intent) => Some(intent.session()),
            Self::Malformed(malformed) => malformed.session.as_ref(),
        }
    }
}

impl From<Intent> for Submission {
    fn from(intent: Intent) -> Self {
        Self::Intent(intent)
    }
}

impl From<Malformed> for Submission {
    fn from(malformed: Malformed) -> Self {
        Self::Malformed(malformed)
    }
}

/// What is known of a channel before anything is read from it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Channel {
    /// Who writes the objectives that arrive on it. Only with [`Source::User`] do
    /// values that stand in an objective count as the user's.
    pub instruction: Source,
    /// The subject of what names none.
    pub subject: Option<SubjectId>,
    /// The session of what names none.
    pub session: Option<SessionId>,
    /// The objective of what names none: the user's own words, given by the program
    /// that embeds prospera.
    pub objective: Option<Objective>,
}

impl Channel {
    /// A channel on which `instruction` writes the objectives.
    pub const fn new(instruction: Source) -> Self {
        Self { instruction, subject: None, session: None, objective: None }
    }
}

/// A request read to its full meaning, its arguments not labelled yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expanded {
    /// The name of the kind.
    pub kind: Box<str>,
    /// Whom it is done for.
    pub subject: SubjectId,
    /// The session it belongs to.
    pub session: SessionId,
    /// The caller's own mark.
    pub request: Option<RequestId>,
    /// What it serves.
    pub objective: Objective,
    /// Who wrote the objective.
    pub instruction: Source,
    /// The arguments by name.
    pub arguments: BTreeMap<Box<str>, Value>,
    /// Sources the caller says flowed into an argument, beside what is found.
    pub claimed: BTreeMap<Box<str>, Vec<Source>>,
    /// The facts it relies on.
    pub reads: Vec<ReadFact>,
    /// The snapshot it was made on.
    pub snapshot: Option<SnapshotId>,
    /// The digest of the bytes it was read from, in [`Domain::Malformed`].
    pub digest: Digest,
}

impl Expanded {
    /// Labels the arguments and asks the catalogue. `context` is the label of all the
    /// session has read so far, `facts` looks up what is remembered of the subject.
    ///
    /// The instruction's own source flows into every argument that the user did not
    /// write, unless it is the user. A claimed source is added to what is found; it
    /// never removes one.
    pub fn submit(
        self,
        catalogue: &Catalogue,
        context: &Label,
        facts: Option<FactLookup<'_>>,
    ) -> Submission {
        let (digest, subject, session) = (self.digest, self.subject.clone(), self.session.clone());
        match catalogue.intent(self.into_request(catalogue, context, facts)) {
            Ok(intent) => Submission::Intent(intent),
            Err(error) => Submission::Malformed(Malformed {
                digest,
                subject: Some(subject),
                session: Some(session),
                reason: error.reason(),
            }),
        }
    }

    fn into_request(
        self,
        catalogue: &Catalogue,
        context: &Label,
        facts: Option<FactLookup<'_>>,
    ) -> Request {
        let user = self.instruction == Source::User;
        let mut context = context.clone();
        if !user {
            context.absorb(&self.instruction.into());
        }
        let text = user.then(|| self.objective.text());
        let compared = LabelContext::new(text, &context);
        let compared = facts.map_or(compared, |facts| compared.with_facts(facts));
        let labeller = Labeller::new(&compared);
        let check = catalogue.check(&self.kind);
        let mut claimed = self.claimed;
        let mut arguments = BTreeMap::new();
        for (name, value) in self.arguments {
            // A kind the catalogue does not know is refused whatever its labels.
            let mut label =
                check.map_or_else(Label::empty, |check| labeller.label(&name, &value, check));
            for source in claimed.remove(&name).into_iter().flatten() {
                label.absorb(&source.into());
            }
            arguments.insert(name, Argument { value, label });
        }
        Request {
            kind: self.kind,
            subject: self.subject,
            session: self.session,
            request: self.request,
            objective: self.objective,
            arguments,
            reads: self.reads,
            snapshot: self.snapshot,
        }
    }
}

/// The digest of bytes that arrived, in [`Domain::Malformed`].
pub fn digest(bytes: &[u8]) -> Digest {
    Domain::Malformed.hash(bytes)
}
