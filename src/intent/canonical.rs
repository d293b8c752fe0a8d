//! From the canonical bytes back to the intent: what replay starts from.
//!
//! The bytes are those [`Intent::canonical`] describes. The objective is not among
//! them (it has a hash of its own in the Routing ID), so it is handed in.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::digest::Digest;
use crate::encode::Reader;
use crate::id::KindId;
use crate::intent::{Argument, Catalogue, Intent, IntentError, Objective, ReadFact, Request};

impl Intent {
    /// Rebuilds an intent from its canonical bytes, with every check that made it.
    ///
    /// # Errors
    /// [`IntentError::Canonical`] when the bytes are not those of an intent,
    /// [`IntentError::Catalogue`] when they are those of an intent of another
    /// catalogue, otherwise as [`Catalogue::intent`].
    pub fn from_canonical(
        bytes: &[u8],
        catalogue: &Catalogue,
        objective: Objective,
    ) -> Result<Self, IntentError> {
        let (request, found) = Request::from_canonical(bytes, objective)?;
        if found != catalogue.digest() {
            return Err(IntentError::Catalogue { expected: catalogue.digest(), found });
        }
        catalogue.intent(request)
    }
}

impl Request {
    /// The request that an intent was made of, from the intent's canonical bytes, and the
    /// digest of the catalogue that checked it. Nothing is checked against a catalogue.
    ///
    /// # Errors
    /// [`IntentError::Canonical`] when the bytes are not those of an intent.
    pub fn from_canonical(
        bytes: &[u8],
        objective: Objective,
    ) -> Result<(Self, Digest), IntentError> {
        let mut input = Reader::new(bytes);
        let kind: KindId = input.value()?;
        let (subject, session, request) = (input.value()?, input.value()?, input.option()?);
        let mut arguments: BTreeMap<Box<str>, Argument> = BTreeMap::new();
        for _ in 0..input.count(10)? {
            let name: Box<str> = input.text()?.into();
            if arguments.last_key_value().is_some_and(|(last, _)| *last >= name) {
                return Err(input.invalid("unique arguments in ascending order").into());
            }
            arguments.insert(name, Argument { value: input.value()?, label: input.value()? });
        }
        let mut reads = Vec::new();
        for _ in 0..input.count(13)? {
            reads.push(ReadFact { key: input.value()?, version: input.u64()? });
        }
        let (snapshot, found) = (input.option()?, input.digest()?);
        input.finish()?;
        let kind = kind.as_str().into();
        let request =
            Self { kind, subject, session, request, objective, arguments, reads, snapshot };
        Ok((request, found))
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use proptest::prelude::*;

    use super::*;
    use crate::id::{Name, SnapshotId};
    use crate::intent::KindSpec;
    use crate::intent::schema::{Shape, Shapes};
    use crate::provenance::{Label, Sensitivity, Source};
    use crate::value::{Decimal, Value};
    use crate::verdict::ReasonCode;

    fn catalogue(version: &str) -> Catalogue {
        let check = ["a", "b", "c"]
            .iter()
            .fold(Shapes::new(), |check, name| check.optional(name, Shape::Any));
        let kind = KindSpec::new("k".parse().unwrap(), "s".parse().unwrap()).check(check);
        Catalogue::builder(version.parse().unwrap()).kind(kind).build().unwrap()
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            (any::<i32>(), 0_u8..4)
                .prop_map(|(m, s)| Value::Number(Decimal::new(m.into(), s).unwrap())),
            "[a-c]{0,3}".prop_map(|text| Value::Text(text.into())),
        ];
        leaf.prop_recursive(3, 8, 3, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::List),
                prop::collection::btree_map("[a-b]".prop_map(Box::from), inner, 0..3)
                    .prop_map(Value::Map),
            ]
        })
    }

    fn any_label() -> impl Strategy<Value = Label> {
        let source = prop_oneof![
            Just(Source::User),
            Just(Source::Agent),
            "[a-b]".prop_map(|name| Source::Outside(Name::new(&name).unwrap())),
            "[a-b]".prop_map(|name| Source::Module(name.parse().unwrap())),
        ];
        (prop::collection::vec(source, 0..3), any::<bool>()).prop_map(|(sources, personal)| {
            let level = if personal { Sensitivity::Personal } else { Sensitivity::Public };
            let empty = Label::empty().with_sensitivity(level);
            sources.into_iter().fold(empty, |label, source| label.join(&source.into()))
        })
    }

    prop_compose! {
        fn any_request()(
            subject in "[a-b]",
            session in "[a-b]",
            request in prop::option::of("[a-b]"),
            arguments in prop::collection::btree_map(
                "[a-c]".prop_map(Box::from),
                (any_value(), any_label()).prop_map(|(value, label)| Argument { value, label }),
                0..3,
            ),
            reads in prop::collection::vec(("[a-b]", 0_u64..3), 0..3),
            snapshot in prop::option::of(0_u8..2),
        ) -> Request {
            Request {
                kind: "k".into(),
                subject: subject.parse().unwrap(),
                session: session.parse().unwrap(),
                request: request.map(|mark| mark.parse().unwrap()),
                objective: Objective::new("o"),
                arguments,
                reads: reads
                    .into_iter()
                    .map(|(key, version)| ReadFact { key: key.parse().unwrap(), version })
                    .collect(),
                snapshot: snapshot.map(|byte| SnapshotId::new(Digest::from_bytes([byte; 32]))),
            }
        }
    }

    proptest! {
        #[test]
        fn an_intent_comes_back_from_its_canonical_bytes(request in any_request()) {
            let catalogue = catalogue("1");
            let intent = catalogue.intent(request).unwrap();
            let back = Intent::from_canonical(
                intent.canonical(), &catalogue, intent.objective().clone(),
            );
            prop_assert_eq!(back, Ok(intent));
        }

        #[test]
        fn requests_that_differ_have_canonical_bytes_that_differ(
            a in any_request(), b in any_request(),
        ) {
            let catalogue = catalogue("1");
            let same = a == b;
            let (a, b) = (catalogue.intent(a).unwrap(), catalogue.intent(b).unwrap());
            prop_assert_eq!(same, a.canonical() == b.canonical());
            prop_assert_eq!(same, a.hash() == b.hash());
        }

        #[test]
        fn what_is_read_is_what_would_be_written(
            request in any_request(), position in any::<prop::sample::Index>(), bit in 0_u8..8,
        ) {
            let catalogue = catalogue("1");
            let mut bytes = catalogue.intent(request).unwrap().canonical().to_vec();
            let position = position.index(bytes.len());
            bytes[position] ^= 1 << bit;
            if let Ok(read) = Intent::from_canonical(&bytes, &catalogue, Objective::new("o")) {
                prop_assert_eq!(&**read.canonical(), &*bytes);
            }
        }
    }

    #[test]
    fn an_intent_of_another_catalogue_is_not_rebuilt() {
        let intent = catalogue("1")
            .intent(Request {
                kind: "k".into(),
                subject: "a".parse().unwrap(),
                session: "b".parse().unwrap(),
                request: None,
                objective: Objective::new("o"),
                arguments: BTreeMap::new(),
                reads: vec![],
                snapshot: None,
            })
            .unwrap();
        let other = catalogue("2");
        let error = Intent::from_canonical(intent.canonical(), &other, Objective::new("o"));
        assert_eq!(error.unwrap_err().code(), ReasonCode::IntentCatalogue);
        let mut long = intent.canonical().to_vec();
        long.push(0);
        let error = Intent::from_canonical(&long, &catalogue("1"), Objective::new("o"));
        assert_eq!(error.unwrap_err().code(), ReasonCode::IntentMalformed);
    }
}
