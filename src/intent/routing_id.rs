//! The Routing ID (IRM-3.1, D-23), byte by byte.
//!
//! | offset | bytes | component |
//! |---|---|---|
//! | 0 | 32 | Intent Hash |
//! | 32 | 32 | User Objective Hash |
//! | 64 | 32 | Context Snapshot ID |
//! | 96 | 4 | safety flags known at Step 2, little-endian |
//! | 100 | 2 | engine consensus vector, little-endian |
//!
//! The Routing ID is BLAKE3 of these 102 bytes in [`Domain::RoutingId`].

use core::fmt;

use serde::{Deserialize, Serialize};

use crate::digest::{Digest, Domain};
use crate::encode::{Decode, DecodeError, Encode, Fixed, Reader, Writer};
use crate::id::SnapshotId;
use crate::verdict::{Consensus, SafetyFlags};

/// The five components of a Routing ID, in the order of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoutingComponents {
    /// IRM-3.1.1.
    pub intent: Digest,
    /// IRM-3.1.2.
    pub objective: Digest,
    /// IRM-3.1.3.
    pub snapshot: SnapshotId,
    /// IRM-3.1.4, as known at Step 2.
    pub flags: SafetyFlags,
    /// IRM-3.1.5.
    pub consensus: Consensus,
}

impl RoutingComponents {
    /// The canonical bytes.
    pub fn to_bytes(&self) -> [u8; 102] {
        let mut out = Fixed::<102>::new();
        out.put(self.intent.as_bytes())
            .put(self.objective.as_bytes())
            .put(self.snapshot.digest_bytes())
            .put(&self.flags.bits().to_le_bytes())
            .put(&self.consensus.bits().to_le_bytes());
        out.into_bytes()
    }

    /// The Routing ID.
    pub fn id(&self) -> RoutingId {
        RoutingId(Domain::RoutingId.hash(&self.to_bytes()))
    }
}

/// The deterministic value that selects an execution template (IRM-3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RoutingId(Digest);

impl RoutingId {
    /// A Routing ID read from a record.
    pub const fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }

    /// Its 32 bytes.
    pub const fn digest(&self) -> Digest {
        self.0
    }
}

impl fmt::Display for RoutingId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Encode for RoutingId {
    fn encode(&self, out: &mut Writer) {
        out.digest(&self.0);
    }
}

impl Decode for RoutingId {
    fn decode(input: &mut Reader<'_>) -> Result<Self, DecodeError> {
        input.digest().map(Self)
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;
    use alloc::vec::Vec;

    use serde_json::Value;

    use super::*;
    use crate::id::LayerId;
    use crate::verdict::Vote;

    const VECTORS: &str = include_str!("../../tests/vectors/routing_id.json");

    fn components(vector: &Value) -> RoutingComponents {
        let digest = |field: &str| vector[field].as_str().unwrap().parse::<Digest>().unwrap();
        let flags = u32::try_from(vector["flags"].as_u64().unwrap()).unwrap();
        let agreed = vector["agreed"].as_array().unwrap();
        RoutingComponents {
            intent: digest("intent"),
            objective: digest("objective"),
            snapshot: SnapshotId::new(digest("snapshot")),
            flags: SafetyFlags::from_bits(flags).unwrap(),
            consensus: agreed.iter().fold(Consensus::NONE, |votes, layer| {
                let step = usize::try_from(layer.as_u64().unwrap()).unwrap();
                votes.with(LayerId::ALL[step - 1], Vote::Agree)
            }),
        }
    }

    /// D-23, IRM-3.1, IRM-4.2.4.
    #[test]
    fn d_23_known_answers() {
        let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
        assert!(!vectors.is_empty());
        for vector in &vectors {
            let components = components(vector);
            let hex = vector["bytes"].as_str().unwrap();
            let bytes: Vec<u8> = (0..hex.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
                .collect();
            assert_eq!(components.to_bytes()[..], bytes, "{}", vector["description"]);
            assert_eq!(components.id().to_string(), vector["id"], "{}", vector["description"]);
        }
    }

    /// IRM-3.1.1..IRM-3.1.5.
    #[test]
    fn irm_3_1_each_component_changes_the_id() {
        let vectors: Vec<Value> = serde_json::from_str(VECTORS).unwrap();
        let ids: alloc::collections::BTreeSet<_> =
            vectors.iter().map(|vector| components(vector).id()).collect();
        assert_eq!(ids.len(), vectors.len());
    }
}
