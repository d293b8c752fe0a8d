//! Every error a user is likely to meet, word for word.

use prospera::ssot::redb::RedbStore;
use prospera::ssot::store::Store as _;

use crate::support::{Place, example};

#[test]
fn a_missing_place_says_what_was_expected_there() {
    let place = Place::with_starter();
    for (args, expected) in [
        (
            &["route", "nowhere"][..],
            "error: expected a scenario folder or a file of JSON lines at `nowhere`, found nothing\nhelp: `--policy DIR` names the policy folder; `prospera init DIR` writes one\n",
        ),
        (
            &["route", "nowhere.jsonl", "--policy", "s/policy", "--memory"],
            "error: expected a file of JSON lines at `nowhere.jsonl`: No such file or directory (os error 2)\n",
        ),
        (
            &["route", "s/intents.jsonl"],
            "error: the lines of `s/intents.jsonl` need a policy folder\nhelp: `--policy DIR` names the policy folder; `prospera init DIR` writes one\n",
        ),
        (
            &["route", "-", "--policy", "none", "--memory"],
            "error: expected a policy folder at `none`, found nothing\n",
        ),
        (
            &["route", "-", "--policy", "s/scenario.toml", "--memory"],
            "error: expected a policy folder at `s/scenario.toml`, found a file\n",
        ),
        (
            &["verify", "none.redb"],
            "error: expected a store at `none.redb`, found nothing\nhelp: `prospera route` writes one; in a scenario folder it stands at `out/prospera.redb`\n",
        ),
        (
            &["table", "check", "none.toml"],
            "error: expected a Routing Table at `none.toml`: No such file or directory (os error 2)\n",
        ),
    ] {
        assert_eq!(place.run(args).code(2).err, expected, "{args:?}");
    }
}

#[test]
fn a_mistyped_command_is_told_the_nearest() {
    let run = Place::new().run(&["verfy", "x"]).code(2);
    assert!(run.err.contains("a similar subcommand exists: 'verify'"), "{}", run.err);
    let run = Place::new().run(&["route", "--memroy"]).code(2);
    assert!(run.err.contains("a similar argument exists: '--memory'"), "{}", run.err);
}

/// What is wrong with a policy folder is said with file, line and column.
#[test]
fn policy_errors_point_at_their_place() {
    for (file, from, to, expected) in [
        (
            "governance.toml",
            "effect = \"allow\"",
            "effect = \"permit\"",
            "s/policy/governance.toml:8:10: unknown variant `permit`, expected one of `allow`, `modify`, `step-up`, `defer`, `deny` (in `effect`)",
        ),
        (
            "governance.toml",
            "kinds = [\"note.read\"]",
            "kinds = [\"note.raed\"]",
            "s/policy/governance.toml:9:10: rule `read-notes`: no intent kind `note.raed` in the catalogue; nearest: `note.read`",
        ),
        (
            "table.toml",
            "kinds = [\"mail.send\"]",
            "kinds = [\"mail.sned\"]",
            "s/policy/table.toml:25:10: row `mail`: no intent kind `mail.sned` in the catalogue; nearest: `mail.send`\nerror: s/policy/catalogue.toml:20:8: no row of table.toml matches kind `mail.send`",
        ),
        (
            "modules.toml",
            "intents = [\"mail.send\"]",
            "intents = [\"note.read\"]",
            "s/policy/modules.toml:21:12: module `mail`: kind `note.read` allows a tier of observe or below, the module's is act\nerror: s/policy/table.toml:25:10: row `mail`: branch `outbox` runs module `mail`, whose contract does not serve kind `mail.send`",
        ),
        (
            "modules.toml",
            "id = \"mail\"",
            "id = \"post\"",
            "s/policy/table.toml:27:12: row `mail`: no module `mail` in modules.toml",
        ),
        (
            "table.toml",
            "id = \"mail\"\nkinds = [\"mail.send\"]",
            "id = \"mail\"\nkinds = [\"note.read\"]",
            "s/policy/table.toml:23:1: rows `mail` and `notes` both match kind `note.read`, any objective, flags none",
        ),
        (
            "identity.toml",
            "roles = [\"assistant\"]",
            "roles = [\"asistant\"]",
            "s/policy/identity.toml:15:10: expected a role of `[roles]`, found `asistant` (in `roles`)",
        ),
        (
            "router.toml",
            "version = \"1\"",
            "version = \"2\"",
            "s/policy/router.toml:2:11: expected version `1`, found `2` (in `version`)",
        ),
        (
            "matrix.toml",
            "version = \"1.2\"",
            "version = \"1.1\"",
            "s/policy/matrix.toml:9:11: expected version `1.2`, found `1.1`",
        ),
    ] {
        let place = Place::with_starter();
        place.edit(&format!("s/policy/{file}"), from, to);
        let run = place.run(&["policy", "check", "s/policy"]).code(2);
        assert_eq!(run.err, format!("error: {expected}\n"), "{file}: {to}");
        let route = place.run(&["route", "s", "--memory"]).code(2);
        assert_eq!(route.err, run.err, "the router refuses what the check refuses");
    }
}

