use alloc::format;
use alloc::string::String;

use proptest::prelude::*;

use super::*;
use crate::id::Name;
use crate::intent::KindSpec;
use crate::intent::schema::JsonSchema;
use crate::limits::Limits;
use crate::verdict::ReasonCode;

const SCHEMA: &str = r#"{"type": "object", "required": ["to"], "additionalProperties": false,
    "properties": {"to": {"type": "string"}, "amount": {"type": "number"},
                   "note": {"type": "string", "default": "no note"}}}"#;

fn catalogue() -> Catalogue {
    let kind = KindSpec::new("send_money".parse().unwrap(), "payments".parse().unwrap())
        .check(JsonSchema::new(SCHEMA).unwrap());
    Catalogue::builder("1".parse().unwrap()).kind(kind).build().unwrap()
}

fn outside(name: &str) -> Source {
    Source::Outside(Name::new(name).unwrap())
}

fn user() -> Channel {
    Channel::new(Source::User)
}

fn known() -> Channel {
    Channel {
        subject: Some("alice".parse().unwrap()),
        session: Some("s-1".parse().unwrap()),
        objective: Some(Objective::new("Pay 12.50 to DE1234 please")),
        ..user()
    }
}

fn intent(expanded: Expanded, read: &Label) -> Intent {
    match expanded.submit(&catalogue(), read, None) {
        Submission::Intent(intent) => intent,
        Submission::Malformed(malformed) => panic!("{malformed:?}"),
    }
}

const NATIVE: &str = r#"{"kind": "send_money", "subject": "alice", "session": "s-1",
  "request": "r-7", "objective": "Pay 12.50 to DE1234 please",
  "arguments": {"to": "DE1234", "amount": 12.5, "note": "rent"},
  "labels": {"to": [{"outside": "mail"}]},
  "reads": [{"key": "landlord", "version": 3}],
  "snapshot": "0000000000000000000000000000000000000000000000000000000000000001"}"#;

/// IRM-4.2.1.
#[test]
fn the_projects_own_json_is_read_whole() {
    let expanded = native::read(NATIVE.as_bytes(), &user(), &Limits::DEFAULT).unwrap();
    let read = Label::from(outside("web"));
    let intent = intent(expanded, &read);
    assert_eq!(intent.request().unwrap().as_str(), "r-7");
    assert_eq!(intent.reads()[0].version, 3);
    assert!(intent.snapshot().is_some());
    let label = |name: &str| intent.arguments()[name].label.clone();
    assert_eq!(label("amount"), Source::User.into());
    assert_eq!(label("note"), read.join(&Source::Agent.into()), "not in the prompt");
    let claimed = label("to");
    assert!(claimed.has_user() && claimed.is_outside(), "a claim adds a source");
}

#[test]
fn a_claim_never_removes_a_source() {
    let text = NATIVE
        .replace("DE1234\", \"amount", "XX99\", \"amount")
        .replace(r#"[{"outside": "mail"}]"#, r#"["user"]"#);
    let expanded = native::read(text.as_bytes(), &user(), &Limits::DEFAULT).unwrap();
    let intent = intent(expanded, &Label::empty());
    let label = &intent.arguments()["to"].label;
    assert!(!label.within(|source| *source == Source::User), "{label}");
}

fn refused(text: &str, channel: &Channel) -> Malformed {
    native::read(text.as_bytes(), channel, &Limits::DEFAULT).unwrap_err()
}

/// D-21, IRM-2.9.
#[test]
fn d_21_what_cannot_be_read_is_kept_with_its_reason() {
    for (from, to, place) in [
        ("\"kind\"", "\"kinds\"", "field `kind`"),
        ("\"request\"", "\"requests\"", "`requests`"),
        ("\"r-7\"", "7", "`/request`"),
        ("\"version\": 3", "\"version\": 3.5", "`/reads/0/version`"),
        ("\"version\": 3", "\"version\": -3", "`/reads/0/version`"),
        ("\"version\": 3", "\"version\": 3, \"x\": 1", "`/reads/0`"),
        ("\"outside\"", "\"inside\"", "`/labels/to/0`"),
        ("{\"to\": [", "{\"tu\": [", "`/labels/tu`"),
        ("0001\"", "001\"", "`/snapshot`"),
    ] {
        let text = NATIVE.replacen(from, to, 1);
        assert_ne!(text, NATIVE, "{from}");
        let malformed = refused(&text, &user());
        assert_eq!(malformed.reason.code, ReasonCode::IntentMalformed);
        assert!(malformed.reason.detail.contains(place), "{}", malformed.reason);
        assert_eq!(malformed.digest, Domain::Malformed.hash(text.as_bytes()));
        assert_eq!(malformed.subject.unwrap().as_str(), "alice");
        assert_eq!(malformed.session.unwrap().as_str(), "s-1");
    }
    let broken = refused("{\"kind\": 1, \"kind\": 2}", &known());
    assert_eq!(broken.reason.code, ReasonCode::IntentMalformed);
    assert!(broken.reason.detail.contains("line 1"), "{}", broken.reason);
    assert_eq!(broken.subject.unwrap().as_str(), "alice", "known from the channel");
    let long = format!("[{}]", "1,".repeat(crate::limits::VALUE_ITEMS + 1));
    assert_eq!(refused(&long, &user()).reason.code, ReasonCode::IntentLimit);
    let other = refused(&NATIVE.replace("\"alice\"", "\"bob\""), &known());
    assert!(other.reason.detail.contains("`alice`, as of the channel"), "{}", other.reason);
}

#[test]
fn d_21_what_no_kind_fits_is_kept_too() {
    for (from, to, code) in [
        ("send_money", "send_mony", ReasonCode::IntentUnknownKind),
        ("\"amount\": 12.5", "\"amount\": \"12.5\"", ReasonCode::IntentSchema),
    ] {
        let text = NATIVE.replace(from, to);
        let expanded = native::read(text.as_bytes(), &user(), &Limits::DEFAULT).unwrap();
        let Submission::Malformed(malformed) = expanded.submit(&catalogue(), &Label::empty(), None)
        else {
            panic!("expected no intent")
        };
        assert_eq!(malformed.reason.code, code);
        assert_eq!(malformed.digest, Domain::Malformed.hash(text.as_bytes()));
    }
}

const CALL: &str = r#"{"jsonrpc": "2.0", "id": 7, "method": "tools/call", "params": {
  "name": "send_money", "arguments": {"to": "DE1234"},
  "_meta": {"progressToken": 1, "prospera/session": "s-1"}}}"#;

