//! Policy files that are none: a folder with one does not load, and what was acknowledged
//! under the policy in force is untouched.

use std::fs;
use std::path::{Path, PathBuf};

use prospera::execution::files::Journals;
use prospera::identity::{IdentityError, TokenVerifier};
use prospera::limits::{FILE_BYTES, Limits};
use prospera::pipeline::{Branch, Template};
use prospera::policy::{PolicyError, PolicyFolder};
use prospera::routing::table::{Pattern, Row, TableError};
use prospera::routing::{Router, RoutingTable};
use prospera::ssot::redb::RedbStore;
use prospera::time::FixedClock;
use prospera::verdict::SafetyFlags;

use crate::house::digests;
use crate::world::{START, operator};

const CLASSIFIER: &str = "version = \"1.2\"
[a]
min-identity-strength = 900000
min-consent = \"explicit\"
min-good-outcomes = 20
max-bad-share = 20000
min-age-days = 30
max-risk = 200000
[b]
min-identity-strength = 500000
min-consent = \"implied\"
min-good-outcomes = 0
max-bad-share = 100000
min-age-days = 0
max-risk = 600000
";

/// Files beside those of the starter, as a folder may have them.
const FURTHER: [(&str, &str); 5] = [
    ("classifier.toml", CLASSIFIER),
    ("envelope.toml", "version = \"2.0\"\nunknown = 400000\n"),
    (
        "intake.toml",
        "version = \"1\"\nsubject = \"a\"\nkind = \"/k\"\narguments = \"/a\"\nobjective = \"/o\"\nsession = [\"/s\"]\n",
    ),
    (
        "matrix.toml",
        "version = \"1.2\"\n[class]\nA = { observe = \"allow\", act = \"allow\", commit = \"allow\", privileged = \"block\" }\nB = { observe = \"allow\", act = \"allow\", commit = \"block\", privileged = \"block\" }\nC = { observe = \"block\", act = \"block\", commit = \"block\", privileged = \"block\" }\n",
    ),
    ("modeling.toml", "version = \"mine\"\n"),
];

const TOML: [&str; 11] = [
    "catalogue.toml",
    "classifier.toml",
    "envelope.toml",
    "governance.toml",
    "identity.toml",
    "intake.toml",
    "matrix.toml",
    "modeling.toml",
    "modules.toml",
    "router.toml",
    "table.toml",
];

/// A policy folder that is in force over a store.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new() -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        fs::create_dir(folder.0.path().join("policy")).unwrap();
        let starter = Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/starter/policy");
        for entry in fs::read_dir(starter).unwrap() {
            let entry = entry.unwrap();
            fs::copy(entry.path(), folder.file(entry.file_name().to_str().unwrap())).unwrap();
        }
        for (name, text) in FURTHER {
            fs::write(folder.file(name), text).unwrap();
        }
        fs::write(folder.file("jwks.json"), include_str!("../keys/jwks.json")).unwrap();
        drop(folder.in_force());
        folder
    }

    fn policy(&self) -> PathBuf {
        self.0.path().join("policy")
    }

    fn file(&self, name: &str) -> PathBuf {
        self.policy().join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.file(name)).unwrap()
    }

    fn log(&self) -> PathBuf {
        self.0.path().join("log.redb")
    }

    /// The router of this folder over its store; the first pins the policy.
    fn in_force(&self) -> impl Sized + use<> {
        let loaded = PolicyFolder::load(self.policy()).unwrap();
        let opened = loaded.open(Journals::Volatile, [7; 32]).unwrap();
        let store = RedbStore::create(self.log()).unwrap();
        Router::new(opened.engines, opened.rules, store, FixedClock::new(START), operator())
            .unwrap()
    }

    /// What is said of a folder in which one file holds these bytes. The store is not
    /// touched, and with the old bytes the folder is in force again.
    #[track_caller]
    fn refuses(&self, name: &str, bytes: &[u8]) -> String {
        self.refuses_within(name, bytes, &Limits::DEFAULT)
    }

    #[track_caller]
    fn refuses_within(&self, name: &str, bytes: &[u8], limits: &Limits) -> String {
        let good = fs::read(self.file(name)).unwrap();
        let before = fs::read(self.log()).unwrap();
        fs::write(self.file(name), bytes).unwrap();
        let error = PolicyFolder::load_within(self.policy(), limits).map(drop).unwrap_err();
        fs::write(self.file(name), good).unwrap();
        assert!(fs::read(self.log()).unwrap() == before, "the store was touched");
        said(name, &error)
    }

    fn ends_well(&self) {
        let before = digests(&RedbStore::open_read_only(self.log()).unwrap());
        assert_eq!(before.len(), 1);
        drop(self.in_force());
        assert_eq!(digests(&RedbStore::open_read_only(self.log()).unwrap()), before);
    }
}

