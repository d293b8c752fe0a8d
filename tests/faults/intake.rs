//! Bytes that are no request, in every form in which requests arrive (D-21).

use prospera::limits::{Limits, SUBMISSION_BYTES, VALUE_DEPTH};
use prospera::verdict::ReasonCode::{
    IntentLimit, IntentMalformed, IntentSchema, IntentUnknownKind,
};

use crate::house::{Format, House};

#[test]
fn truncated_json() {
    let mut house = House::new();
    for format in Format::ALL {
        let text = format.text();
        assert!(format.read(text.as_bytes(), &Limits::DEFAULT).is_ok());
        for end in 0..text.len() {
            let cut = &text.as_bytes()[..end];
            assert!(format.read(cut, &Limits::DEFAULT).is_err(), "{format:?} cut at {end}");
        }
        for end in (0..text.len()).step_by(23).chain([text.len() - 1]) {
            let detail = house.refuses(format, &text.as_bytes()[..end], IntentMalformed);
            assert!(detail.starts_with("expected JSON, found "), "{detail}");
            assert!(detail.contains(" at line ") && detail.contains(", column "), "{detail}");
        }
    }
    house.ends_well();
}

#[test]
fn oversized_json() {
    let mut house = House::new();
    for format in Format::ALL {
        let padding = " ".repeat(SUBMISSION_BYTES - format.text().len());
        let largest = format!("{}{padding}", format.text());
        let submission = house.submission(format, largest.as_bytes(), &Limits::DEFAULT);
        house.allows(submission);
        let detail = house.refuses(format, format!("{largest} ").as_bytes(), IntentLimit);
        let expected = "expected at most 1048576 bytes, found 1048577 at line 1, column 1";
        assert_eq!(detail, expected);
    }
    house.ends_well();
}

