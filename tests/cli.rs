//! The command line from end to end, with the built program.
#![cfg(feature = "cli")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here is a failure of the test"
)]

use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::Store as _;
use serde_json::json;

#[path = "cli/bundle.rs"]
mod bundle;
#[path = "cli/errors.rs"]
mod errors;
#[path = "cli/replay.rs"]
mod replay;
#[path = "cli/stores.rs"]
mod stores;
#[path = "cli/support.rs"]
mod support;

use support::{Place, example, lines, summary};

#[test]
fn a_starter_folder_routes_out_of_the_box() {
    let place = Place::with_starter();
    let checked = place.run(&["policy", "check", "s/policy"]).code(0);
    assert!(checked.out.starts_with("s/policy: sound, 2 kinds, 2 rows, 3 rules, 2 modules\n"));
    assert!(!checked.out.contains("notice"), "{}", checked.out);
    let table = place.run(&["table", "check", "s/policy/table.toml"]).code(0);
    assert!(table.out.contains("2 rows, no two match the same intent"), "{}", table.out);
    let run = place.run(&["route", "s", "--format", "json"]).code(0);
    let verdicts = &summary(&run.out)["verdicts"];
    let expected = json!({"allow": 2, "modify": 0, "step up": 1, "defer": 0, "deny": 1});
    assert_eq!(*verdicts, expected);
    assert!(run.err.is_empty(), "{}", run.err);
    let verified = place.run(&["verify", "s/out/prospera.redb"]).code(0);
    assert!(verified.out.contains("sound, 11 records in 5 streams"), "{}", verified.out);
    let again = place.run(&["init", "s"]).code(2);
    assert!(again.err.contains("nothing is overwritten"), "{}", again.err);
}

/// The README's main job: every verdict, every audience state but PRIVILEGED.
#[test]
fn a_monday_at_the_office_meets_every_verdict() {
    let place = Place::new();
    let office = example("office");
    let args = ["route", &office, "--store", "o.redb", "--format", "json"];
    let run = place.run(&args).code(0);
    let summary = summary(&run.out);
    let expected = json!({"allow": 7, "modify": 2, "step up": 2, "defer": 3, "deny": 10});
    assert_eq!(summary["verdicts"], expected);
    assert_eq!(summary["not_carried_out"], 0);
    let reasons: Vec<String> = summary["reasons"]
        .as_array()
        .unwrap()
        .iter()
        .map(|r| format!("{} {} {}", r["count"], r["verdict"], r["reason"]).replace('"', ""))
        .collect();
    let expected = "\
1 allow governance.allow [appointments]
2 allow governance.allow [bills-of-known-people]
3 allow governance.allow [look]
1 allow governance.approved
1 defer governance.defer [invoice-first]
1 defer memory.stale
1 defer safety.audience-held
1 deny governance.deny [no-mail-where-a-mail-said]
1 deny governance.deny [no-payment-where-a-mail-said]
1 deny governance.refused
1 deny identity.authority-missing
1 deny identity.unverified
1 deny intent.malformed
1 deny intent.schema
1 deny intent.unknown-kind
2 deny safety.audience-escalated
1 modify governance.modify [no-blind-copies-after-reading-mail]
1 modify safety.limit
2 step up governance.step-up [large-payments]";
    assert_eq!(reasons.join("\n"), expected);
    let audience = place.run(&["audience", "o.redb", "nora"]).code(0);
    for step in [
        "nora: RESTRICTED",
        "INIT → BASE",
        "BASE → VERIFIED",
        "VERIFIED → ESCALATED (escalate: constitutional violation)",
        "ESCALATED → HOLD (review: reviewed by `tomas`)",
        "HOLD → BASE (release: approved by `tomas`)",
        "BASE → RESTRICTED",
    ] {
        assert!(audience.out.contains(step), "{step}\n{}", audience.out);
    }
    let all = place.run(&["audience", "o.redb"]).code(0);
    assert!(all.out.contains("VERIFIED   books"), "{}", all.out);
    let refused = lines(&run.out).into_iter().find(|l| l["request"] == "r-06").unwrap();
    assert_eq!(refused["reason"]["rule"], "no-payment-where-a-mail-said");
    place.run(&["verify", "o.redb"]).code(0);
}

