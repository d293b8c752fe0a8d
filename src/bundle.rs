//! Evidence bundles: one file for one route, which a stranger can check with a public key
//! and nothing else.
//!
//! A bundle holds the route's evidence and outcome, the session with its claims and
//! delegation, the audience's records, the policy set that was in force, the decisions of
//! people, the payloads that these name, a proof for each record that it stands in the log
//! of one checkpoint, and that checkpoint with its signatures. [`Bundle::verify`] needs no
//! store, no network and no `std`.
//!
//! - `Bundle::gather` makes one from any [`Store`](crate::ssot::store::Store)
//! - [`Bundle::withhold`] takes a field out; what is left still verifies
//! - [`Bundle::verify`] checks all of it and says in plain values what was decided
//! - `Bundle::to_json`, `Bundle::from_json` (feature `files`): the form for reading
//!
//! # Format, version 1
//! Binary, encoded as [`crate::encode`] says:
//!
//! | bytes | field |
//! |---|---|
//! | 8 | `prospBDL` |
//! | 1 | version, 1 |
//! | 32 | the route: the digest of its evidence's record |
//! | 4 + n | the checkpoint: a signed note ([`crate::ssot::checkpoint`]) |
//! | 4 + … | records in the order of the log: canonical bytes (4 + n), then the inclusion path, a list of 32 bytes each |
//! | 4 + … | payloads in the order of their digests: digest (32), then `1` and the plain bytes (4 + n), or `2` and the fields ([`Fields`]) |
//!
//! The JSON form has the same content and, beside each record and payload, what it says.
//! What it says is made from the bytes: a reader of it is refused when the two differ.
//!
//! # Which records
//! A bundle holds exactly those records that one of these lines calls for:
//!
//! | record | why |
//! |---|---|
//! | evidence block | the route itself |
//! | outcome | names the evidence; next in the same stream |
//! | session opened | principal, subject and session are those of the evidence |
//! | policy pinned | its digest is the evidence's pins: table, policy, matrix, catalogue, … |
//! | audience records | from the change to the state that the evidence names up to the evidence |
//! | governance decision | the approval, or the backtrack, that the evidence names |
//! | governance decision, later | the answer to a route that waited for one |
//! | evidence block, later | the same intent, taken up again after the route waited |
//! | governance decision, later | an erasure of the subject's payloads |
//!
//! # Receipts (AARM)
//! AARM v1.0 requirement R5 (aarm.dev/spec) lists what a receipt must contain:
//!
//! | R5 | here, in [`Verified`] |
//! |---|---|
//! | action: tool, operation, parameters, timestamp | `evidence.module`, `evidence.kind` with `evidence.template` and `evidence.branch`, the intent's `arguments` among `payloads`, `evidence.timestamp` |
//! | context: session, accumulated context | `identity.session`; `evidence.state`, `.class`, `.snapshot`, `.consensus`, `.risk`, `.surprise`, `.drift`, `.flags`; the sources of each argument; `audience` |
//! | identity: human, service, agent, role and scope | `identity.subject` and `identity.delegation`, `identity.origin`, `identity.principal` with `identity.kind`, `identity.roles` and `identity.scopes` |
//! | decision: result, policy matched, reason | `evidence.verdict`, the rules in `evidence.trace`, `policy`; the reasons in `evidence.trace` |
//! | approval: approver, decision, timestamp | `approval`, or `answer` for a route that waited |
//! | deferral: reason, resolution, timestamp | the last reasons in `evidence.trace`, `evidence.wait_until`; `answer` and `resumed` |
//! | outcome: result, error | `outcome` |
//! | signature, verifiable offline | `checkpoint`: Ed25519 over the root under which each record is proven |
//!
//! # What a bundle does not prove
//! That the log has no later record about the route: a bundle whose outcome was left out
//! verifies, and says that it holds none. That the audience had no record between those
//! shown and the evidence: the store's compare-and-append saw to that, and whoever has the
//! log can check it. Records hold reasons, names and labels in the clear: what is withheld
//! are payloads.
//!
//! INVARIANT (one form): a bundle that is read and written again is the same bytes.

use alloc::boxed::Box;
use alloc::string::ToString as _;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::commitment::Fields;
use crate::digest::Digest;
use crate::encode::{Decode, DecodeError, Encode, Reader, Writer};
use crate::limits::BUNDLE_BYTES;
use crate::ssot::merkle::Hash;
use crate::ssot::note::Note;
use crate::ssot::record::Record;

pub use error::{BundleError, Missing, WithholdError};
pub use seen::{
    AudienceSeen, CheckpointSeen, Decision, Delegated, Identity, OutcomeSeen, PayloadSeen,
    PayloadState, Place, PolicySeen, Resumed, Verified,
};

mod check;
mod error;
mod gather;
#[cfg(feature = "files")]
mod json;
mod payload;
mod seen;
#[cfg(test)]
#[cfg(feature = "std")]
mod tests;
mod verify;

pub use gather::{GatherError, routes_of};
#[cfg(feature = "files")]
pub use json::JsonError;

