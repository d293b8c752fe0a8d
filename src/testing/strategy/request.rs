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
use crate::provenance::{Label, Source};
use crate::testing::properties::Step;
use crate::value::Value;

/// Names of arguments that are tried on a catalogue's kinds; those of the sample.
const NAMES: [&str; 6] = ["name", "text", "address", "to", "amount", "key"];

/// A request of alice's session `s-1` for one of the catalogue's kinds. Most have the
/// one argument that the kind asks for, where it is called as one of the sample's is;
/// for kinds of your own see [`request_of`].
pub fn request(catalogue: &Catalogue) -> impl Strategy<Value = Request> + Clone + use<> {
    let names = NAMES.map(Box::<str>::from).to_vec();
    let any_value = prop_oneof![
        3 => "[a-z]{1,8}".prop_map(|text| Value::Text(text.into())),
        1 => value(),
    ];
    let any = (kind(catalogue), btree_map(select(names), any_value, 0..3));
    let text = "[a-z]{1,8}".prop_map(|text| Value::Text(text.into()));
    let fitting = (select(fitting(catalogue)), text)
        .prop_map(|((kind, name), value)| (kind, BTreeMap::from([(name, value)])));
    complete(prop_oneof![1 => any, 3 => fitting])
}

/// A request of alice's session `s-1` for one of the catalogue's kinds, with the
/// arguments that you give a strategy for. Now and then it is for another kind, subject
/// or session, relies on facts that are not there, or names an old snapshot.
pub fn request_of<A: Strategy<Value = Arguments> + Clone>(
    catalogue: &Catalogue,
    arguments: A,
) -> impl Strategy<Value = Request> + Clone + use<A> {
    complete((kind(catalogue), arguments))
}

/// Arguments by name.
type Arguments = BTreeMap<Box<str>, Value>;

/// Each kind with each name that its check accepts as the only argument; each kind with
/// any name where there is none.
fn fitting(catalogue: &Catalogue) -> Vec<(Box<str>, Box<str>)> {
    let kinds = || catalogue.kinds().map(|kind| kind.id.as_str());
    let accepts = |kind: &str, name: &str| {
        let argument = Argument { value: "x".into(), label: Label::from(Source::User) };
        let only = BTreeMap::from([(name.into(), argument)]);
        catalogue.check(kind).is_some_and(|check| check.check(&only).is_ok())
    };
    let pairs = |fits: &dyn Fn(&str, &str) -> bool| -> Vec<(Box<str>, Box<str>)> {
        let all = kinds().flat_map(|kind| NAMES.iter().map(move |name| (kind, *name)));
        all.filter(|(k, n)| fits(k, n)).map(|(k, n)| (k.into(), n.into())).collect()
    };
    let found = pairs(&accepts);
    if found.is_empty() { pairs(&|_, _| true) } else { found }
}

fn kind(catalogue: &Catalogue) -> impl Strategy<Value = Box<str>> + Clone + use<> {
    let kinds: Vec<Box<str>> = catalogue.kinds().map(|kind| kind.id.as_str().into()).collect();
    prop_oneof![12 => select(kinds), 1 => "[a-z]{0,8}".prop_map(Box::from)]
}

fn complete<A: Strategy<Value = (Box<str>, Arguments)> + Clone>(
    asked: A,
) -> impl Strategy<Value = Request> + Clone + use<A> {
    let by_user = Just(Label::from(Source::User));
    let labels = vec(prop_oneof![2 => by_user.boxed(), 1 => label().boxed()], 6);
    let labelled = (asked, labels).prop_map(|((kind, arguments), labels)| {
        let entries = arguments.into_iter().zip(labels.into_iter().cycle());
        let entries = entries.map(|((name, value), label)| (name, Argument { value, label }));
        (kind, entries.collect::<BTreeMap<_, _>>())
    });
    let read = (named(), 0..3_u64).prop_map(|(key, version)| ReadFact { key, version });
    let reads = prop_oneof![6 => Just(Vec::new()), 1 => vec(read, 1..3)];
    let subject = prop_oneof![12 => Just(String::from("alice")), 1 => "[a-z]{1,4}"];
    let session = prop_oneof![12 => Just(String::from("s-1")), 1 => "[a-z]{1,4}"];
    let snapshot = weighted(0.05, super::vocabulary::digest());
    (labelled, subject, session, weighted(0.3, named()), ".{0,24}", reads, snapshot)
        .prop_filter_map(
            "names",
            |((kind, arguments), subject, session, request, objective, reads, snapshot)| {
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