#[test]
fn an_mcp_call_is_read_with_the_channels_objective() {
    let read = |text: &str| mcp::read(text.as_bytes(), &known(), &Limits::DEFAULT);
    let intent = intent(read(CALL).unwrap(), &Label::empty());
    assert_eq!(intent.objective().text(), "Pay 12.50 to DE1234 please");
    assert_eq!(intent.arguments()["to"].label, Source::User.into());
    assert_eq!(intent.request().unwrap().as_str(), "7");
    let text_id = read(&CALL.replace("\"id\": 7", "\"id\": \"7\"")).unwrap();
    assert_eq!(text_id.request.unwrap().as_str(), "\"7\"");
    for (from, to, place) in [
        ("2.0", "1.0", "`/jsonrpc`"),
        ("tools/call", "tools/list", "`/method`"),
        ("\"id\": 7, ", "", "field `id`"),
        ("\"id\": 7", "\"id\": null", "`/id`"),
        ("\"id\": 7", "\"id\": 7.5", "`/id`"),
        ("\"name\"", "\"tool\"", "field `name`"),
        ("\"_meta\"", "\"meta\"", "`meta`"),
        ("{\"to\": \"DE1234\"}", "[]", "`/params/arguments`"),
        ("s-1", "s-2", "`s-1`, as of the channel"),
    ] {
        let malformed = read(&CALL.replacen(from, to, 1)).unwrap_err();
        assert!(malformed.reason.detail.contains(place), "{}", malformed.reason);
    }
    let silent = Channel { objective: None, ..known() };
    assert!(mcp::read(CALL.as_bytes(), &silent, &Limits::DEFAULT).is_err());
}

#[test]
fn only_the_users_instruction_makes_values_the_users() {
    let web = Channel { instruction: outside("web"), ..known() };
    let expanded = mcp::read(CALL.as_bytes(), &web, &Limits::DEFAULT).unwrap();
    let label = intent(expanded, &Label::empty()).arguments()["to"].label.clone();
    assert!(label.is_outside() && !label.has_user(), "{label}");
}

const MAPPING: &str = r#"version = "1"
subject = "customer"
kind = "/function"
arguments = "/args"
objective = "/prompt"
session = ["/suite", "/task"]
request = ["/step"]
ignored = ["difficulty"]
[instruction]
field = "/kind"
[instruction.sources]
benign = "user"
injection = { outside = "injected" }
"#;

const RECORD: &str = r#"{"function": "send_money", "args": {"to": "DE1234"}, "kind": "benign",
  "prompt": "Pay DE1234.", "suite": "bank", "task": "t/1", "step": 0, "difficulty": "easy"}"#;

fn mapped(text: &str) -> Result<Expanded, Malformed> {
    let mapping = Mapping::from_toml("intake.toml", MAPPING).unwrap();
    mapping.read(text.as_bytes(), &Channel::new(Source::Agent), &Limits::DEFAULT)
}

