//! `replay`, `whatif`, `policy list` and `policy export`, through the built program.

use serde_json::{Value, json};

use super::support::{Place, example};

/// The office's Monday, routed into `o.redb`.
fn office() -> Place {
    let place = Place::new();
    let office = example("office");
    place.run(&["route", &office, "--store", "o.redb"]).code(0);
    place
}

fn json(text: &str) -> Value {
    serde_json::from_str(text.lines().next().unwrap()).unwrap()
}

#[test]
fn the_office_replays_from_its_log_alone() {
    let place = office();
    let run = place.run(&["replay", "o.redb"]).code(0);
    assert!(run.out.starts_with("o.redb: the same, byte for byte\n"), "{}", run.out);
    assert!(
        run.out.contains("routes: 24 replayed, 24 the same, 0 differ, 0 not replayable"),
        "{}",
        run.out
    );
    assert!(run.out.contains("token tags were taken from the log"), "{}", run.out);
    assert!(run.err.is_empty(), "no bar but on a terminal: {}", run.err);
    let keyed = place.run(&["replay", "o.redb", "--seed", "office", "--strict"]).code(0);
    assert!(!keyed.out.contains("token tags"), "{}", keyed.out);
    let wrong = place.run(&["replay", "o.redb", "--seed", "another"]).code(1);
    assert!(wrong.out.contains("first difference: record"), "{}", wrong.out);
    let one = place.run(&["replay", "o.redb", "--threads", "1", "--format", "json"]).code(0);
    let many = place.run(&["replay", "o.redb", "--threads", "4", "--format", "json"]).code(0);
    assert_eq!(one.out, many.out);
    let report = json(&one.out);
    assert_eq!(
        report["kinds"]["evidence-block"],
        json!({"same": 24, "differ": 0, "not_replayable": 0})
    );
    let records = report["kinds"].as_object().unwrap().values();
    let all: u64 = records.map(|tally| tally["same"].as_u64().unwrap()).sum();
    let verified = place.run(&["verify", "o.redb"]).code(0);
    assert!(verified.out.contains(&format!("{all} records")), "{} {all}", verified.out);
}

#[test]
fn a_range_derives_what_stands_in_it() {
    let place = office();
    let args = ["replay", "o.redb", "--from", "20", "--to", "30", "--format", "json"];
    let report = json(&place.run(&args).code(0).out);
    let records = report["kinds"].as_object().unwrap().values();
    let all: u64 = records.map(|tally| tally["same"].as_u64().unwrap()).sum();
    assert_eq!((all, report["before"].as_u64().unwrap()), (10, 20), "{report}");
}

#[test]
fn a_second_run_that_takes_sessions_up_again_replays_too() {
    let place = Place::with_starter();
    place.run(&["route", "s", "--store", "s.redb"]).code(0);
    let line = std::fs::read_to_string(place.path("s/intents.jsonl")).unwrap();
    let calls: Vec<&str> = line.lines().filter(|l| !l.contains("\"session\": {")).collect();
    let calls = calls.join("\n");
    let _any = place.run_with(&["route", "-", "--policy", "s/policy", "--store", "s.redb"], &calls);
    let run = place.run(&["replay", "s.redb", "--strict"]).code(0);
    assert!(run.out.starts_with("s.redb: the same"), "{}", run.out);
}

#[test]
fn the_policy_of_a_log_can_be_listed_and_written_out() {
    let place = office();
    let list = place.run(&["policy", "list", "o.redb"]).code(0);
    assert!(list.out.contains("record 0, by operator, 8 files kept"), "{}", list.out);
    let digest = list.out.split_whitespace().next().unwrap().to_owned();
    place.run(&["policy", "export", "o.redb", &digest[..8], "kept"]).code(0);
    let written = std::fs::read(place.path("kept/table.toml")).unwrap();
    let original = std::path::Path::new(&example("office")).join("policy/table.toml");
    assert_eq!(written, std::fs::read(original).unwrap());
    let whatif = place.run(&["whatif", "o.redb", "--policy", "kept"]).code(0);
    assert!(
        whatif.out.starts_with("o.redb under `kept`: 0 of 24 routes would come to something else"),
        "{}",
        whatif.out
    );
    let again = place.run(&["policy", "export", "o.redb", &digest, "kept"]).code(2);
    assert!(again.err.contains("nothing is overwritten"), "{}", again.err);
    let none = place.run(&["policy", "export", "o.redb", "ffffffff", "other"]).code(2);
    assert!(none.err.contains("the log has no policy version `ffffffff`"), "{}", none.err);
}

#[test]
fn what_if_tells_each_change_and_writes_nothing() {
    let place = office();
    let list = place.run(&["policy", "list", "o.redb"]).code(0);
    let digest = list.out.split_whitespace().next().unwrap().to_owned();
    place.run(&["policy", "export", "o.redb", &digest, "strict"]).code(0);
    // The matrix blocks whatever it lets pass today.
    let matrix = std::fs::read_to_string(place.path("strict/matrix.toml")).unwrap();
    let blocks = ["\"allow\"", "\"limit\"", "\"step-up\""]
        .iter()
        .fold(matrix, |matrix, cell| matrix.replace(cell, "\"block\""));
    place.write("strict/matrix.toml", &blocks);
    let before = std::fs::read(place.path("o.redb")).unwrap();
    let run = place.run(&["whatif", "o.redb", "--policy", "strict", "--limit", "2"]).code(0);
    assert!(run.out.contains("nothing was written"), "{}", run.out);
    assert!(run.out.contains("  was    allow at Governance"), "{}", run.out);
    assert!(run.out.contains("  would  deny at "), "{}", run.out);
    assert!(run.out.contains("allow → deny"), "{}", run.out);
    assert!(run.out.contains("more changes"), "{}", run.out);
    assert_eq!(std::fs::read(place.path("o.redb")).unwrap(), before);
    let one = place.run(&[
        "whatif",
        "o.redb",
        "--policy",
        "strict",
        "--format",
        "json",
        "--threads",
        "1",
    ]);
    let all = place.run(&["whatif", "o.redb", "--policy", "strict", "--format", "json"]);
    assert_eq!(one.code(0).out, all.code(0).out);
}

#[test]
fn what_is_no_store_and_no_folder_is_told() {
    let place = office();
    let none = place.run(&["replay", "nowhere.redb"]).code(2);
    assert!(none.err.contains("expected a store at `nowhere.redb`, found nothing"), "{}", none.err);
    let none = place.run(&["whatif", "o.redb", "--policy", "nowhere"]).code(2);
    assert!(none.err.contains("nowhere"), "{}", none.err);
    let help = place.run(&["replay", "--help"]).code(0);
    assert!(help.out.contains("prospera replay log.redb --from 1000"), "{}", help.out);
}