/// An error's text, once its kind and place are right.
#[track_caller]
fn said(name: &str, error: &PolicyError) -> String {
    let text = error.to_string();
    match error {
        PolicyError::File(at) => {
            assert!(at.file().ends_with(&format!("policy/{name}")), "{text}");
            assert!(at.line() > 0 && at.column() > 0);
        }
        PolicyError::Unreadable { place, .. } => assert!(place.ends_with(name), "{text}"),
        other => panic!("{name}: {other:?}"),
    }
    assert!(text.len() < 2000 && !text.contains('\u{1b}'), "{text}");
    text
}

#[test]
fn a_truncated_policy_file() {
    let folder = Folder::new();
    for name in TOML {
        let text = folder.text(name);
        let whole = text.trim_end();
        // Inside of the last text, and of the first.
        let first = whole.find("version = \"").unwrap() + "version = \"".len();
        let last = whole.rfind(['"', '\'']).unwrap();
        for end in [last, first] {
            let said = folder.refuses(name, &whole.as_bytes()[..end]);
            assert!(said.contains(&format!("{name}:")), "{said}");
        }
        let empty = folder.refuses(name, b"");
        assert!(empty.contains("missing field"), "{empty}");
    }
    for end in [0, 1, 40] {
        let jwks = &folder.text("jwks.json").into_bytes()[..end];
        assert!(!folder.refuses("jwks.json", jwks).is_empty());
    }
    folder.ends_well();
}

#[test]
fn an_oversized_policy_file() {
    let folder = Folder::new();
    for name in TOML {
        let text = folder.text(name);
        let small = Limits::DEFAULT.with_file_bytes(20_000);
        let large = format!("{text}\n#{}", " ".repeat(20_000));
        let said = folder.refuses_within(name, large.as_bytes(), &small);
        assert!(said.ends_with("expected at most 20000 bytes, found more"), "{said}");
    }
    let whole = folder.text("table.toml");
    let padded = format!("{whole}#{}", " ".repeat(20_000 - whole.len() - 1));
    fs::write(folder.file("table.toml"), &padded).unwrap();
    let small = Limits::DEFAULT.with_file_bytes(20_000);
    assert!(PolicyFolder::load_within(folder.policy(), &small).is_ok());
    fs::write(folder.file("table.toml"), whole).unwrap();
    // Texts that come from elsewhere than a disk are held to the same bound.
    let read = |limits: &Limits| {
        let file = |name: &str| Ok(fs::read_to_string(folder.file(name)).ok());
        PolicyFolder::read_within("policy", limits, file).map(drop)
    };
    assert!(read(&small).is_ok());
    let largest = folder.text("modules.toml").len();
    let error = read(&Limits::DEFAULT.with_file_bytes(largest - 1)).unwrap_err();
    let expected = format!("expected at most {} bytes, found more", largest - 1);
    assert!(error.to_string().ends_with(&expected), "{error}");
    folder.ends_well();
}