#[test]
fn a_foreign_record_is_read_by_its_mapping() {
    let expanded = mapped(RECORD).unwrap();
    assert_eq!(expanded.session.as_str(), "bank/t~11");
    assert_eq!(expanded.request.as_ref().unwrap().as_str(), "0");
    assert_eq!(expanded.subject.as_str(), "customer");
    let benign = intent(expanded, &Label::empty());
    assert_eq!(benign.arguments()["to"].label, Source::User.into());
    let injected = mapped(&RECORD.replace("benign", "injection")).unwrap();
    assert_eq!(injected.instruction, outside("injected"));
    let label = intent(injected, &Label::empty()).arguments()["to"].label.clone();
    assert_eq!(label, Label::from(outside("injected")).join(&Source::Agent.into()));
    for (from, to, place) in [
        ("difficulty", "hardness", "`hardness`"),
        ("benign", "unheard", "`unheard`"),
        ("\"function\"", "\"difficulty\"", "difficulty"),
        ("\"step\": 0", "\"step\": null", "`/step`"),
        ("{\"to\": \"DE1234\"}", "[]", "`/args`"),
        ("\"suite\": \"bank\"", "\"suite\": []", "`/suite`"),
    ] {
        let malformed = mapped(&RECORD.replacen(from, to, 1)).unwrap_err();
        assert!(malformed.reason.detail.contains(place), "{}", malformed.reason);
        assert_eq!(malformed.subject.is_some(), !malformed.reason.detail.contains("again"));
    }
}

#[test]
fn a_wrong_mapping_is_refused_where_it_is_wrong() {
    let error = |from: &str, to: &str| {
        let text = MAPPING.replacen(from, to, 1);
        Mapping::from_toml("intake.toml", &text).unwrap_err()
    };
    let plain = error("\"/function\"", "\"function\"");
    assert_eq!((plain.line(), plain.column()), (3, 8));
    assert_eq!(error("\"user\"", "\"usr\"").line(), 12);
    assert_eq!(error("ignored", "ignore").line(), 8);
    assert!(error("[\"/suite\", \"/task\"]", "[]").message().contains("`session`"));
    let both = error("kind =", "subject_field = \"/u\"\nkind =");
    assert_eq!(both.line(), 3);
    let base = Mapping::from_toml("f", MAPPING).unwrap().digest();
    for (from, to) in
        [("\"1\"", "\"2\""), ("customer", "c"), ("\"/step\"", "\"/stop\""), ("injected", "i")]
    {
        let other = Mapping::from_toml("f", &MAPPING.replacen(from, to, 1)).unwrap();
        assert_ne!(other.digest(), base);
    }
}

/// Whatever arrives, each reader answers, and what it refuses keeps its digest.
fn every_byte_string_ends_in_a_submission(bytes: &[u8]) -> Result<(), TestCaseError> {
    let mapping = Mapping::from_toml("intake.toml", MAPPING).unwrap();
    for read in [
        native::read(bytes, &known(), &Limits::DEFAULT),
        mcp::read(bytes, &known(), &Limits::DEFAULT),
        mapping.read(bytes, &user(), &Limits::DEFAULT),
    ] {
        let found = match read {
            Ok(expanded) => {
                let found = expanded.digest;
                match expanded.submit(&catalogue(), &Label::empty(), None) {
                    Submission::Intent(_) => found,
                    Submission::Malformed(malformed) => malformed.digest,
                }
            }
            Err(malformed) => malformed.digest,
        };
        prop_assert_eq!(found, digest(bytes));
    }
    Ok(())
}

proptest! {
    #[test]
    fn changed_submissions_are_answered(which in 0_usize..3, cut: prop::sample::Index, with in ".{0,4}") {
        let text = [NATIVE, CALL, RECORD][which];
        let at = cut.index(text.len());
        let changed: String = format!("{}{with}{}", &text[..at], &text[(at + 1).min(text.len())..]);
        every_byte_string_ends_in_a_submission(changed.as_bytes())?;
    }

    #[test]
    fn any_bytes_are_answered(bytes in prop::collection::vec(any::<u8>(), 0..48)) {
        every_byte_string_ends_in_a_submission(&bytes)?;
    }
}

#[test]
fn the_same_bytes_are_the_same_request() {
    let read = || native::read(NATIVE.as_bytes(), &user(), &Limits::DEFAULT).unwrap();
    let (a, b) = (intent(read(), &Label::empty()), intent(read(), &Label::empty()));
    assert_eq!(a.canonical(), b.canonical());
    assert_eq!(a.hash(), b.hash());
    let web = intent(read(), &outside("web").into());
    assert_ne!(a.hash(), web.hash(), "what the session has read is in the labels");
}
