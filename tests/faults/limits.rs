//! Every bound at its number and one beyond it, as it is and lowered.

use std::collections::BTreeMap;

use prospera::audience::matrix::{Matrix, MatrixError};
use prospera::digest::Digest;
use prospera::execution::files::{Journals, ModulesFile};
use prospera::id::{Name, NameError};
use prospera::identity::{IdentityPolicy, TokenVerifier};
use prospera::json::{self, JsonErrorKind};
use prospera::limits::{
    BATCH_RECORDS, DELEGATION_LINKS, DETAIL_BYTES, FACT_CONTEXTS, FACT_KEYS, FILE_BYTES, FORGET_AT,
    INTENT_ITEMS, LEEWAY_MILLIS, Limits, NAME_BYTES, OUTPUT_BYTES, PROCESS_MILLIS, RECORD_BYTES,
    SETTING_SECONDS, SHOWN_CHARS, STDERR_BYTES, SUBMISSION_BYTES, TABLE_PATTERNS,
    TEMPLATE_BRANCHES, TEXT_BYTES, TOKEN_BYTES, VALUE_DEPTH, VALUE_ITEMS,
};
use prospera::memory::{Facts, FactsError, NewFact};
use prospera::modeling::ModelingConfig;
use prospera::policy::RouterSettings;
use prospera::provenance::Label;
use prospera::routing::RoutingTable;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
use prospera::ssot::store::{AppendError, Batch, Store as _};
use prospera::time::Timestamp;
use prospera::verdict::ReasonCode::IntentLimit;
use prospera::verdict::{Reason, ReasonCode};

use crate::house::{Format, House};
use crate::world::name;