#[test]
fn a_route_is_shown_by_mark_index_and_digest_alike() {
    let place = Place::new();
    place.run(&["route", &example("office"), "--store", "o.redb"]).code(0);
    let by_mark = place.run(&["show", "o.redb", "r-04"]).code(0).out;
    for text in [
        "MODIFY  mail.send",
        "bcc = \"archive@collect.example\"  (from user + memory + agent + ",
        "outside mail)",
        "to = \"ms.okafor@example.org\"  (from user)",
        "Governance    narrowed",
        "governance.modify [no-blind-copies-after-reading-mail]",
        "Execution     done",
        "narrowed   without `bcc`",
    ] {
        assert!(by_mark.contains(text), "{text}\n{by_mark}");
    }
    let record = by_mark.lines().find(|line| line.starts_with("  record")).unwrap();
    let mut words = record.split_whitespace().skip(1);
    let digest = words.next().unwrap();
    let index = words.nth(1).unwrap().trim_end_matches(')');
    assert_eq!(place.run(&["show", "o.redb", &digest[..10]]).code(0).out, by_mark);
    assert_eq!(place.run(&["show", "o.redb", index]).code(0).out, by_mark);
    let machine = place.run(&["show", "o.redb", "r-04", "--format", "json"]).code(0);
    let machine: serde_json::Value = serde_json::from_str(&machine.out).unwrap();
    assert_eq!(machine["record"], digest);
    assert_eq!(machine["evidence"]["narrowing"]["drop_arguments"], json!(["bcc"]));
}

/// D-41: the same scenario gives the same records, byte for byte.
#[test]
fn d_41_two_runs_of_a_scenario_are_the_same_bytes() {
    let place = Place::new();
    let records = |name: &str| -> Vec<Vec<u8>> {
        place.run(&["route", &example("office"), "--store", name]).code(0);
        let store = RedbStore::open_read_only(place.path(name)).unwrap();
        store.read(0, 10_000).unwrap().iter().map(|stored| stored.bytes.to_vec()).collect()
    };
    let (one, two) = (records("one.redb"), records("two.redb"));
    assert!(one.len() > 50, "{}", one.len());
    assert_eq!(one, two);
}

#[test]
fn a_store_is_continued_and_never_overwritten() {
    let place = Place::with_starter();
    place.run(&["route", "s"]).code(0);
    let first =
        RedbStore::open_read_only(place.path("s/out/prospera.redb")).unwrap().read(0, 100).unwrap();
    let again = place.run(&["route", "s"]).code(0);
    assert!(again.err.contains("note: continuing a log of 11 records"), "{}", again.err);
    let store = RedbStore::open_read_only(place.path("s/out/prospera.redb")).unwrap();
    assert_eq!(store.read(0, first.len()).unwrap(), first);
    assert!(store.len().unwrap() > 11);
    drop(store);
    place.run(&["verify", "s/out/prospera.redb"]).code(0);
}

#[test]
fn strict_mode_fails_on_what_was_not_allowed() {
    let place = Place::with_starter();
    place.run(&["route", "s", "--memory", "--strict"]).code(1);
    place.run(&["route", "s", "--memory", "--strict", "--limit", "3"]).code(0);
}

#[test]
fn an_approval_lets_exactly_that_intent_pass_once() {
    let place = Place::with_starter();
    place.run(&["route", "s"]).code(0);
    let approve = |who, how| {
        let args = ["approve", "s/out/prospera.redb", "r-3", "--policy", "s/policy", "--as", who];
        let now = ["--now", "1767603660000", how, "--note", "known to us"];
        place.run(&[&args[..], &now[..]].concat())
    };
    // Neither who acted, nor for whom it was done, decides on it.
    let own = approve("assistant-1", "--grant").code(2);
    assert!(own.err.starts_with("error: "), "{}", own.err);
    let granted = approve("carol", "--grant").code(0);
    assert!(granted.out.contains("granted by `carol` as `manager`"), "{}", granted.out);
    let all = std::fs::read_to_string(place.path("s/intents.jsonl")).unwrap();
    let (opens, asked) = (all.lines().next().unwrap(), all.lines().nth(3).unwrap());
    place.write("s/intents.jsonl", &format!("{opens}\n{asked}\n{asked}\n"));
    let run = place.run(&["route", "s", "--format", "json"]).code(0);
    let routed: Vec<_> = lines(&run.out).iter().map(|line| line["verdict"].clone()).collect();
    assert_eq!(routed[1..3], [json!("allow"), json!("step up")], "{}", run.out);
}

#[test]
fn a_session_with_nothing_open_is_settled_at_once() {
    let place = Place::with_starter();
    place.run(&["route", "s"]).code(0);
    let args = ["settle", "s/out/prospera.redb", "monday", "--policy", "s/policy"];
    let settled = place.run(&[&args[..], &["--now", "1767603660000"]].concat()).code(0);
    assert_eq!(settled.out, "session `monday`: nothing is open\n");
}