/// A file of the largest size is read, one byte more is not; one without an end neither.
#[test]
fn a_policy_file_without_an_end() {
    let folder = Folder::new();
    let sparse = fs::File::create(folder.file("modeling.toml")).unwrap();
    sparse.set_len(FILE_BYTES as u64 + 1).unwrap();
    let error = PolicyFolder::load(folder.policy()).unwrap_err();
    let expected = "expected at most 67108864 bytes, found more";
    assert!(said("modeling.toml", &error).ends_with(expected), "{error}");
    if cfg!(unix) && Path::new("/dev/zero").exists() {
        fs::remove_file(folder.file("modeling.toml")).unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink("/dev/zero", folder.file("modeling.toml")).unwrap();
        let error = PolicyFolder::load(folder.policy()).unwrap_err();
        assert!(said("modeling.toml", &error).ends_with(expected), "{error}");
    }
}

#[test]
fn a_deeply_nested_policy_file() {
    let folder = Folder::new();
    for name in TOML {
        for deep in [
            format!("x = {}1{}\n", "[".repeat(50_000), "]".repeat(50_000)),
            format!("x = {}\n", "[".repeat(50_000)),
            format!("x = {}1{}\n", "{ a = ".repeat(50_000), " }".repeat(50_000)),
            format!("x{} = 1\n", ".a".repeat(50_000)),
            format!("[x{}]\n", ".a".repeat(50_000)),
        ] {
            folder.refuses(name, format!("{deep}{}", folder.text(name)).as_bytes());
        }
    }
    let deep = format!("{{\"keys\": [], \"x\": {}", "[".repeat(50_000));
    folder.refuses("jwks.json", deep.as_bytes());
    folder.ends_well();
}

#[test]
fn a_policy_file_that_is_not_utf8() {
    let folder = Folder::new();
    for name in TOML.into_iter().chain(["jwks.json"]) {
        let text = folder.text(name);
        let bytes = [text.as_bytes(), b"# \xff\n"].concat();
        let said = folder.refuses(name, &bytes);
        let at = text.len() + 2;
        assert!(said.ends_with(&format!("expected UTF-8, found another byte at offset {at}")));
        let wide: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        folder.refuses(name, &[&b"\xff\xfe"[..], &wide].concat());
    }
    folder.ends_well();
}

#[test]
fn a_policy_file_with_a_duplicate_key() {
    let folder = Folder::new();
    for name in TOML {
        let text = folder.text(name);
        let said = folder.refuses(name, format!("version = \"0\"\n{text}").as_bytes());
        assert!(said.contains("duplicate key"), "{said}");
    }
    let twice = folder.text("jwks.json").replacen("\"keys\"", "\"keys\": [], \"keys\"", 1);
    let said = folder.refuses("jwks.json", twice.as_bytes());
    assert!(said.contains("data error"), "{said}");
    folder.ends_well();
}

#[test]
fn unknown_fields_in_a_policy_file() {
    let folder = Folder::new();
    for name in TOML {
        let text = folder.text(name);
        let said = folder.refuses(name, format!("surprise = 1\n{text}").as_bytes());
        assert!(said.contains("unknown field `surprise`"), "{said}");
        assert!(said.contains(&format!("{name}:1:1: ")), "{said}");
        let said = folder.refuses(name, format!("{text}\n[surprise]\nx = 1\n").as_bytes());
        assert!(said.contains("unknown field `surprise`"), "{said}");
    }
    fs::write(folder.file("tabel.toml"), "").unwrap();
    let error = PolicyFolder::load(folder.policy()).unwrap_err();
    assert!(matches!(&error, PolicyError::Unknown { meant: Some("table.toml"), .. }), "{error}");
    fs::remove_file(folder.file("tabel.toml")).unwrap();
    folder.ends_well();
}