/// Texts at a bound and one beyond it, for each bound on a submission.
type Pair = (&'static str, fn(usize) -> String, fn(Limits, usize) -> Limits, usize);

const PAIRS: [Pair; 4] = [
    (
        "bytes",
        |n| format!("1{}", " ".repeat(n - 1)),
        Limits::with_submission_bytes,
        SUBMISSION_BYTES,
    ),
    (
        "levels of nesting",
        |n| format!("{}1{}", "[".repeat(n - 1), "]".repeat(n - 1)),
        Limits::with_value_depth,
        VALUE_DEPTH,
    ),
    ("items", |n| format!("[{}1]", "1,".repeat(n - 1)), Limits::with_value_items, VALUE_ITEMS),
    ("bytes", |n| format!("\"{}\"", "x".repeat(n)), Limits::with_text_bytes, TEXT_BYTES),
];

#[test]
fn bounds_of_a_submission() {
    for (what, text, lower, most) in PAIRS {
        for bound in [most, most / 2, most / 8, 3] {
            let limits = lower(Limits::DEFAULT, bound);
            assert!(json::parse(text(bound).as_bytes(), &limits).is_ok(), "{what} {bound}");
            let error = json::parse(text(bound + 1).as_bytes(), &limits).unwrap_err();
            assert!(error.kind().is_limit(), "{error}");
            let limit = match error.kind() {
                JsonErrorKind::Bytes { limit, found } | JsonErrorKind::Text { limit, found } => {
                    assert_eq!(*found, bound + 1);
                    *limit
                }
                JsonErrorKind::Depth { limit } | JsonErrorKind::Items { limit } => *limit,
                other => panic!("{other}"),
            };
            assert_eq!(limit, bound);
            assert!(error.to_string().contains(&format!("at most {bound} {what}")), "{error}");
        }
        // Never upwards.
        let raised = lower(Limits::DEFAULT, usize::MAX);
        assert_eq!(raised, Limits::DEFAULT);
        assert!(json::parse(text(most + 1).as_bytes(), &raised).is_err());
    }
    // A key is a text, too, and map entries are items.
    let low = Limits::DEFAULT.with_text_bytes(3).with_value_items(2);
    assert!(json::parse(br#"{"abc": 1, "d": 2}"#, &low).is_ok());
    assert!(json::parse(br#"{"abcd": 1}"#, &low).is_err());
    assert!(json::parse(br#"{"a": 1, "b": [2]}"#, &low).is_err());
}

/// A lowered bound holds in each form of request, and the route is denied for it.
#[test]
fn lowered_bounds_of_each_form() {
    let mut house = House::new();
    for format in Format::ALL {
        let length = format.text().len();
        let longest = "keep my notes, 12.5 in all".len();
        let levels = format.above() + 1;
        let items = json_items(format);
        for (lower, bound) in [
            (Limits::with_submission_bytes as fn(Limits, usize) -> Limits, length),
            (Limits::with_value_depth, levels),
            (Limits::with_value_items, items),
            (Limits::with_text_bytes, if format == Format::Mcp { 10 } else { longest }),
            (Limits::with_intent_items, 2),
        ] {
            let bytes = format.text().as_bytes();
            let limits = lower(Limits::DEFAULT, bound);
            let read = house.submission(format, bytes, &limits);
            assert!(read.intent().is_some(), "{format:?} {bound}: {read:?}");
            let limits = lower(Limits::DEFAULT, bound - 1);
            let detail = house.refuses_within(format, bytes, &limits, IntentLimit);
            assert!(detail.contains(&format!("at most {} ", bound - 1)), "{detail}");
        }
    }
    let reads = Format::Native.replaced(
        r#""reads": []"#,
        r#""reads": [{"key": "a", "version": 1}, {"key": "b", "version": 1}, {"key": "c", "version": 1}]"#,
    );
    let limits = Limits::DEFAULT.with_intent_items(2);
    let detail = house.refuses_within(Format::Native, reads.as_bytes(), &limits, IntentLimit);
    assert_eq!(detail, "expected at most 2 facts read, found 3");
    house.ends_well();
}

/// How many items the text of a form has.
fn json_items(format: Format) -> usize {
    fn count(value: &prospera::value::Value) -> usize {
        use prospera::value::Value;
        match value {
            Value::List(items) => items.len() + items.iter().map(count).sum::<usize>(),
            Value::Map(entries) => entries.len() + entries.values().map(count).sum::<usize>(),
            _ => 0,
        }
    }
    count(&json::parse(format.text().as_bytes(), &Limits::DEFAULT).unwrap())
}

#[test]
fn bounds_of_names_and_details() {
    assert!(Name::new(&"n".repeat(NAME_BYTES)).is_ok());
    let error = Name::new(&"n".repeat(NAME_BYTES + 1)).unwrap_err();
    assert_eq!(error, NameError::Length { found: NAME_BYTES + 1 });
    let detail = |length: usize| Reason::new(ReasonCode::NoRule).detail("x".repeat(length)).detail;
    assert_eq!(detail(DETAIL_BYTES).len(), DETAIL_BYTES);
    assert!(detail(DETAIL_BYTES + 1).ends_with('…'));
    const { assert!(INTENT_ITEMS == 4096 && TOKEN_BYTES == 16_384 && DELEGATION_LINKS == 8) };
}

#[test]
fn bounds_of_a_batch() {
    let stream = |i: usize| StreamId::new(StreamKind::Routing, name(&format!("s {i}")));
    let draft = |i, length| {
        let source = prospera::id::Subsystem::Routing;
        Draft::new(stream(i), RecordKind::Outcome, source, vec![7; length])
    };
    let refused = |batch: Batch| match MemoryStore::new().append(&batch).map(drop) {
        Err(AppendError::Refused { reason }) => reason,
        other => panic!("{other:?}"),
    };
    let one = || Batch::new(Timestamp::default()).expect(stream(0), Head::EMPTY);
    let store = MemoryStore::new();
    store.append(&one().append(draft(0, RECORD_BYTES))).unwrap();
    let large = one().append(draft(0, RECORD_BYTES + 1));
    assert_eq!(refused(large), "a record's body is larger than the limit");
    let many = |count: usize| (0..count).fold(one(), |batch, _| batch.append(draft(0, 1)));
    MemoryStore::new().append(&many(BATCH_RECORDS)).unwrap();
    assert_eq!(refused(many(BATCH_RECORDS + 1)), "a batch has more records than the limit");
    let payload = |length| {
        one().append(draft(0, 1)).payload(Digest::from_bytes([1; 32]), vec![1; length].into())
    };
    MemoryStore::new().append(&payload(RECORD_BYTES)).unwrap();
    assert_eq!(refused(payload(RECORD_BYTES + 1)), "a payload is larger than the limit");
    let expecting = |count: usize| {
        (1..count).fold(one().append(draft(0, 1)), |b, i| b.expect(stream(i), Head::EMPTY))
    };
    MemoryStore::new().append(&expecting(BATCH_RECORDS)).unwrap();
    let reason = refused(expecting(BATCH_RECORDS + 1));
    assert_eq!(reason, "a batch has more expectations than the limit");
}

#[test]
fn bounds_of_facts() {
    let mut facts = Facts::of("alice".parse().unwrap());
    let write = |facts: &mut Facts, key: &str, context: Option<&str>| {
        let mut new = NewFact::new(key.parse().unwrap(), "v".into(), Label::empty());
        new.context = context.map(name);
        let record = facts.record(new);
        facts.admits(&record)?;
        facts.apply_fact(record, Digest::ZERO, Timestamp::default())
    };
    for i in 0..FACT_CONTEXTS {
        write(&mut facts, "k", Some(&format!("c {i}"))).unwrap();
    }
    let error = write(&mut facts, "k", Some("one more")).unwrap_err();
    assert!(matches!(error, FactsError::Limit { limit: FACT_CONTEXTS, .. }), "{error}");
    write(&mut facts, "k", Some("c 3")).unwrap();
    for i in 1..FACT_KEYS {
        write(&mut facts, &format!("key {i}"), None).unwrap();
    }
    let error = write(&mut facts, "one more", None).unwrap_err();
    assert!(matches!(error, FactsError::Limit { limit: FACT_KEYS, .. }), "{error}");
    write(&mut facts, "key 3", None).unwrap();
    assert_eq!(facts.keys(), FACT_KEYS);
}

fn table(rows: &str, branches: &str) -> Result<RoutingTable, String> {
    let text = format!("version = \"1\"\n[[template]]\nid = \"t\"\n{branches}{rows}");
    RoutingTable::from_toml("table.toml", &text).map_err(|error| error.to_string())
}

#[test]
fn bounds_of_a_table() {
    let branch = |id: &str, more: &str| {
        format!("[[template.branch]]\nid = \"{id}\"\nmodule = \"m\"\n{more}")
    };
    // Each row demands another vote vector or flag set, so that each is a pattern of its own.
    let layers = ["identity", "intent", "modeling", "memory", "safety", "governance"];
    let rows = |count: usize| -> String {
        let row = |number: usize| {
            // The first votes tell rows apart; which votes are looked at makes the pattern.
            let votes: Vec<String> = layers
                .iter()
                .enumerate()
                .filter(|(i, _)| number >> i & 1 == 1)
                .map(|(_, layer)| format!("{layer} = \"agree\""))
                .collect();
            let objective = format!("objective = \"o{number}\"\n");
            format!(
                "[[row]]\nid = \"r{number}\"\nkinds = [\"k\"]\n{objective}votes = {{ {} }}\ntemplate = \"t\"\nmodules = [\"m\"]\n",
                votes.join(", ")
            )
        };
        (0..count).map(row).collect()
    };
    assert_eq!(1 << layers.len(), TABLE_PATTERNS);
    table(&rows(TABLE_PATTERNS), &branch("b", "")).unwrap();
    let more = format!(
        "{}[[row]]\nid = \"more\"\nkinds = [\"k\"]\nobjective = \"more\"\nflags = [\"bulk\"]\ntemplate = \"t\"\nmodules = [\"m\"]\n",
        rows(TABLE_PATTERNS)
    );
    let error = table(&more, &branch("b", "")).unwrap_err();
    assert!(error.contains("more than 64 different patterns"), "{error}");

    let flags = [
        "effect",
        "external",
        "irreversible",
        "financial",
        "credentials",
        "personal-data",
        "bulk",
        "privileged",
    ];
    let branches = |count: usize| -> String {
        let one = |number: usize| {
            let of = |bit: usize| {
                let names: Vec<String> = flags
                    .iter()
                    .enumerate()
                    .filter(|(i, _)| number >> i & 1 == bit)
                    .map(|(_, flag)| format!("\"{flag}\""))
                    .collect();
                names.join(", ")
            };
            let more = format!("flags = [{}]\nno_flags = [{}]\n", of(1), of(0));
            branch(&format!("b{number}"), &more)
        };
        (0..count).map(one).collect()
    };
    let row = "[[row]]\nid = \"r\"\ntemplate = \"t\"\nmodules = [\"m\"]\n";
    assert_eq!(1 << flags.len(), TEMPLATE_BRANCHES);
    table(row, &branches(TEMPLATE_BRANCHES)).unwrap();
    let further = format!("{}{}", branches(TEMPLATE_BRANCHES), branch("more", ""));
    let error = table(row, &further).unwrap_err();
    assert!(error.contains("256"), "{error}");
}

#[test]
fn bounds_of_settings() {
    let router = |seconds: u64| {
        RouterSettings::from_toml("r", &format!("version = \"1\"\ntoken_seconds = {seconds}\n"))
    };
    assert_eq!(router(SETTING_SECONDS).unwrap().token_millis(), 86_400_000);
    let error = router(SETTING_SECONDS + 1).unwrap_err().to_string();
    assert!(error.contains("expected 1 to 86400 seconds, found 86401"), "{error}");

    let identity = |seconds: u64| {
        let text = format!(
            "version = \"1\"\nissuer = \"i\"\naudience = \"a\"\nleeway_seconds = {seconds}\n"
        );
        IdentityPolicy::from_toml("i", &text)
    };
    assert_eq!(identity(LEEWAY_MILLIS / 1000).unwrap().leeway_ms(), LEEWAY_MILLIS);
    assert!(identity(LEEWAY_MILLIS / 1000 + 1).is_err());
    let built = IdentityPolicy::builder(name("i"), name("a")).leeway_ms(LEEWAY_MILLIS + 1).build();
    assert_eq!(built.leeway_ms(), LEEWAY_MILLIS, "as the bound");

    let modeling = |most: u32| {
        let text = format!("version = \"1\"\n[behaviour]\nforget-at = {most}\n");
        ModelingConfig::from_toml("m", &text)
    };
    assert!(modeling(FORGET_AT).is_ok());
    assert!(modeling(FORGET_AT + 1).is_err());

    let module = |millis: u64, bytes: usize| {
        let text = format!(
            "version = \"1.0\"\n[[module]]\nid = \"p\"\ntype = \"process\"\nversion = \"1.0\"\ntier = \"observe\"\nrequired_state = \"BASE\"\nintents = [\"k\"]\nprogram = \"p\"\nfolder = \".\"\ntime_limit_ms = {millis}\noutput_bytes = {bytes}\n"
        );
        ModulesFile::parse("m", &text).map(drop).map_err(|error| error.to_string())
    };
    assert_eq!(module(PROCESS_MILLIS, OUTPUT_BYTES), Ok(()));
    assert!(module(PROCESS_MILLIS + 1, 1).unwrap_err().contains("86400000"));
    assert!(module(1, OUTPUT_BYTES + 1).unwrap_err().contains("1048576"));
    const { assert!(FILE_BYTES == 64 << 20 && SHOWN_CHARS == 2000) };
}

/// Texts that are handed in are held to the bound of files, too.
#[test]
fn bounds_of_a_file() {
    let padded = |length: usize| {
        let start = "version = \"1\"\n#";
        format!("{start}{}", " ".repeat(length - start.len()))
    };
    assert!(RouterSettings::from_toml("router.toml", &padded(FILE_BYTES)).is_ok());
    let long = padded(FILE_BYTES + 1);
    let error = RouterSettings::from_toml("router.toml", &long).unwrap_err();
    assert_eq!(
        error.to_string(),
        "router.toml:1:1: expected at most 67108864 bytes, found 67108865"
    );
    let error = Matrix::from_toml(&long).unwrap_err();
    assert_eq!(error, MatrixError::TooLong { expected: FILE_BYTES, found: FILE_BYTES + 1 });
    let error = TokenVerifier::from_jwks(&long).map(drop).unwrap_err();
    assert!(error.to_string().contains("more than 67108864 bytes"), "{error}");
}

/// What modules give back is held to the bounds of the registry they run in.
#[test]
fn bounds_of_outputs() {
    for (output, limits) in [
        ("note.add done", Limits::DEFAULT.with_output_bytes(5 + "note.add done".len())),
        ("note.add done", Limits::DEFAULT),
    ] {
        let routed = ran(&limits);
        assert_eq!(routed, Some(output.into()));
    }
    assert_eq!(ran(&Limits::DEFAULT.with_output_bytes(5 + "note.add done".len() - 1)), None);
    assert_eq!(ran(&Limits::DEFAULT.with_value_depth(0)), None);
}

/// The output of an effect under bounds; its outcome is recorded in any case.
fn ran(limits: &Limits) -> Option<prospera::value::Value> {
    let world = crate::world::World::new();
    let mut engines = world.engines();
    engines.execution = engines.execution.within(limits);
    let (rules, clock) = (world.rules(), world.clock);
    let store = MemoryStore::new();
    let operator = crate::world::operator();
    let router = prospera::routing::Router::new(engines, rules, store, clock, operator).unwrap();
    let mut desk = router.open(world.alice("s-1")).unwrap();
    let routed = router.route(&mut desk, world.intent("s-1", "note.add")).unwrap();
    assert_eq!(world.effects.count(), 1);
    assert!(desk.open_route().is_none());
    let outcome = routed.outcome.unwrap();
    let of: BTreeMap<_, _> = outcome.reasons.iter().map(|r| (r.code.number(), &r.detail)).collect();
    assert_eq!(routed.output.is_none(), of.contains_key(&ReasonCode::OutputInvalid.number()));
    routed.output.map(|output| output.value)
}

/// What a program complains of is kept as far as its bound.
#[cfg(unix)]
#[test]
fn bounds_of_what_a_program_says() {
    for (length, kept) in [(511, 511), (512, 512), (513, 512), (100_000, 512)] {
        let text = format!(
            "version = \"1.0\"\n[[module]]\nid = \"look\"\ntype = \"process\"\nversion = \"1.0\"\ntier = \"observe\"\nrequired_state = \"BASE\"\nintents = [\"note.read\"]\nprogram = \"/bin/sh\"\nargs = [\"-c\", \"head -c {length} /dev/zero | tr '\\\\0' e >&2; exit 1\"]\nenv = {{ PATH = \"/usr/bin:/bin\" }}\nfolder = \"/\"\ntime_limit_ms = 20000\n"
        );
        let modules = ModulesFile::parse("modules.toml", &text).unwrap();
        let opened = modules
            .open_with(std::path::Path::new("/"), Journals::Volatile, |_| Err(String::new()))
            .unwrap();
        let world = crate::world::World::new();
        let mut engines = world.engines();
        engines.execution = opened.registry;
        let (rules, clock, store) = (world.rules(), world.clock, MemoryStore::new());
        let operator = crate::world::operator();
        let router =
            prospera::routing::Router::new(engines, rules, store, clock, operator).unwrap();
        let mut desk = router.open(world.alice("s-1")).unwrap();
        let routed = router.route(&mut desk, world.intent("s-1", "note.read")).unwrap();
        let outcome = routed.outcome.unwrap();
        assert_eq!(outcome.status, prospera::routing::OutcomeStatus::Failed);
        let said = &outcome.reasons[0].detail;
        assert_eq!(**said, format!("exit code 1: {}", "e".repeat(kept)));
        const { assert!(STDERR_BYTES == 512) };
    }
}

/// The command line keeps to the bounds that `router.toml` lowers.
#[cfg(feature = "cli")]
#[test]
fn lowered_bounds_on_the_command_line() {
    use std::io::Write as _;
    use std::process::{Command, Stdio};
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str], input: &str| {
        let mut child = Command::new(env!("CARGO_BIN_EXE_prospera"))
            .args(arguments)
            .current_dir(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success());
        String::from_utf8(done.stdout).unwrap()
    };
    run(&["init", "s"], "");
    let router = folder.path().join("s/policy/router.toml");
    let shipped = std::fs::read_to_string(&router).unwrap();
    let line = r#"{"kind": "note.read", "subject": "alice", "session": "new", "objective": "Read list.", "arguments": {"name": "list"}}"#;
    for (limit, verdict) in [
        (format!("submission_bytes = {}", line.len()), "allow"),
        (format!("submission_bytes = {}", line.len() - 1), "deny"),
        ("value_depth = 3".to_owned(), "allow"),
        ("value_depth = 2".to_owned(), "deny"),
    ] {
        std::fs::write(&router, format!("{shipped}\n[limits]\n{limit}\n")).unwrap();
        let out = run(
            &["route", "-", "--policy", "s/policy", "--memory", "--format", "json"],
            &format!("{line}\n"),
        );
        let last: serde_json::Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        assert_eq!(last["summary"]["verdicts"][verdict], 1, "{limit}: {out}");
        assert_eq!(out.contains("intent.limit"), verdict == "deny", "{out}");
    }
}
