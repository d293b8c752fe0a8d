//! Known answers for the canonical encoding and hashes of an intent (D-23).

use alloc::collections::BTreeMap;
use alloc::string::ToString;
use alloc::vec;
use alloc::vec::Vec;

use serde_json::Value as Json;

use crate::digest::Digest;
use crate::id::{Name, SnapshotId};
use crate::intent::schema::{Shape, Shapes};
use crate::intent::{Argument, Catalogue, Intent, KindSpec, Objective, ReadFact, Request};
use crate::provenance::{Label, Source};
use crate::value::{Decimal, Value};
use crate::verdict::{CapabilityTier, SafetyFlags};

/// Written by `tests/vectors/identity_intent.py`, which shares no code with the crate.
const VECTORS: &str = include_str!("../../tests/vectors/intent.json");

fn catalogue() -> Catalogue {
    let check = ["to", "amount", "note"]
        .iter()
        .fold(Shapes::new(), |check, name| check.optional(name, Shape::Any));
    let kind = KindSpec::new("pay".parse().unwrap(), "payments".parse().unwrap())
        .description("Pays.")
        .tier(CapabilityTier::Commit)
        .flags(SafetyFlags::EFFECT.union(SafetyFlags::FINANCIAL))
        .check(check);
    Catalogue::builder("1".parse().unwrap()).kind(kind).build().unwrap()
}

fn plain() -> Request {
    Request {
        kind: "pay".into(),
        subject: "alice".parse().unwrap(),
        session: "s-1".parse().unwrap(),
        request: None,
        objective: Objective::new("Pay the rent."),
        arguments: BTreeMap::new(),
        reads: vec![],
        snapshot: None,
    }
}

fn full() -> Request {
    let user = Label::from(Source::User);
    let both = user.clone().join(&Source::Outside(Name::new("web").unwrap()).into());
    let note = Value::Map(
        [
            ("a".into(), "é".into()),
            ("b".into(), Value::List(vec![1.into(), true.into(), Value::Null])),
        ]
        .into(),
    );
    let amount = Value::Number(Decimal::new(9870, 2).unwrap());
    let arguments = [("to", "DE1".into(), &user), ("amount", amount, &user), ("note", note, &both)];
    Request {
        request: Some("r-7".parse().unwrap()),
        arguments: arguments
            .into_iter()
            .map(|(name, value, label)| (name.into(), Argument { value, label: label.clone() }))
            .collect(),
        reads: vec![ReadFact { key: "landlord".parse().unwrap(), version: 3 }],
        snapshot: Some(SnapshotId::new(Digest::from_bytes([5; 32]))),
        ..plain()
    }
}

fn bytes(hex: &Json) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect()
}

#[test]
fn d_23_intents_have_the_published_bytes_and_hashes() {
    let vectors: Json = serde_json::from_str(VECTORS).unwrap();
    let catalogue = catalogue();
    assert_eq!(catalogue.digest().to_string(), vectors["catalogue"]);
    for (name, request) in [("plain", plain()), ("full", full())] {
        let intent = catalogue.intent(request).unwrap();
        assert_eq!(**intent.canonical(), bytes(&vectors[name]["bytes"]), "{name}");
        assert_eq!(intent.hash().to_string(), vectors[name]["hash"], "{name}");
        assert_eq!(intent.objective().hash().to_string(), vectors["objective"]);
        let back =
            Intent::from_canonical(intent.canonical(), &catalogue, intent.objective().clone());
        assert_eq!(back, Ok(intent));
    }
}
