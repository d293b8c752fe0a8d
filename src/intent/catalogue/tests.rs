use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::vec;

use super::*;
use crate::intent::schema::Shape;
use crate::intent::{Argument, Objective};
use crate::provenance::{Label, Source};
use crate::value::Value;

fn name(text: &str) -> Name {
    Name::new(text).unwrap()
}

fn spec(kind: &str) -> KindSpec {
    KindSpec::new(kind.parse().unwrap(), name("s")).check(Shapes::new().required("to", Shape::Text))
}

fn catalogue(kinds: &[&str]) -> Catalogue {
    let builder = Catalogue::builder(name("1"));
    kinds.iter().fold(builder, |builder, kind| builder.kind(spec(kind))).build().unwrap()
}

fn request(kind: &str, to: Value) -> Request {
    let argument = Argument { value: to, label: Label::from(Source::User) };
    Request {
        kind: kind.into(),
        subject: "alice".parse().unwrap(),
        session: "s-1".parse().unwrap(),
        request: None,
        objective: Objective::new("pay"),
        arguments: [("to".into(), argument)].into(),
        reads: vec![],
        snapshot: None,
    }
}

/// D-21, IRM-2.9, IRM-4.2.2.
#[test]
fn d_21_what_fits_no_kind_is_no_intent() {
    let catalogue = catalogue(&["send_money", "read_file", "send_mail", "send_email"]);
    let intent = catalogue.intent(request("send_money", "DE1".into())).unwrap();
    assert_eq!(intent.catalogue(), catalogue.digest());

    let error = catalogue.intent(request("send_money", 3.into())).unwrap_err();
    assert_eq!(error.code(), ReasonCode::IntentSchema);
    assert_eq!(error.to_string(), "expected a text at `/to` of `send_money`, found number `3`");
    let error = catalogue.intent(request("send_mial", "x".into())).unwrap_err();
    assert_eq!(error.code(), ReasonCode::IntentUnknownKind);
    let IntentError::UnknownKind { nearest, .. } = &error else { panic!("{error}") };
    if cfg!(feature = "files") {
        let nearest: Vec<_> = nearest.iter().map(KindId::as_str).collect();
        assert_eq!(nearest, ["send_mail", "send_email"]);
        assert!(error.to_string().ends_with("nearest: `send_mail`, `send_email`"), "{error}");
    }
    let error = catalogue.intent(request("drop_database", "x".into())).unwrap_err();
    assert!(matches!(error, IntentError::UnknownKind { nearest, .. } if nearest.is_empty()));
    let mut many = request("send_money", "DE1".into());
    let argument = many.arguments["to"].clone();
    many.arguments = (0..=INTENT_ITEMS).map(|i| (i.to_string().into(), argument.clone())).collect();
    assert_eq!(catalogue.intent(many).unwrap_err().code(), ReasonCode::IntentLimit);
}

#[test]
fn the_digest_covers_all_a_catalogue_says() {
    let build = |kind: KindSpec| Catalogue::builder(name("1")).kind(kind).build().unwrap().digest();
    let mut digests = BTreeSet::from([
        build(spec("a")),
        build(spec("b")),
        build(spec("a").description("x")),
        build(spec("a").tier(CapabilityTier::Act)),
        build(spec("a").flags(SafetyFlags::EFFECT)),
        build(spec("a").flags(SafetyFlags::READS_OUTSIDE)),
        build(spec("a").reads_outside(name("web"))),
        build(spec("a").check(Shapes::new())),
        build(KindSpec::new("a".parse().unwrap(), name("t"))),
    ]);
    digests.insert(Catalogue::builder(name("2")).kind(spec("a")).build().unwrap().digest());
    assert_eq!(digests.len(), 10);
    assert_eq!(catalogue(&["a", "b"]).digest(), catalogue(&["b", "a"]).digest());
}

#[test]
fn kinds_are_named_once() {
    let twice = Catalogue::builder(name("1")).kind(spec("a")).kind(spec("a")).build();
    assert!(matches!(twice, Err(CatalogueError::Duplicate { .. })));
    assert_eq!(Catalogue::builder(name("1")).build().unwrap_err(), CatalogueError::Empty);
}

#[cfg(feature = "files")]
const FILE: &str = r#"version = "1"
[[kind]]
kind = "send_money"
description = "Sends money."
tier = "commit"
flags = ["effect", "financial"]
scope = "payments"
schema = "schemas/send_money.json"
[[kind]]
kind = "read_page"
description = "Reads a page."
tier = "observe"
flags = []
scope = "web"
reads_outside = "web"
schema = '{"type": "object", "properties": {"url": {"type": "string"}}}'
"#;

#[cfg(feature = "files")]
fn read(text: &str, schema: &str) -> Result<Catalogue, crate::files::FileError> {
    Catalogue::from_toml("catalogue.toml", text, |path| {
        assert_eq!(path, "schemas/send_money.json");
        if schema.is_empty() { Err("not found".into()) } else { Ok(schema.into()) }
    })
}

#[cfg(feature = "files")]
#[test]
fn a_catalogue_is_read_from_its_file() {
    let schema = r#"{"type": "object", "required": ["to"]}"#;
    let catalogue = read(FILE, schema).unwrap();
    assert!(catalogue.intent(request("send_money", "DE1".into())).is_ok());
    let page = catalogue.kind("read_page").unwrap();
    assert_eq!(page.reads_outside, Some(name("web")));
    assert_eq!(page.flags, SafetyFlags::READS_OUTSIDE);
    assert_eq!(catalogue.description("send_money"), Some("Sends money."));
    // White space in a schema says nothing; its content does.
    let spaced = read(FILE, r#"{ "required":["to"],"type":"object" }"#).unwrap();
    assert_eq!(spaced.digest(), catalogue.digest());
    let other = read(FILE, r#"{"type": "object", "required": ["from"]}"#).unwrap();
    assert_ne!(other.digest(), catalogue.digest());
}

#[cfg(feature = "files")]
#[test]
fn a_wrong_catalogue_file_is_refused_where_it_is_wrong() {
    let at = |text: &str, schema: &str| {
        let error = read(text, schema).unwrap_err();
        (error.line(), error.message().to_string())
    };
    assert!(matches!(at(FILE, ""), (8, message) if message.contains("not found")));
    assert!(matches!(at(FILE, "{\"type\": 3}"), (8, _)));
    let twice = FILE.replace("read_page", "send_money");
    let (line, message) = at(&twice, "{\"type\": \"object\"}");
    assert_eq!(line, 10);
    assert!(message.contains("of line 3"), "{message}");
    for (from, to, line) in [
        ("tier = \"commit\"", "tier = \"comit\"", 5),
        ("\"financial\"", "\"finance\"", 6),
        ("scope = \"payments\"", "scopes = \"payments\"", 7),
    ] {
        let (found, message) = at(&FILE.replace(from, to), "{\"type\": \"object\"}");
        assert_eq!(found, line, "{message}");
    }
}