#[test]
fn deeply_nested_json() {
    let mut house = House::new();
    let nested = |levels: usize| format!("{}1{}", "[".repeat(levels), "]".repeat(levels));
    let maps = |levels: usize| format!("{}1{}", r#"{"a":"#.repeat(levels), "}".repeat(levels));
    for format in Format::ALL {
        let most = VALUE_DEPTH - format.above() - 1;
        for value in [nested(most), maps(most)] {
            let deepest = format.with_text(&value);
            let read = house.submission(format, deepest.as_bytes(), &Limits::DEFAULT);
            assert!(read.intent().is_some(), "{format:?}: {read:?}");
        }
        for value in [
            nested(most + 1),
            maps(most + 1),
            nested(1000),
            nested(400_000),
            "[".repeat(400_000),
            r#"{"a":"#.repeat(150_000),
        ] {
            let detail = house.refuses(format, format.with_text(&value).as_bytes(), IntentLimit);
            assert!(detail.starts_with("expected at most 32 levels of nesting"), "{detail}");
        }
    }
    house.ends_well();
}

#[test]
fn non_utf8_json() {
    let mut house = House::new();
    let around = |format: Format, bytes: &[u8]| {
        let (before, after) = format.text().split_once("\"text\": \"my notes\"").unwrap();
        [before.as_bytes(), b"\"text\": \"", bytes, b"\"", after.as_bytes()].concat()
    };
    for format in Format::ALL {
        // A lone byte, an overlong `/`, a surrogate, beyond U+10FFFF, a cut sequence.
        for bytes in [&b"\xff"[..], b"\xc0\xaf", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xe2\x82"]
        {
            let detail = house.refuses(format, &around(format, bytes), IntentMalformed);
            assert!(detail.starts_with("expected UTF-8 at line "), "{bytes:x?}: {detail}");
            assert!(detail.contains("/text`"), "{detail}");
        }
        let (before, after) = format.text().split_once("\"n\"").unwrap();
        let key = [before.as_bytes(), b"\"n\xff\"", after.as_bytes()].concat();
        let detail = house.refuses(format, &key, IntentMalformed);
        assert!(detail.starts_with("expected UTF-8 at line "), "{detail}");
        // Escapes that stand for no text, marks of other encodings, and UTF-16 itself.
        let wide: Vec<u8> = format.text().encode_utf16().flat_map(u16::to_le_bytes).collect();
        for bytes in [
            around(format, br"\ud800"),
            around(format, br"\udc00\ud800"),
            [b"\xef\xbb\xbf", format.text().as_bytes()].concat(),
            [&b"\xff\xfe"[..], &wide].concat(),
            wide,
        ] {
            house.refuses(format, &bytes, IntentMalformed);
        }
    }
    house.ends_well();
}

#[test]
fn duplicate_key_json() {
    let mut house = House::new();
    for format in Format::ALL {
        for (bytes, name, path) in [
            (format.and(r#""again": 1, "again": 1"#), "again", "/again"),
            (format.with_text(r#""x", "text": "my notes""#), "text", "/text"),
            (format.with_text(r#""x", "\u0074ext": "my notes""#), "text", "/text"),
            (format.with_text(r#"{"a": {"": 1, "": 2}}"#), "", "/text/a/"),
        ] {
            let detail = house.refuses(format, bytes.as_bytes(), IntentMalformed);
            let expected = format!("expected each name once, found `{name}` again at line ");
            assert!(detail.starts_with(&expected), "{detail}");
            assert!(detail.ends_with(&format!("{path}`)")), "{detail}");
        }
    }
    house.ends_well();
}

#[test]
fn number_out_of_range_json() {
    let mut house = House::new();
    let (nines, fine) = ("9".repeat(39), format!("0.{}1", "0".repeat(28)));
    let endless = "7".repeat(900_000);
    for format in Format::ALL {
        for number in [
            "1e999",
            "-1e38",
            "1E400",
            "1e-29",
            "0e99999999999",
            "1e-99999999999",
            &nines,
            &fine,
            &endless,
        ] {
            let detail =
                house.refuses(format, format.with_number(number).as_bytes(), IntentMalformed);
            assert!(detail.starts_with("expected a number of at most 38 digits"), "{detail}");
            assert!(detail.contains(&number[..number.len().min(64)]), "{detail}");
            assert!(detail.contains("/n`"), "{detail}");
        }
        for none in ["NaN", "Infinity", "-Infinity", "01", "+1", "1.", ".5", "0x10", "1e", "-"] {
            let detail =
                house.refuses(format, format.with_number(none).as_bytes(), IntentMalformed);
            assert!(detail.starts_with("expected JSON, found "), "{none}: {detail}");
        }
        // Exact, and beyond what a schema can judge: never rounded.
        for wide in ["18446744073709551616", "-9223372036854775809", "0.1234567890123456"] {
            let detail = house.refuses(format, format.with_number(wide).as_bytes(), IntentSchema);
            assert!(detail.contains(wide), "{detail}");
        }
    }
    for version in ["-1", "1.5", "18446744073709551616", "1e30", "\"1\"", "null"] {
        let reads = format!(r#""reads": [{{"key": "k", "version": {version}}}]"#);
        let bytes = Format::Native.replaced(r#""reads": []"#, &reads);
        let detail = house.refuses(Format::Native, bytes.as_bytes(), IntentMalformed);
        assert!(detail.starts_with("expected a version number in `/reads/0/version`"), "{detail}");
    }
    house.ends_well();
}

#[test]
fn unknown_fields_in_json() {
    let mut house = House::new();
    for format in Format::ALL {
        let detail = house.refuses(format, format.and(r#""extra": 1"#).as_bytes(), IntentMalformed);
        assert!(detail.starts_with("expected no ") && detail.contains("`extra`"), "{detail}");
    }
    let inner = Format::Mcp.replaced(r#""name""#, r#""extra": 1, "name""#);
    let detail = house.refuses(Format::Mcp, inner.as_bytes(), IntentMalformed);
    assert_eq!(detail, "expected no further field in `/params`, found `extra`");
    let read = r#""reads": [{"key": "k", "version": 1, "extra": 1}]"#;
    let inner = Format::Native.replaced(r#""reads": []"#, read);
    let detail = house.refuses(Format::Native, inner.as_bytes(), IntentMalformed);
    assert_eq!(detail, "expected no further field in `/reads/0`, found `extra`");
    house.ends_well();
}

#[test]
fn json_with_something_behind_it() {
    let mut house = House::new();
    for format in Format::ALL {
        let text = format.text();
        for bytes in [
            format!("{text} {text}"),
            format!("{text}1"),
            format!("{text},"),
            format!("{text} // done"),
            format!("/* so */ {text}"),
            format!("{text}\0"),
            format.with_text("\"x\","),
            format.with_text("[1,]"),
        ] {
            let detail = house.refuses(format, bytes.as_bytes(), IntentMalformed);
            assert!(detail.starts_with("expected JSON, found "), "{bytes}: {detail}");
        }
    }
    house.ends_well();
}

#[test]
fn a_request_of_a_wrong_protocol_version() {
    let mut house = House::new();
    for version in ["1.0", "2", "2.00", ""] {
        let bytes = Format::Mcp.replaced("\"2.0\"", &format!("\"{version}\""));
        let detail = house.refuses(Format::Mcp, bytes.as_bytes(), IntentMalformed);
        assert_eq!(detail, format!("expected `2.0` in `/jsonrpc`, found `{version}`"));
    }
    house.ends_well();
}

#[test]
fn a_kind_that_does_not_exist() {
    let mut house = House::new();
    for format in Format::ALL {
        for kind in ["note.ad", "note.add ", "", "\u{202e}note.add", &"k".repeat(200_000)] {
            let bytes = format.replaced("note.add", kind);
            let detail = house.refuses(format, bytes.as_bytes(), IntentUnknownKind);
            assert!(detail.starts_with("no intent kind `"), "{detail}");
        }
    }
    house.ends_well();
}

#[test]
fn a_request_for_somebody_else() {
    let mut house = House::new();
    for (from, to) in [("\"alice\"", "\"mallory\""), ("\"s-1\"", "\"s-2\"")] {
        let bytes = Format::Native.replaced(from, to);
        let detail = house.refuses(Format::Native, bytes.as_bytes(), IntentMalformed);
        assert!(detail.contains("as of the channel") && detail.contains(&to.replace('"', "`")));
    }
    house.ends_well();
}
