//! What a bundle that verified says, in plain values.

use alloc::string::String;
use alloc::vec::Vec;

use serde::Serialize;

use super::Text;
use crate::digest::Digest;
use crate::id::{Name, PrincipalId, SessionId, SubjectId};
use crate::risk::Risk;
use crate::routing::{EvidenceBlock, Outcome};
use crate::time::Timestamp;
use crate::value::Value;
use crate::verdict::Consensus;

/// What was decided, why, by whom, under which policy, when, and what of it is withheld.
/// All of it was checked; [`super::Bundle::verify`] alone makes one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Verified {
    /// The record of the evidence.
    pub route: Place,
    /// The evidence itself.
    pub evidence: EvidenceBlock,
    /// The votes that the Routing ID was made of, found again from the ID; none where the
    /// route has no Routing ID.
    pub packaged: Option<Consensus>,
    /// The outcome, where the bundle holds one.
    pub outcome: Option<OutcomeSeen>,
    /// Who asked, for whom, with which authority.
    pub identity: Identity,
    /// What it was decided under.
    pub policy: PolicySeen,
    /// The audience's records, in their order.
    pub audience: Vec<AudienceSeen>,
    /// The approval it rests on.
    pub approval: Option<Decision>,
    /// The authorization to go back that it rests on.
    pub backtrack: Option<Decision>,
    /// The later answer to a route that waited for one.
    pub answer: Option<Decision>,
    /// The same intent, taken up again after the route waited.
    pub resumed: Option<Resumed>,
    /// The erasure of the subject's payloads.
    pub erasure: Option<Decision>,
    /// Everything that the records name, shown or not.
    pub payloads: Vec<PayloadSeen>,
    /// Which checkpoint all records are proven under.
    pub checkpoint: CheckpointSeen,
}

impl Verified {
    /// The paths of all that is withheld: of a part as a whole its name, otherwise its name
    /// and the field's path.
    pub fn withheld(&self) -> Vec<String> {
        let mut out = Vec::new();
        for payload in &self.payloads {
            match payload.state {
                PayloadState::Withheld => out.push(String::from(payload.part)),
                PayloadState::Partly => {
                    let named = |path: &String| alloc::format!("{}/{path}", payload.part);
                    out.extend(payload.withheld.iter().map(named));
                }
                PayloadState::Shown | PayloadState::Erased => {}
            }
        }
        out
    }

    /// The payload of a part, shown or not; none where no record names one.
    pub fn payload(&self, part: &str) -> Option<&PayloadSeen> {
        self.payloads.iter().find(|payload| payload.part == part)
    }
}

/// Where a record stands in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Place {
    /// Its index.
    pub index: u64,
    /// Its digest.
    pub digest: Digest,
    /// When it was recorded.
    pub recorded_at: Timestamp,
}

/// The outcome of a route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutcomeSeen {
    /// Its record.
    pub place: Place,
    /// What it says.
    pub outcome: Outcome,
}

/// Who asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Identity {
    /// The record of the session's opening.
    pub place: Place,
    /// Who acts.
    pub principal: PrincipalId,
    /// What acts: `human`, `agent` or `service`.
    pub kind: &'static str,
    /// For whom.
    pub subject: SubjectId,
    /// In which session.
    pub session: SessionId,
    /// Who answers for the claims: the issuer of a token, or none for the host.
    pub origin: Option<Name>,
    /// The roles of the first in the chain.
    pub roles: Vec<Name>,
    /// The scopes held.
    pub scopes: Vec<Name>,
    /// Who passed on what, the first first.
    pub delegation: Vec<Delegated>,
    /// Whether the subject consented.
    pub consent: bool,
    /// How sure it is who acts.
    pub strength: Risk,
    /// When the claims were verified.
    pub verified_at: Timestamp,
    /// The digest of the claims.
    pub claims: Digest,
    /// The digest of the identity policy.
    pub policy: Digest,
}

/// One link of a delegation chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Delegated {
    /// Who passes on.
    pub principal: PrincipalId,
    /// What is passed on.
    pub scopes: Vec<Name>,
}

/// The policy set in force.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PolicySeen {
    /// The record that put it into force.
    pub place: Place,
    /// Who put it into force.
    pub by: PrincipalId,
    /// The digest of the whole set.
    pub pins: Digest,
    /// The digest of each part: table, policy, matrix, catalogue and so on.
    pub parts: Vec<(Name, Digest)>,
}

/// One record of the audience.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct AudienceSeen {
    /// The record.
    pub place: Place,
    /// What it says.
    pub says: Text,
}

/// A person's decision.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Decision {
    /// Its record.
    pub place: Place,
    /// What it is about.
    pub matter: &'static str,
    /// Yes or no.
    pub granted: bool,
    /// Who decided.
    pub decider: PrincipalId,
    /// In which role.
    pub role: Name,
    /// When.
    pub decided_at: Timestamp,
    /// Until when it can be used.
    pub expires_at: Timestamp,
    /// The digest of the governance policy.
    pub policy: Digest,
    /// The decider's words.
    pub note: Text,
}

/// The same intent, taken up again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Resumed {
    /// The record of the later evidence.
    pub place: Place,
    /// How it ended.
    pub verdict: crate::verdict::Verdict,
}

/// How much of a payload is in the bundle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum PayloadState {
    /// All of it.
    Shown,
    /// Some fields are withheld.
    Partly,
    /// Nothing of it.
    Withheld,
    /// Nothing of it: the subject's payloads were erased, by a decision on record.
    Erased,
}

/// A payload that a record names.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PayloadSeen {
    /// `intent`, `objective` or `output`.
    pub part: &'static str,
    /// The digest in the record.
    pub digest: Digest,
    /// Whether the digest is a salted commitment. A plain one lets whoever has a guess
    /// confirm it.
    pub salted: bool,
    /// How much is shown.
    pub state: PayloadState,
    /// The fields that are shown, by path.
    pub fields: Vec<(String, Value)>,
    /// The paths of fields that are withheld.
    pub withheld: Vec<String>,
}

/// The checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CheckpointSeen {
    /// Which log.
    pub origin: String,
    /// How many records it has.
    pub size: u64,
    /// The root of the tree over them, in hex.
    pub root: String,
    /// Whose keys signed.
    pub signed: Vec<String>,
    /// Which witnesses cosigned, and when they say they did.
    pub cosigned: Vec<String>,
}
