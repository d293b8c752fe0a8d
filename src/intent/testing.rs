//! Intents for the tests of rooms that are handed finished ones.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::digest::Domain;
use crate::intent::{Argument, Intent, Kind, Objective, ReadFact, Request};
use crate::provenance::Label;
use crate::value::Value;
use crate::verdict::{CapabilityTier, SafetyFlags};

/// An intent being put together.
pub(crate) struct Sample {
    kind: Kind,
    request: Request,
}

impl Sample {
    pub(crate) fn new(kind: &str, tier: CapabilityTier, flags: SafetyFlags) -> Self {
        let id = kind.parse().unwrap();
        Self {
            kind: Kind { id, tier, flags, scope: "work".parse().unwrap(), reads_outside: None },
            request: Request {
                kind: kind.into(),
                subject: "alice".parse().unwrap(),
                session: "s-1".parse().unwrap(),
                request: None,
                objective: Objective::new("pay the rent"),
                arguments: BTreeMap::new(),
                reads: Vec::new(),
                snapshot: None,
            },
        }
    }

    pub(crate) fn argument(mut self, name: &str, value: impl Into<Value>, label: Label) -> Self {
        self.request.arguments.insert(name.into(), Argument { value: value.into(), label });
        self
    }

    pub(crate) fn reads(mut self, key: &str) -> Self {
        self.request.reads.push(ReadFact { key: key.parse().unwrap(), version: 1 });
        self
    }

    pub(crate) fn build(self) -> Intent {
        Intent::assemble(Arc::new(self.kind), Domain::Catalogue.hash(b"test"), self.request)
    }
}
