//! Intents and facts for the tests of this room.

use alloc::collections::BTreeMap;
use alloc::vec;

use crate::id::{FactKey, SnapshotId};
use crate::intent::{Argument, Intent, Kind, Objective, ReadFact, Request};
use crate::memory::{Facts, NewFact};
use crate::provenance::{Label, Source};
use crate::ssot::record::Record;
use crate::time::Timestamp;
use crate::value::Value;
use crate::verdict::{CapabilityTier, SafetyFlags};

pub(super) fn key(text: &str) -> FactKey {
    text.parse().unwrap()
}

pub(super) fn label(source: Source) -> Label {
    source.into()
}

/// Alice's facts after these were recorded.
pub(super) fn learn(new: impl IntoIterator<Item = NewFact>) -> Facts {
    let mut facts = Facts::of("alice".parse().unwrap());
    for fact in new {
        also(&mut facts, fact);
    }
    facts
}

/// Records one more.
pub(super) fn also(facts: &mut Facts, new: NewFact) {
    let draft = facts.record(new).draft(&"alice".parse().unwrap());
    let record = Record::seal(draft, 0, facts.head(), Timestamp::from_millis(5));
    facts.apply(&record).unwrap();
}

/// Builds an intent of alice in session `s-1`.
pub(super) struct Build(Request);

impl Build {
    pub(super) fn new() -> Self {
        Self(Request {
            kind: "pay".into(),
            subject: "alice".parse().unwrap(),
            session: "s-1".parse().unwrap(),
            request: None,
            objective: Objective::new("pay the rent"),
            arguments: BTreeMap::new(),
            reads: vec![],
            snapshot: None,
        })
    }

    pub(super) fn from(request: Request) -> Self {
        Self(request)
    }

    pub(super) fn subject(mut self, subject: &str) -> Self {
        self.0.subject = subject.parse().unwrap();
        self
    }

    pub(super) fn read(mut self, k: &str, version: u64) -> Self {
        self.0.reads.push(ReadFact { key: key(k), version });
        self
    }

    pub(super) fn snapshot(mut self, snapshot: SnapshotId) -> Self {
        self.0.snapshot = Some(snapshot);
        self
    }

    pub(super) fn argument(self, name: &str, value: &str, label: Label) -> Self {
        self.value(name, value.into(), label)
    }

    pub(super) fn value(mut self, name: &str, value: Value, label: Label) -> Self {
        self.0.arguments.insert(name.into(), Argument { value, label });
        self
    }

    pub(super) fn intent(self) -> Intent {
        let kind = Kind {
            id: self.0.kind.parse().unwrap(),
            tier: CapabilityTier::Act,
            flags: SafetyFlags::EFFECT,
            scope: "pay".parse().unwrap(),
            reads_outside: None,
        };
        Intent::for_tests(kind, self.0)
    }
}
