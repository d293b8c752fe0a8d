//! Intents for other rooms' unit tests, without a catalogue file.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Argument, Intent, Kind, Objective, Request};
use crate::digest::Digest;
use crate::provenance::{Label, Source};
use crate::value::Value;
use crate::verdict::{CapabilityTier, SafetyFlags};

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
