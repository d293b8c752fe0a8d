//! `prospera matrix` from end to end, with the built program.
#![cfg(feature = "cli")]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "helpers of tests: a failure here is a failure of the test"
)]

#[path = "cli/support.rs"]
#[expect(dead_code, reason = "shared with the other tests of the command line")]
mod support;

use prospera::encode::Decode as _;
use prospera::ssot::matrix::Matrix;
use support::{Place, example, summary};

/// PLAN-8.5: a scenario's log is sound by every check, and a second look reads what is new.
#[test]
fn a_scenarios_log_is_sound_and_checked_again_at_the_cost_of_what_is_new() {
    let place = Place::new();
    let office = example("office");
    let route = ["route", &office, "--store", "o.redb", "--format", "json"];
    let ran = summary(&place.run(&route).code(0).out);
    assert!(ran["verdicts"]["allow"].as_u64() > Some(0));
    let args = ["matrix", "o.redb", "--state", "m.state", "--now", "1800000000000"];
    let first = place.run(&args).code(0);
    assert!(first.out.starts_with("SSOT Integrity Matrix v1.0: SOUND\n"), "{}", first.out);
    assert!(!first.out.contains('\u{1b}'), "no colours where no terminal is");
    let last = first.out.lines().last().unwrap();
    let records: u64 = last.split(' ').next().unwrap().parse().unwrap();
    assert_eq!(last, format!("{records} new records checked, 0 were before; {records} read"));
    let again = place.run(&args).code(0);
    let expected = format!("0 new records checked, {records} were before; 1 read");
    assert_eq!(again.out.lines().last().unwrap(), expected);
    place.run(&route).code(0);
    let peek = place.run(&["matrix", "o.redb", "--state", "m.state", "--limit", "0"]).code(0);
    assert!(peek.out.contains(": STALE\n") && peek.out.contains("~ old"), "{}", peek.out);
    let grown = place.run(&args).code(0);
    assert!(grown.out.starts_with("SSOT Integrity Matrix v1.0: SOUND\n"), "{}", grown.out);
    let last = grown.out.lines().last().unwrap();
    assert!(last.ends_with(&format!("{records} were before; {} read", number(last) + 1)), "{last}");
}

/// What a walk leaves open for want of the rules, a replay from the kept policies answers.
#[test]
fn a_replay_is_laid_over_the_table() {
    let place = Place::new();
    let office = example("office");
    place.run(&["route", &office, "--store", "o.redb"]).code(0);
    let run = place.run(&["matrix", "o.redb", "--replay", "--now", "1800000000000"]).code(0);
    assert!(run.out.starts_with("SSOT Integrity Matrix v1.0: SOUND\n"), "{}", run.out);
    let last = run.out.lines().last().unwrap();
    let total = number(last);
    let expected =
        format!("{total} records derived again: {total} the same, 0 differ, 0 not replayable");
    assert_eq!(last, expected);
}

fn number(line: &str) -> u64 {
    line.split(' ').next().unwrap().parse().unwrap()
}

#[test]
fn json_page_and_canonical_bytes_say_the_same() {
    let place = Place::with_starter();
    place.run(&["route", "s"]).code(0);
    let store = "s/out/prospera.redb";
    let args = ["matrix", store, "--json", "m.json", "--html", "m.html", "--canonical", "m.bin"];
    let run = place.run(&[&args[..], &["--now", "1800000000000"]].concat()).code(0);
    let read = |name: &str| std::fs::read(place.path(name)).unwrap();
    let matrix = Matrix::from_canonical(&read("m.bin")).unwrap();
    let digest = matrix.digest().to_string();
    assert!(run.out.contains(&digest), "{}", run.out);
    let json: serde_json::Value = serde_json::from_slice(&read("m.json")).unwrap();
    assert_eq!((&json["digest"], &json["verdict"]), (&digest.clone().into(), &"sound".into()));
    let page = String::from_utf8(read("m.html")).unwrap();
    assert!(page.contains(&digest) && page.contains("<h1>prospera.redb</h1>"), "{page}");
    assert!(page.contains(concat!("prospera ", env!("CARGO_PKG_VERSION"))));
    assert!(!place.path("m.html.new").exists());
}

#[test]
fn a_log_that_is_not_the_one_that_was_checked_fails() {
    let place = Place::with_starter();
    place.run(&["route", "s"]).code(0);
    let store = "s/out/prospera.redb";
    std::fs::copy(place.path(store), place.path("old.redb")).unwrap();
    place.run(&["route", "s"]).code(0);
    place.run(&["matrix", store, "--state", "m.state"]).code(0);
    // An older copy in its place.
    let run = place.run(&["matrix", "old.redb", "--state", "m.state"]).code(1);
    assert!(run.out.starts_with("SSOT Integrity Matrix v1.0: UNSOUND\n"), "{}", run.out);
    assert!(run.out.contains("an older copy was put in its place"), "{}", run.out);
    assert!(run.out.contains("chain.rewritten"), "{}", run.out);
    assert!(run.out.ends_with("records checked again\n"), "{}", run.out);
}

#[test]
fn a_remembered_tree_head_is_held_against_the_log() {
    let place = Place::with_starter();
    place.run(&["route", "s"]).code(0);
    let store = "s/out/prospera.redb";
    let root = place.run(&["matrix", store]).code(0);
    let root = root.out.lines().find_map(|line| line.strip_prefix("tree root")).unwrap().trim();
    let run = place.run(&["matrix", store, "--checkpoint", &format!("11:{root}")]).code(0);
    assert!(run.out.contains("SOUND"), "{}", run.out);
    let wrong = place.run(&["matrix", store, "--checkpoint", &format!("10:{root}")]).code(1);
    assert!(wrong.out.contains("is not the one that was given"), "{}", wrong.out);
    let none = place.run(&["matrix", store, "--checkpoint", "eleven"]).code(2);
    assert!(none.err.contains("expected a size, a colon and a root"), "{}", none.err);
}

#[test]
fn what_cannot_be_used_is_said() {
    let place = Place::with_starter();
    place.run(&["route", "s"]).code(0);
    place.write("bad.state", "no state");
    let run = place.run(&["matrix", "s/out/prospera.redb", "--state", "bad.state"]).code(2);
    assert!(run.err.contains("error: `bad.state`: expected a state"), "{}", run.err);
    assert!(run.err.contains("help: remove the file to check from the start"), "{}", run.err);
    let run = place.run(&["matrix", "nothing.redb"]).code(2);
    assert!(run.err.contains("expected a store at `nothing.redb`"), "{}", run.err);
}