/// Files whose form has a version refuse another; in the others the version is the
/// policy's own name, which must be one.
#[test]
fn a_policy_file_of_a_wrong_version() {
    let folder = Folder::new();
    for name in TOML {
        let text = folder.text(name);
        let at = text.find("version = \"").unwrap();
        let end = at + text[at..].find('\n').unwrap();
        let with = |line: &str| format!("{}{line}{}", &text[..at], &text[end..]);
        for (name, expected) in [
            ("classifier.toml", "1.2"),
            ("envelope.toml", "2.0"),
            ("matrix.toml", "1.2"),
            ("modules.toml", "1.0"),
            ("router.toml", "1"),
        ]
        .into_iter()
        .filter(|(of, _)| *of == name)
        {
            for other in ["0.9", "1.20", "2", ""] {
                let line = format!("version = \"{other}\"");
                let said = folder.refuses(name, with(&line).as_bytes());
                assert!(said.contains(expected), "{said}");
                assert!(said.contains(&format!("found `{other}`")), "{said}");
            }
        }
        for none in ["version = \"\"", "version = 1", "version = \" 1\""] {
            folder.refuses(name, with(none).as_bytes());
        }
        let said = folder.refuses(name, with("").as_bytes());
        assert!(said.contains("missing field `version`"), "{said}");
    }
    folder.ends_well();
}

#[test]
fn numbers_out_of_range_in_a_policy_file() {
    let folder = Folder::new();
    for (name, key, value) in [
        ("router.toml", "token_seconds", "0"),
        ("router.toml", "token_seconds", "86401"),
        ("router.toml", "token_seconds", "-1"),
        ("router.toml", "clearance_seconds", "99999999999999999999"),
        ("router.toml", "decision_seconds", "1.5"),
        ("router.toml", "decision_seconds", "inf"),
        ("router.toml", "restriction_threshold", "800000"),
        ("router.toml", "restriction_threshold", "1000001"),
        ("router.toml", "validated_strength", "4294967296"),
        ("envelope.toml", "full_age_seconds", "-1"),
        ("envelope.toml", "outflow", "1"),
        ("identity.toml", "leeway_seconds", "301"),
        ("identity.toml", "leeway_seconds", "0x1p4"),
    ] {
        let text = folder.text(name);
        let at = text.find("version").unwrap();
        let bytes = format!("{}{key} = {value}\n{}", &text[..at], &text[at..]);
        let said = folder.refuses(name, bytes.as_bytes());
        let key = key.trim_end_matches("_seconds");
        assert!(said.contains(key), "{said}");
    }
    let text = format!("{}[behaviour]\nforget-at = 1048577\n", folder.text("modeling.toml"));
    let said = folder.refuses("modeling.toml", text.as_bytes());
    assert!(said.contains("forget-at") && said.contains("1048577"), "{said}");
    let text =
        folder.text("governance.toml").replace("timeout_seconds = 900", "timeout_seconds = -1");
    assert!(folder.refuses("governance.toml", text.as_bytes()).contains("timeout_seconds"));
    folder.ends_well();
}

#[test]
fn limits_in_router_toml_go_down_only() {
    let folder = Folder::new();
    let text = folder.text("router.toml");
    let with = |limits: &str| format!("{text}\n[limits]\n{limits}\n");
    for (line, expected) in [
        (
            "submission_bytes = 1048577",
            "expected 1 to 1048576, found 1048577 (in `limits.submission_bytes`)",
        ),
        ("value_depth = 0", "expected 1 to 32, found 0 (in `limits.value_depth`)"),
        ("value_dept = 4", "no limit `value_dept`, there are: `submission_bytes`"),
        ("file_bytes = 4", "no limit `file_bytes`"),
        ("value_items = -1", "value_items"),
    ] {
        let said = folder.refuses("router.toml", with(line).as_bytes());
        assert!(said.contains(expected), "{said}");
        assert!(said.contains("router.toml:8:"), "{said}");
    }
    let plain = PolicyFolder::load(folder.policy()).unwrap();
    assert_eq!(plain.limits(), &Limits::DEFAULT);
    let lowered = "submission_bytes = 9000\nvalue_depth = 8\nvalue_items = 7\ntext_bytes = 600\nintent_items = 5\ntoken_bytes = 4000\ndelegation_links = 3\noutput_bytes = 200";
    fs::write(folder.file("router.toml"), with(lowered)).unwrap();
    let low = PolicyFolder::load(folder.policy()).unwrap();
    let found: Vec<usize> = low.limits().all().iter().map(|(_, now, _)| *now).collect();
    assert_eq!(found, [9000, 8, 7, 600, 5, 4000, 3, 200, FILE_BYTES]);
    assert_ne!(low.pins().digest(), plain.pins().digest(), "bounds are part of the policy");
    let both = Limits::DEFAULT.with_value_depth(4).with_text_bytes(10_000);
    let both = PolicyFolder::load_within(folder.policy(), &both).unwrap();
    assert_eq!((both.limits().value_depth(), both.limits().text_bytes()), (4, 600));
    let opened = both.open(Journals::Volatile, [7; 32]).unwrap();
    assert_eq!(opened.limits.value_depth(), 4);
}

