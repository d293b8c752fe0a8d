//! What can be wrong with a bundle, one variant for each check.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use crate::audience::state::State;
use crate::commitment::NoField;
use crate::digest::Digest;
use crate::encode::DecodeError;
use crate::intent::RoutingId;
use crate::ssot::checkpoint::PolicyError;
use crate::ssot::merkle::ProofError;
use crate::ssot::record::StreamId;
use crate::verdict::Verdict;

/// A part that a bundle must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// The evidence that the bundle is about.
    Evidence,
    /// The session's opening.
    Session,
    /// The policy set.
    Policy,
    /// The change of the audience that led to the state the evidence names.
    Audience,
    /// The approval that the evidence names.
    Approval,
    /// The authorization to go back that the evidence names.
    Backtrack,
}

impl Missing {
    const fn name(self) -> &'static str {
        match self {
            Self::Evidence => "the evidence it is about",
            Self::Session => "the opening of the session",
            Self::Policy => "the policy set of the evidence",
            Self::Audience => "the audience's change to the state of the evidence",
            Self::Approval => "the approval that the evidence names",
            Self::Backtrack => "the authorization to go back that the evidence names",
        }
    }
}

/// Why a bundle does not verify. The first check that fails says so; nothing of the
/// bundle may be believed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BundleError {
    /// The checkpoint is not one that the given keys stand behind.
    #[error("the checkpoint: {0}")]
    Checkpoint(#[from] PolicyError),
    /// A record or payload is out of order, or there twice.
    #[error("expected {expected}")]
    Order {
        /// What it should be.
        expected: &'static str,
    },
    /// A record is not the one in the log of the checkpoint.
    #[error("record {index} is not in the log of the checkpoint: {source}")]
    Proof {
        /// The index it names.
        index: u64,
        /// What is wrong with its proof.
        source: ProofError,
    },
    /// A record's body cannot be read.
    #[error("record {index} cannot be read: {source}")]
    Body {
        /// Its index.
        index: u64,
        /// Why not.
        source: DecodeError,
    },
    /// A record does not follow the one before it on its stream.
    #[error("record {index} does not follow on `{stream}`: expected {expected}")]
    Link {
        /// Its index.
        index: u64,
        /// The stream.
        stream: StreamId,
        /// What should hold.
        expected: &'static str,
    },
    /// A part is not there.
    #[error("expected {}, found no such record", .0.name())]
    Missing(Missing),
    /// A record has nothing to do with the route.
    #[error("record {index} has nothing to do with route {}", route.short())]
    Unneeded {
        /// Its index.
        index: u64,
        /// The route.
        route: Digest,
    },
    /// The Routing ID does not follow from the evidence's components.
    #[error("expected the Routing ID of the evidence's components, found {found}")]
    RoutingId {
        /// The one recorded.
        found: RoutingId,
    },
    /// The outcome is not one of this evidence, or a route that does nothing has one.
    #[error("record {index} is no outcome of this evidence: expected {expected}")]
    Outcome {
        /// Its index.
        index: u64,
        /// What should hold.
        expected: &'static str,
    },
    /// The session is not that of the evidence.
    #[error(
        "record {index} is not the session of the evidence: expected {what} `{expected}`, found `{found}`"
    )]
    Session {
        /// Its index.
        index: u64,
        /// Which part.
        what: &'static str,
        /// What the evidence says.
        expected: Box<str>,
        /// What the claims say.
        found: Box<str>,
    },
    /// The policy set is not the one the evidence was decided under.
    #[error("record {index} is not the policy set of the evidence: expected pins {}, found {}", expected.short(), found.short())]
    Pins {
        /// Its index.
        index: u64,
        /// What the evidence says.
        expected: Digest,
        /// What the record holds.
        found: Digest,
    },
    /// A part of the policy set has another digest than a record says.
    #[error("expected {what} {} of the pinned policy set, found {}", expected.short(), found.short())]
    PolicyPart {
        /// Which part.
        what: &'static str,
        /// What is pinned.
        expected: Digest,
        /// What was found.
        found: Digest,
    },
    /// The audience's records do not lead to the state that the evidence names.
    #[error("expected the audience in {expected} when it was decided, found it in {found}")]
    Audience {
        /// What the evidence says.
        expected: State,
        /// What the records say.
        found: State,
    },
    /// A decision is about something else than the evidence says.
    #[error("record {index} is not {what} of this route: expected {expected}")]
    Decision {
        /// Its index.
        index: u64,
        /// What it should be.
        what: &'static str,
        /// What should hold.
        expected: &'static str,
    },
    /// The verdict does not fit the trace.
    #[error("the verdict `{verdict:?}` does not fit the trace: expected {expected}")]
    Verdict {
        /// The verdict.
        verdict: Verdict,
        /// What should hold.
        expected: &'static str,
    },
    /// A payload is not what the record names.
    #[error("the {part} is not what the evidence names: expected {expected}, found {found}")]
    Payload {
        /// `intent`, `objective` or `output`.
        part: &'static str,
        /// The digest in the record.
        expected: Digest,
        /// The digest of what is shown.
        found: Digest,
    },
    /// A payload is shown in the form that its digest does not have.
    #[error("the {part} is shown {found}, expected {expected}")]
    PayloadForm {
        /// `intent`, `objective` or `output`.
        part: &'static str,
        /// The form its digest has.
        expected: &'static str,
        /// The form it is shown in.
        found: &'static str,
    },
    /// A payload's bytes cannot be read as what they are.
    #[error("the {part} cannot be read: {source}")]
    PayloadBody {
        /// `intent`, `objective` or `output`.
        part: &'static str,
        /// Why not.
        source: DecodeError,
    },
    /// A payload that no record names.
    #[error("payload {digest} is named by no record of the route")]
    PayloadUnnamed {
        /// Its digest.
        digest: Digest,
    },
    /// A field of the intent is another than the evidence says.
    #[error("the intent says {what} `{found}`, the evidence `{expected}`")]
    Field {
        /// Which.
        what: &'static str,
        /// What the evidence says.
        expected: Box<str>,
        /// What the intent says.
        found: Box<str>,
    },
}

/// Why a field cannot be withheld.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum WithholdError {
    /// The path begins with no part of the bundle.
    #[error("expected `intent`, `objective` or `output` to begin the path `{path}`{}", there(.known))]
    Part {
        /// The path.
        path: Box<str>,
        /// The parts that are shown.
        known: Vec<&'static str>,
    },
    /// The digest of the part is a plain one: it has no fields.
    #[error(
        "the evidence names the plain digest of the {part}, so it can be withheld as a whole only: `{part}`"
    )]
    Plain {
        /// The part.
        part: &'static str,
    },
    /// There is no such field.
    #[error(transparent)]
    Field(#[from] NoField),
}

fn there(known: &[&'static str]) -> String {
    if known.is_empty() {
        "; no payload is shown".into()
    } else {
        alloc::format!("; shown are {}", known.join(", "))
    }
}