/// Nothing is lost: each bad line is Blocked with evidence, and named with its place.
#[test]
fn bad_lines_are_routed_and_named() {
    let place = Place::with_starter();
    let long = format!("{{\"kind\": \"{}\"}}", "x".repeat(1 << 21));
    let input = [
        "not json",
        "{\"kind\": \"note.read\", \"kind\": \"mail.send\"}",
        "[1, 2]",
        "{\"kind\": \"note.read\", \"subject\": \"alice\", \"session\": \"new\", \"objective\": \"o\", \"arguments\": {\"name\": 3}}",
        "{\"session\": {\"subject\": \"alice\"}}",
        "{\"session\": {\"token\": \"a.b.c\"}}",
        "{\"decide\": {\"request\": \"r\", \"session\": \"none\", \"by\": \"none\", \"grant\": true}}",
        &long,
        "",
        "{\"kind\": \"note.read\", \"subject\": \"alice\", \"session\": \"new\", \"objective\": \"Read list.\", \"arguments\": {\"name\": \"list\"}}",
    ]
    .join("\n");
    let args = ["route", "-", "--policy", "s/policy", "--memory", "--format", "json"];
    let run = place.run_with(&args, &input).code(0);
    let summary = summary(&run.out);
    assert_eq!(summary["verdicts"]["deny"], 8);
    assert_eq!(summary["verdicts"]["allow"], 1);
    let bad = summary["bad"].as_array().unwrap();
    let said: Vec<String> =
        bad.iter().map(|b| format!("{}: {}", b["place"], b["why"]).replace('"', "")).collect();
    for (line, part) in [
        (0, "standard input:1: intent.malformed: expected JSON"),
        (1, "standard input:2: intent.malformed: expected each name once, found `kind` again"),
        (2, "standard input:3: intent.malformed: expected an object in the submission, found"),
        (3, "standard input:4: intent.schema: expected a value of type `string` at `/name`"),
        (4, "standard input:5: identity.unverified: expected `id` and `subject`"),
        (5, "standard input:6: identity.unverified: expected no token, as the policy folder"),
        (6, "standard input:7: identity.unverified: "),
        (7, "standard input:8: intent.limit: "),
    ] {
        assert!(said[line].starts_with(part), "{part}\n{}", said[line]);
    }
}

#[test]
fn input_that_an_agent_writes_cannot_speak_for_the_host() {
    let place = Place::with_starter();
    let input = "{\"session\": {\"id\": \"x\", \"subject\": \"alice\"}}\n";
    let args = ["route", "-", "--policy", "s/policy", "--memory", "--calls-only", "-v"];
    let run = place.run_with(&args, input).code(0);
    assert!(
        run.out.contains("`--calls-only` refuses lines that speak for the host"),
        "{}",
        run.out
    );
}

#[test]
fn an_mcp_call_is_judged_by_the_users_words() {
    let place = Place::with_starter();
    let call = |to: &str| {
        format!(
            "{{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"tools/call\",\"params\":{{\"name\":\"mail.send\",\"arguments\":{{\"to\":\"{to}\",\"text\":\"hi\"}},\"_meta\":{{\"prospera/session\":\"m\",\"prospera/subject\":\"alice\"}}}}}}"
        )
    };
    let user = "{\"user\": {\"session\": \"m\", \"text\": \"Greet bob@example.org.\"}}";
    let input = [user, &call("bob@example.org"), &call("eve@example.org")].join("\n");
    let args = ["route", "-", "--policy", "s/policy", "--memory", "--format", "json"];
    let run = place.run_with(&args, &input).code(0);
    let verdicts: Vec<_> = lines(&run.out).iter().map(|line| line["verdict"].clone()).collect();
    assert_eq!(verdicts[1..3], [json!("allow"), json!("step up")], "{}", run.out);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let place = Place::with_starter();
    let program = env!("CARGO_BIN_EXE_prospera");
    let script = format!("'{program}' route s --memory --format json | head -c 1 >/dev/null");
    let mut shell = std::process::Command::new("sh");
    let done = shell.arg("-c").arg(script).current_dir(place.path("")).output().unwrap();
    assert!(done.stderr.is_empty(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[test]
fn completions_are_written_for_each_shell() {
    let place = Place::new();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = place.run(&["completions", shell]).code(0);
        assert!(script.out.contains("prospera") && script.out.contains("approve"), "{shell}");
    }
}
