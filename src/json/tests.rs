use alloc::format;

use proptest::prelude::*;

use super::*;

fn kind(text: &[u8]) -> JsonErrorKind {
    parse(text, &Limits::DEFAULT).unwrap_err().kind().clone()
}

#[test]
fn what_two_readers_could_read_differently_is_refused() {
    for text in [
        &b""[..],
        b" ",
        b"{",
        b"[1,]",
        b"{\"a\":1,}",
        b"1 2",
        b"{} x",
        b"// c\n1",
        b"01",
        b"NaN",
        b"'a'",
        b"\"\t\"",
        b"\"\\ud800\"",
        b"{a:1}",
        b"\xef\xbb\xbf1",
    ] {
        assert!(
            matches!(kind(text), JsonErrorKind::Syntax { .. } | JsonErrorKind::Utf8),
            "{:?}: {:?}",
            String::from_utf8_lossy(text),
            kind(text)
        );
    }
    assert_eq!(kind(b"\"\xff\""), JsonErrorKind::Utf8);
    assert!(matches!(kind(b"1e400"), JsonErrorKind::Number(DecimalError::Range { .. })));
    // The same name in two spellings is the same name.
    assert!(matches!(kind(br#"{"a":1,"\u0061":2}"#), JsonErrorKind::Duplicate { .. }));
}

#[test]
fn errors_say_line_column_and_path() {
    let error = parse(b"{\n \"a\": [1,\n  tru]\n}", &Limits::DEFAULT).unwrap_err();
    assert_eq!((error.line(), error.path()), (3, "/a/1"));
    let error = parse(b"{\"a/b\": {\"c\": 1e999}}", &Limits::DEFAULT).unwrap_err();
    assert_eq!(error.path(), "/a~1b/c");
    assert!(error.to_string().ends_with("at line 1, column 15 (in `/a~1b/c`)"), "{error}");
}

#[test]
fn each_limit_holds_at_its_edge() {
    let nested = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
    let limits = Limits::DEFAULT.with_value_depth(4);
    assert!(parse(nested(3).as_bytes(), &limits).is_ok());
    let error = parse(nested(4).as_bytes(), &limits).unwrap_err();
    assert_eq!(error.kind(), &JsonErrorKind::Depth { limit: 4 });
    assert!(matches!(kind(nested(100_000).as_bytes()), JsonErrorKind::Depth { .. }));

    let limits = Limits::DEFAULT.with_value_items(3);
    assert!(parse(b"[1,[2]]", &limits).is_ok());
    let error = parse(b"[1,[2,3]]", &limits).unwrap_err();
    assert_eq!(error.kind(), &JsonErrorKind::Items { limit: 3 });

    let limits = Limits::DEFAULT.with_text_bytes(2);
    assert!(parse(b"\"ab\"", &limits).is_ok());
    let error = parse(b"\"abc\"", &limits).unwrap_err();
    assert_eq!(error.kind(), &JsonErrorKind::Text { limit: 2, found: 3 });
    assert!(parse(b"{\"abc\":1}", &limits).is_err());

    let limits = Limits::DEFAULT.with_submission_bytes(4);
    assert!(parse(b"1234", &limits).is_ok());
    let error = parse(b"12345", &limits).unwrap_err();
    assert_eq!(error.kind(), &JsonErrorKind::Bytes { limit: 4, found: 5 });
}

#[test]
fn pointers_name_values() {
    let value = parse(br#"{"a/b": [10, {"~": 2}], "": 3}"#, &Limits::DEFAULT).unwrap();
    assert_eq!(at(&value, ""), Some(&value));
    assert_eq!(at(&value, "/a~1b/0"), Some(&10.into()));
    assert_eq!(at(&value, "/a~1b/1/~0"), Some(&2.into()));
    assert_eq!(at(&value, "/"), Some(&3.into()));
    for missing in ["/a", "/a~1b/2", "/a~1b/00", "/a~1b/+1", "a", "/a~1b/0/x"] {
        assert_eq!(at(&value, missing), None, "{missing}");
    }
}

#[test]
fn numbers_reach_the_schema_unchanged_or_not_at_all() {
    let number = |text: &str| to_serde(&Value::Number(text.parse().unwrap()));
    for text in ["0", "-9223372036854775808", "18446744073709551615", "98.7", "0.123456789012345"] {
        assert_eq!(number(text).unwrap().to_string(), text);
    }
    for text in ["18446744073709551616", "0.1234567890123456", "98.70000000000000000001"] {
        assert!(number(text).is_err(), "{text}");
    }
}

pub(crate) fn any_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        (any::<i64>(), 0_u8..10)
            .prop_map(|(m, s)| Value::Number(Decimal::new(m.into(), s).unwrap())),
        ".{0,12}".prop_map(|t| Value::Text(t.into())),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::List),
            prop::collection::btree_map(".{0,6}".prop_map(Box::from), inner, 0..4)
                .prop_map(Value::Map),
        ]
    })
}

proptest! {
    #[test]
    fn a_value_comes_back_from_its_text(value in any_value()) {
        prop_assert_eq!(parse(value.to_string().as_bytes(), &Limits::DEFAULT), Ok(value));
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _ = parse(&bytes, &Limits::DEFAULT);
    }
}