/// What a bundle begins with.
const MAGIC: &[u8; 8] = b"prospBDL";
/// The version of the format.
pub const BUNDLE_VERSION: u8 = 1;

/// The evidence of one route, with everything it takes to check it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bundle {
    route: Digest,
    checkpoint: Note,
    records: Vec<Proven>,
    payloads: Vec<Payload>,
}

/// A record, and the way from it to the checkpoint's root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proven {
    /// The record.
    pub record: Record,
    /// The hashes beside the way, from below.
    pub path: Vec<Hash>,
}

/// A payload that is shown, all of it or in part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payload {
    /// The digest that a record names.
    pub digest: Digest,
    /// What it stands for.
    pub content: Content,
}

/// What a digest stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// The bytes of a payload whose digest is a plain one.
    Plain(Arc<[u8]>),
    /// The fields of a payload whose digest is a salted commitment.
    Salted(Fields),
}

impl Bundle {
    /// The digest of the evidence's record.
    pub const fn route(&self) -> Digest {
        self.route
    }

    /// The checkpoint. Nothing of it may be believed before it is verified.
    pub const fn checkpoint(&self) -> &Note {
        &self.checkpoint
    }

    /// The records, in the order of the log.
    pub fn records(&self) -> &[Proven] {
        &self.records
    }

    /// The payloads, in the order of their digests.
    pub fn payloads(&self) -> &[Payload] {
        &self.payloads
    }

    /// The binary form.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.to_canonical()
    }

    /// Reads the binary form. Nothing of it may be believed before it is verified.
    ///
    /// # Errors
    /// [`DecodeError`] that says what was expected and where.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > BUNDLE_BYTES {
            let expected = "a bundle of at most 64 MiB";
            return Err(DecodeError::Invalid { expected, offset: BUNDLE_BYTES });
        }
        Self::from_canonical(bytes)
    }

    /// Whether bytes begin as the binary form does.
    pub fn is_binary(bytes: &[u8]) -> bool {
        bytes.starts_with(MAGIC)
    }
}

impl Encode for Proven {
    fn encode(&self, out: &mut Writer) {
        out.bytes(self.record.bytes()).count(self.path.len());
        for hash in &self.path {
            out.raw(hash.as_bytes());
        }
    }
}

impl Decode for Proven {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = input.bytes()?;
        let record = Record::decode_sealed(bytes)?;
        let count = input.count(32)?;
        let hash = |_| input.digest().map(|hash| Hash::from_bytes(*hash.as_bytes()));
        Ok(Self { record, path: (0..count).map(hash).collect::<Result<_, _>>()? })
    }
}

impl Encode for Payload {
    fn encode(&self, out: &mut Writer) {
        out.digest(&self.digest);
        match &self.content {
            Content::Plain(bytes) => out.u8(1).bytes(bytes),
            Content::Salted(fields) => out.u8(2).value(fields),
        };
    }
}

impl Decode for Payload {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (digest, offset) = (input.digest()?, input.offset());
        let content = match input.u8()? {
            1 => Content::Plain(input.bytes()?.into()),
            2 => Content::Salted(input.value()?),
            other => return Err(Reader::bad_tag("the form of a payload", other, offset)),
        };
        Ok(Self { digest, content })
    }
}

impl Encode for Bundle {
    fn room(&self) -> usize {
        8192
    }

    fn encode(&self, out: &mut Writer) {
        out.raw(MAGIC).u8(BUNDLE_VERSION).digest(&self.route);
        out.bytes(self.checkpoint.to_string().as_bytes());
        out.list(&self.records).list(&self.payloads);
    }
}

impl Decode for Bundle {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        if input.raw(MAGIC.len())? != MAGIC {
            return Err(input.invalid("`prospBDL`, with which a bundle begins"));
        }
        let offset = input.offset();
        let version = input.u8()?;
        if version != BUNDLE_VERSION {
            return Err(Reader::bad_tag("bundle version 1", version, offset));
        }
        let route = input.digest()?;
        let note = input.bytes()?;
        let checkpoint = Note::parse(note).map_err(|_| input.invalid("a signed note"))?;
        let (records, payloads) = (input.list()?, input.list()?);
        let bundle = Self { route, checkpoint, records, payloads };
        match bundle.out_of_order() {
            None => Ok(bundle),
            Some(expected) => Err(input.invalid(expected)),
        }
    }
}

impl Bundle {
    /// What is not in its order, or there twice.
    fn out_of_order(&self) -> Option<&'static str> {
        let records = self.records.iter().map(|proven| proven.record.index());
        if !ascending(records) {
            return Some("records in the order of the log, each once");
        }
        if !ascending(self.payloads.iter().map(|payload| payload.digest)) {
            return Some("payloads in the order of their digests, each once");
        }
        None
    }
}

fn ascending<T: PartialOrd>(mut all: impl Iterator<Item = T>) -> bool {
    let Some(mut last) = all.next() else { return true };
    all.all(|next| {
        let follows = last < next;
        last = next;
        follows
    })
}

/// A text for errors and pages.
pub(crate) type Text = Box<str>;
