//! Step 2: the Intent Engine and the Intent Routing Package (IRM-4.2).

use crate::digest::Digest;
use crate::id::{LayerId, SnapshotId};
use crate::intent::{Intent, RoutingComponents, RoutingId};
use crate::verdict::{Consensus, Reason, ReasonCode, SafetyFlags, Vote};

/// What the Intent Engine is handed.
#[derive(Debug, Clone, Copy)]
pub struct PackageInput<'a> {
    /// The intent.
    pub intent: &'a Intent,
    /// The snapshot it will be routed on.
    pub snapshot: SnapshotId,
    /// The votes so far and the standing ones.
    pub consensus: Consensus,
    /// The digest of the catalogue in force.
    pub catalogue: Digest,
}

/// The Intent Routing Package: the components and the Routing ID made of them.
///
/// INVARIANT (one id): `id` is that of `components`; only [`RoutingPackage::new`] makes one.
#[derive(Debug, PartialEq, Eq)]
pub struct RoutingPackage {
    components: RoutingComponents,
    id: RoutingId,
}

impl RoutingPackage {
    /// Computes the Routing ID of the components.
    pub fn new(components: RoutingComponents) -> Self {
        Self { id: components.id(), components }
    }

    /// The five components.
    pub const fn components(&self) -> &RoutingComponents {
        &self.components
    }

    /// The Routing ID.
    pub const fn id(&self) -> RoutingId {
        self.id
    }
}

/// Step 2 of the path.
pub trait IntentEngine {
    /// Validates the intent's structure against the catalogue in force and
    /// computes its Routing ID.
    ///
    /// # Errors
    /// The [`Reason`] for which the intent is Blocked (D-21); no package is made.
    fn package(&self, input: &PackageInput<'_>) -> Result<RoutingPackage, Reason>;
}

/// The default Intent Engine: the intent must have been checked by the catalogue
/// in force; its flags are those of its kind, and [`SafetyFlags::OUTSIDE_ARGUMENT`]
/// where an argument carries a value from outside.
#[derive(Debug, Clone, Copy, Default)]
pub struct CatalogueEngine;

impl IntentEngine for CatalogueEngine {
    fn package(&self, input: &PackageInput<'_>) -> Result<RoutingPackage, Reason> {
        let intent = input.intent;
        if intent.catalogue() != input.catalogue {
            return Err(Reason::new(ReasonCode::IntentCatalogue));
        }
        let outside = if intent.label().is_outside() {
            SafetyFlags::OUTSIDE_ARGUMENT
        } else {
            SafetyFlags::NONE
        };
        Ok(RoutingPackage::new(RoutingComponents {
            intent: intent.hash(),
            objective: intent.objective().hash(),
            snapshot: input.snapshot,
            flags: intent.kind().flags.union(outside),
            consensus: input.consensus.with(LayerId::Intent, Vote::Agree),
        }))
    }
}
