//! Requests and intents over a catalogue.

use std::boxed::Box;
use std::collections::BTreeMap;
use std::string::String;
use std::vec::Vec;

use proptest::collection::{btree_map, vec};
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::select;

use super::vocabulary::{label, named, value};
use crate::intent::{Argument, Catalogue, Intent, Objective, ReadFact, Request};
use crate::testing::properties::Step;
use crate::value::Value;

/// A request of alice's session `s-1` for one of the catalogue's kinds, with arguments
/// that sometimes fit: names are drawn from those that the sample's kinds have.
pub fn request(catalogue: &Catalogue) -> impl Strategy<Value = Request> + Clone + use<> {
    let names = ["name", "text", "address", "to", "amount", "key"].map(Box::<str>::from);
    let fitting = prop_oneof![
        3 => "[a-z]{1,8}".prop_map(|text| Value::Text(text.into())),
        1 => value(),
    ];
    request_of(catalogue, btree_map(select(names.to_vec()), fitting, 0..3))
}

/// A request of alice's session `s-1` for one of the catalogue's kinds, with the
/// arguments that you give a strategy for. Now and then it is for another kind, subject
/// or session, relies on facts that are not there, or names an old snapshot.
pub fn request_of<A: Strategy<Value = BTreeMap<Box<str>, Value>> + Clone>(
    catalogue: &Catalogue,
    arguments: A,
) -> impl Strategy<Value = Request> + Clone + use<A> {
    let kinds: Vec<Box<str>> = catalogue.kinds().map(|kind| kind.id.as_str().into()).collect();
    let kind = prop_oneof![12 => select(kinds), 1 => "[a-z]{0,8}".prop_map(Box::from)];
    let labelled = (arguments, vec(label(), 6)).prop_map(|(arguments, labels)| {
        let labels = labels.into_iter().cycle();
        let entries = arguments.into_iter().zip(labels);
        entries.map(|((name, value), label)| (name, Argument { value, label })).collect()
    });
    let read = (named(), 0..3_u64).prop_map(|(key, version)| ReadFact { key, version });
    let reads = prop_oneof![6 => Just(Vec::new()), 1 => vec(read, 1..3)];
    let subject = prop_oneof![12 => Just(String::from("alice")), 1 => "[a-z]{1,4}"];
    let session = prop_oneof![12 => Just(String::from("s-1")), 1 => "[a-z]{1,4}"];
    let snapshot = weighted(0.05, super::vocabulary::digest());
    (kind, subject, session, weighted(0.3, named()), ".{0,24}", labelled, reads, snapshot)
        .prop_filter_map(
            "names",
            |(kind, subject, session, request, objective, arguments, reads, snapshot)| {
                Some(Request {
                    kind,
                    subject: subject.parse().ok()?,
                    session: session.parse().ok()?,
                    request,
                    objective: Objective::new(&objective),
                    arguments,
                    reads,
                    snapshot: snapshot.map(crate::id::SnapshotId::new),
                })
            },
        )
}

/// An intent: a request that the catalogue accepts, as it is submitted.
pub fn intent(
    catalogue: std::sync::Arc<Catalogue>,
) -> impl Strategy<Value = std::sync::Arc<Intent>> + Clone {
    request(&catalogue).prop_filter_map("a request that the catalogue accepts", move |request| {
        catalogue.intent(request).ok().map(std::sync::Arc::new)
    })
}

/// A script: requests, answers of a governor, and time that passes.
pub fn script(catalogue: &Catalogue) -> impl Strategy<Value = Vec<Step>> + Clone + use<> {
    let step = prop_oneof![
        4 => request(catalogue).prop_map(Step::Submit),
        2 => any::<bool>().prop_map(|granted| Step::Answer { granted }),
        1 => any::<u16>().prop_map(|millis| Step::Wait { millis: u32::from(millis) * 64 }),
    ];
    vec(step, 1..10)
}