#[test]
fn an_ambiguous_table() {
    let folder = Folder::new();
    let text = folder.text("table.toml");
    let row = "[[row]]\nid = \"again\"\nkinds = [\"mail.send\", \"note.read\"]\nflags = [\"effect\"]\ntemplate = \"send\"\nmodules = [\"mail\"]\n";
    let said = folder.refuses("table.toml", format!("{text}\n{row}").as_bytes());
    assert!(said.contains("`mail`") && said.contains("`again/mail.send`"), "{said}");
    assert!(said.contains("effect"), "the witness: {said}");
    let twice = row.replacen("again", "mail", 1).replace(", \"note.read\"", "");
    let said = folder.refuses("table.toml", format!("{text}\n{twice}").as_bytes());
    assert!(said.contains("two rows have the id `mail`"), "{said}");
    let any = row.replacen("kinds = [\"mail.send\", \"note.read\"]\n", "", 1);
    let said = folder.refuses("table.toml", format!("{text}\n{any}").as_bytes());
    assert!(said.contains("`again`"), "{said}");
    folder.ends_well();
}

/// The same for tables that are built in code.
#[test]
fn an_ambiguous_table_built_in_code() {
    let branch = Branch {
        id: "b".parse().unwrap(),
        all_flags: SafetyFlags::NONE,
        no_flags: SafetyFlags::NONE,
        modes: Vec::new(),
        states: Vec::new(),
        module: "m".parse().unwrap(),
    };
    let row = |id: &str, flags: SafetyFlags| Row {
        id: id.parse().unwrap(),
        pattern: Pattern { all_flags: flags, ..Pattern::default() },
        template: Template {
            id: "t".parse().unwrap(),
            mode: prospera::verdict::SafetyMode::Normal,
            engines: Vec::new(),
            modules: vec!["m".parse().unwrap()],
            branches: vec![branch.clone()],
        },
        escalation: Vec::new(),
    };
    let build = |rows| RoutingTable::build("1".parse().unwrap(), rows);
    let rows = vec![row("one", SafetyFlags::EFFECT), row("two", SafetyFlags::FINANCIAL)];
    let Err(TableError::Ambiguous { first, second, witness }) = build(rows) else {
        panic!("expected an ambiguous table")
    };
    assert_eq!((first.as_str(), second.as_str()), ("one", "two"));
    assert_eq!(witness.flags, SafetyFlags::EFFECT.union(SafetyFlags::FINANCIAL));
    assert!(build(vec![row("one", SafetyFlags::EFFECT)]).is_ok());
}

#[test]
fn a_key_set_that_is_none() {
    let keys = include_str!("../keys/jwks.json");
    let private = keys.replacen("\"kid\"", "\"d\": \"AAAA\", \"kid\"", 1);
    for (text, found) in [
        ("", "a syntax error"),
        ("[]", "a data error"),
        ("{\"keys\": []}", "no key"),
        (&private, "private key"),
        (include_str!("../keys/jwks-short-rsa.json"), "too short"),
        (&keys.replacen("\"keys\"", "\"keys\": [], \"keys\"", 1), "a data error"),
    ] {
        let error = TokenVerifier::from_jwks(text).map(drop).unwrap_err();
        assert!(matches!(error, IdentityError::KeySet { .. }), "{error}");
        assert!(error.to_string().contains(found), "{error}");
    }
}