#[test]
fn a_file_without_meaning_or_without_a_name_is_refused() {
    let place = Place::with_starter();
    std::fs::rename(place.path("s/policy/router.toml"), place.path("s/policy/ruoter.toml"))
        .unwrap();
    let run = place.run(&["policy", "check", "s/policy"]).code(2);
    let expected =
        "error: `s/policy/ruoter.toml` has no meaning in a policy folder; nearest: `router.toml`\n";
    assert_eq!(run.err, expected);
    std::fs::remove_file(place.path("s/policy/ruoter.toml")).unwrap();
    std::fs::remove_file(place.path("s/policy/table.toml")).unwrap();
    let run = place.run(&["policy", "check", "s/policy"]).code(2);
    let expected =
        "error: expected `s/policy/table.toml` (the Routing Table), found no such file\n";
    assert_eq!(run.err, expected);
}

#[test]
fn a_changed_policy_must_be_adopted() {
    let place = Place::with_starter();
    place.run(&["route", "s"]).code(0);
    place.edit("s/policy/governance.toml", "timeout_seconds = 900", "timeout_seconds = 60");
    let run = place.run(&["route", "s"]).code(2);
    let expected = "error: the policy set changed (governance), and nobody adopted it\nhelp: `--adopt WHO` puts the folder's policy into force, and records who did\n";
    assert!(run.err.ends_with(expected), "{}", run.err);
    place.run(&["route", "s", "--adopt", "carol"]).code(0);
    place.run(&["route", "s"]).code(0);
    place.run(&["verify", "s/out/prospera.redb"]).code(0);
}

#[test]
fn a_second_writer_is_told_so() {
    let place = Place::with_starter();
    let held = RedbStore::create(place.path("x.redb")).unwrap();
    let run = place.run(&["route", "s", "--store", "x.redb"]).code(2);
    let (error, advice) = run.err.split_once('\n').unwrap();
    let program = std::env::current_exe().unwrap();
    let program = program.file_name().unwrap().to_str().unwrap();
    let number = std::process::id();
    let said =
        format!("error: the store `x.redb` is in use by `{program}`, process {number}, since 20");
    assert!(error.starts_with(&said), "{error}");
    assert_eq!(
        advice,
        "help: one process writes a store at a time: wait until it is done, or read a backup that it publishes\n"
    );
    drop(held);
    place.run(&["route", "s", "--store", "x.redb"]).code(0);
}

#[test]
fn what_is_no_store_is_left_alone() {
    let place = Place::with_starter();
    place.write("notes.txt", "not a store");
    let run = place.run(&["route", "s", "--store", "notes.txt"]).code(2);
    assert!(run.err.starts_with("error: "), "{}", run.err);
    assert_eq!(std::fs::read_to_string(place.path("notes.txt")).unwrap(), "not a store");
}

/// One flipped bit anywhere in a record is found, and the record named.
#[test]
fn a_flipped_bit_is_named_by_verify() {
    let place = Place::new();
    place.run(&["route", &example("office"), "--store", "o.redb"]).code(0);
    let path = place.path("o.redb");
    let (index, record) = {
        let store = RedbStore::open_read_only(&path).unwrap();
        let index = store.len().unwrap() / 2;
        (index, store.read(index, 1).unwrap()[0].bytes.to_vec())
    };
    let mut file = std::fs::read(&path).unwrap();
    let places: Vec<usize> = file
        .windows(record.len())
        .enumerate()
        .filter(|(_, window)| *window == record)
        .map(|(at, _)| at)
        .collect();
    assert!(!places.is_empty(), "the record stands in the file as it is");
    for at in places {
        file[at + record.len() / 2] ^= 4;
    }
    std::fs::write(&path, file).unwrap();
    let run = place.run(&["verify", "o.redb"]).code(1);
    assert!(run.out.contains("o.redb: NOT sound"), "{}", run.out);
    let fault = format!("first fault: record {index}: expected digest ");
    assert!(run.out.contains(&fault), "{fault}\n{}", run.out);
}

#[test]
fn what_is_not_in_the_log_is_said_to_be_missing() {
    let place = Place::with_starter();
    place.run(&["route", "s"]).code(0);
    let store = "s/out/prospera.redb";
    let run = place.run(&["show", store, "r-99"]).code(2);
    assert!(run.err.starts_with("error: the log has no route `r-99`, it has 4 routes\n"));
    let run = place.run(&["audience", store, "alcie"]).code(2);
    assert_eq!(run.err, "error: the log has no subject `alcie`\nhelp: nearest: `alice`\n");
    let settle = ["settle", store, "tuesday", "--policy", "s/policy"];
    let run = place.run(&settle).code(2);
    assert_eq!(run.err, "error: the log has no session `tuesday`\n");
    let approve = ["approve", store, "r-2", "--policy", "s/policy", "--as", "carol", "--grant"];
    let run = place.run(&approve).code(2);
    assert_eq!(run.err, "error: the route asks for no approval\n");
}

#[test]
fn no_message_shows_the_insides() {
    let place = Place::with_starter();
    for args in [
        &["route", "s/intents.jsonl"][..],
        &["verify", "s/scenario.toml"],
        &["show", "s/scenario.toml", "r-1"],
        &["policy", "check", "s"],
        &["approve", "s/scenario.toml", "x", "--policy", "s/policy", "--as", "x", "--grant"],
    ] {
        let run = place.run(args).code(2);
        for inside in ["Error", "Some(", "None", "unwrap", "panicked", "::", "{ "] {
            assert!(!run.err.contains(inside), "{inside} in {}", run.err);
        }
    }
}
