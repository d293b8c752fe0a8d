//! Intents for the tests of rooms that are handed finished ones.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::digest::{Digest, Domain};
use crate::intent::{Argument, Intent, Kind, Objective, ReadFact, Request};
use crate::provenance::{Label, Source};
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

/// A kind with no flags.
pub(crate) fn kind(id: &str, tier: CapabilityTier) -> Kind {
    Kind {
        id: id.parse().unwrap(),
        tier,
        flags: SafetyFlags::NONE,
        scope: "test".parse().unwrap(),
        reads_outside: None,
    }
}

/// An intent of `kind` whose arguments the user gave.
pub(crate) fn intent(kind: Kind, arguments: &[(&str, Value)]) -> Intent {
    let label = Label::from(Source::User);
    let request = Request {
        kind: kind.id.as_str().into(),
        subject: "alice".parse().unwrap(),
        session: "s1".parse().unwrap(),
        request: None,
        objective: Objective::new("test"),
        arguments: arguments
            .iter()
            .map(|(name, value)| {
                ((*name).into(), Argument { value: value.clone(), label: label.clone() })
            })
            .collect(),
        reads: Vec::new(),
        snapshot: None,
    };
    Intent::assemble(Arc::new(kind), Digest::ZERO, request)
}
