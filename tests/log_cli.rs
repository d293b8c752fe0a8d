//! `prospera log` from end to end, with the built program.
#![cfg(feature = "cli")]
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking")]

use std::fs;

#[path = "cli/support.rs"]
#[expect(dead_code, reason = "it belongs to the tests of the command line")]
mod support;

use support::{Place, example};

/// A store with the office's Monday, and a log key.
fn office() -> Place {
    let place = Place::new();
    place.run(&["route", &example("office"), "--store", "o.redb"]).code(0);
    place.run(&["log", "key", "log.key", "--name", "example.com/office"]).code(0);
    place
}

const EXPORT: [&str; 7] = ["log", "export", "o.redb", "--tiles", "www", "--key", "log.key"];
const VERIFY: [&str; 5] = ["log", "verify", "www", "--key", "log.key.pub"];

fn with<'a>(args: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [args, more].concat()
}

#[test]
fn a_log_is_published_verified_and_read_back() {
    let place = office();
    let exported = place.run(&EXPORT).code(0).out;
    assert!(exported.contains("records of `example.com/office/shard/0`"), "{exported}");
    let seen = with(&VERIFY, &["--remember", "seen"]);
    let first = place.run(&seen).code(0).out;
    assert!(first.contains("www: sound, "), "{first}");
    assert!(first.contains("signed by example.com/office/shard/0"), "{first}");
    assert!(first.contains("payloads are those of their digests"), "{first}");
    assert!(!first.contains("\n0 payloads"), "{first}");
    let again = place.run(&seen).code(0).out;
    assert!(again.contains("it is what was remembered"), "{again}");

    // Nothing new: the checkpoint alone is written again, and is the same.
    let before = fs::read(place.path("www/checkpoint")).unwrap();
    place.run(&EXPORT).code(0);
    assert_eq!(fs::read(place.path("www/checkpoint")).unwrap(), before);
    let starter = example("office");
    place.run(&["route", &starter, "--store", "o.redb"]).code(0);
    place.run(&EXPORT).code(0);
    let grown = place.run(&seen).code(0).out;
    assert!(grown.contains("it continues the "), "{grown}");

    let import = ["log", "import", "www", "copy.redb", "--key", "log.key.pub"];
    place.run(&import).code(0);
    place.run(&["verify", "copy.redb"]).code(0);
    // With the policies it was decided under: what was read back can be derived again.
    let derived = place.run(&["matrix", "copy.redb", "--replay"]).code(0).out;
    assert!(derived.starts_with("SSOT Integrity Matrix v1.0: SOUND"), "{derived}");
    assert!(derived.trim_end().ends_with(" the same, 0 differ, 0 not replayable"), "{derived}");
    let args = ["log", "export", "copy.redb", "--tiles", "again", "--key", "log.key"];
    place.run(&args).code(0);
    for name in ["checkpoint", "tile/0/000", "records/000", "payloads/000"] {
        let (one, two) = (place.path("www").join(name), place.path("again").join(name));
        let (one, two) = if one.is_file() { (one, two) } else { continue };
        assert_eq!(fs::read(one).unwrap(), fs::read(two).unwrap(), "{name}");
    }
    let refused = place.run(&import).code(2);
    assert!(refused.err.starts_with("error: "), "{}", refused.err);
}

/// A salted payload is held against what its digest commits to, not against its own hash.
#[test]
fn a_salted_log_is_published_and_read_back() {
    let place = Place::new();
    place.run(&["route", &example("office"), "--store", "o.redb", "--salted"]).code(0);
    place.run(&["log", "key", "log.key", "--name", "example.com/office"]).code(0);
    place.run(&EXPORT).code(0);
    let sound = place.run(&VERIFY).code(0).out;
    assert!(sound.contains("payloads are those of their digests"), "{sound}");
    place.run(&["log", "import", "www", "copy.redb", "--key", "log.key.pub"]).code(0);
    let copy = place.run(&["verify", "copy.redb"]).code(0).out;
    assert!(copy.contains("payloads are those the evidence names"), "{copy}");
    let folder = place.path("www/payloads");
    let bundle = walk(&folder);
    let mut bytes = fs::read(&bundle).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&bundle, bytes).unwrap();
    let caught = place.run(&VERIFY).code(1);
    assert!(caught.out.contains("a payload of record "), "{}{}", caught.out, caught.err);
}

/// The first file under a folder.
fn walk(folder: &std::path::Path) -> std::path::PathBuf {
    let entry = fs::read_dir(folder).unwrap().next().unwrap().unwrap().path();
    if entry.is_dir() { walk(&entry) } else { entry }
}

#[test]
fn what_a_log_is_caught_at_is_said() {
    let place = office();
    place.run(&EXPORT).code(0);
    let seen = with(&VERIFY, &["--remember", "seen"]);
    place.run(&seen).code(0);
    // One bit of one record.
    let folder = place.path("www/records/000.p");
    let bundle = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let whole = fs::read(&bundle).unwrap();
    let mut flipped = whole.clone();
    flipped[100] ^= 1;
    fs::write(&bundle, flipped).unwrap();
    let caught = place.run(&seen).code(1).out;
    assert!(caught.contains("www: NOT sound\naltered: record 0 was altered"), "{caught}");
    place.run(&["log", "import", "www", "x.redb", "--key", "log.key.pub"]).code(1);
    assert!(!place.path("x.redb").exists(), "nothing is left behind");
    fs::write(&bundle, whole).unwrap();
    place.run(&seen).code(0);
    // Another log under the same key, of another size.
    place.run(&["route", &example("office"), "--store", "p.redb", "--limit", "5"]).code(0);
    let args = ["log", "export", "p.redb", "--tiles", "www2", "--key", "log.key"];
    place.run(&args).code(0);
    let args = ["log", "verify", "www2", "--key", "log.key.pub", "--remember", "seen"];
    let caught = place.run(&args).code(1).out;
    assert!(caught.contains("older-copy: "), "{caught}");
    let args = ["log", "export", "p.redb", "--tiles", "www", "--key", "log.key"];
    let caught = place.run(&args).code(1).out;
    assert!(caught.contains("p.redb: NOT sound\nolder-copy: "), "{caught}");
    fs::remove_dir_all(place.path("www")).unwrap();
    let caught = place.run(&seen).code(1).out;
    assert!(caught.contains("deleted: the log was deleted"), "{caught}");
    let nothing = place.run(&VERIFY).code(2);
    assert!(nothing.err.contains("expected a log with a checkpoint in `www`"), "{}", nothing.err);
}

#[test]
fn a_store_is_held_against_a_checkpoint() {
    let place = office();
    let sign = ["log", "checkpoint", "o.redb", "--key", "log.key", "--remember", "mine"];
    let note = place.run(&sign).code(0).out;
    place.write("note", &note);
    let verify = [
        "log",
        "verify",
        "o.redb",
        "--key",
        "log.key.pub",
        "--checkpoint",
        "note",
        "--remember",
        "seen",
    ];
    let sound = place.run(&verify).code(0).out;
    assert!(sound.contains("that were signed for, and 0 more"), "{sound}");
    let proof = place.run(&["log", "prove", "o.redb", "3", "--checkpoint", "note"]).code(0).out;
    assert!(proof.starts_with("c2sp.org/tlog-proof@v1\nindex 3\n"), "{proof}");
    assert!(proof.ends_with(&note), "{proof}");
    // Another store in its place: shorter, and signed for before.
    place.run(&["route", &example("office"), "--store", "p.redb", "--limit", "5"]).code(0);
    fs::copy(place.path("p.redb"), place.path("o.redb")).unwrap();
    let caught = place.run(&verify).code(1).out;
    assert!(caught.contains("older-copy: "), "{caught}");
    let caught = place.run(&sign).code(1).out;
    assert!(caught.contains("older-copy: "), "what was signed before is not taken back: {caught}");
    let args = ["log", "verify", "o.redb", "--key", "log.key.pub"];
    assert!(place.run(&args).code(2).err.contains("help: `--checkpoint FILE`"));
}

#[test]
fn two_of_three_witnesses_cosign() {
    let place = office();
    place.run(&EXPORT).code(0);
    let mut policy = String::new();
    for (n, more) in [(1, None), (2, None), (3, Some("--ml-dsa"))] {
        let (file, name) = (format!("w{n}.key"), format!("w{n}.example"));
        let args = ["log", "key", &file, "--name", &name, "--witness"];
        let key = place.run(&with(&args, more.as_slice())).code(0).out;
        policy = policy + "witness w" + &n.to_string() + " " + &key;
    }
    place.write("policy", &(policy + "group g 2 w1 w2 w3\nquorum g\n"));
    let verify = with(&VERIFY, &["--witnesses", "policy"]);
    let caught = place.run(&verify).code(1).out;
    assert!(caught.contains("checkpoint: the checkpoint is refused"), "{caught}");
    let cosign = |n: u32, old: u64, log: &str| {
        let request = place.run(&["log", "consistency", log, &old.to_string()]).code(0).out;
        let (key, state) = (format!("w{n}.key"), format!("w{n}.state"));
        let args = ["log", "witness", "--key", &key, "--log", "log.key.pub", "--state", &state];
        place.run_with(&args, &request)
    };
    let mut note = fs::read_to_string(place.path("www/checkpoint")).unwrap();
    note += &cosign(1, 0, "www").code(0).out;
    place.write("www/checkpoint", &note);
    place.run(&verify).code(1);
    note += &cosign(3, 0, "www").code(0).out;
    place.write("www/checkpoint", &note);
    let sound = place.run(&verify).code(0).out;
    assert!(
        sound.contains("cosigned by w1.example at ") && sound.contains("cosigned by w3"),
        "{sound}"
    );
    // An export without anything new keeps the cosignatures.
    place.run(&EXPORT).code(0);
    place.run(&verify).code(0);
    // What was cosigned is not taken back, and another log is not cosigned.
    let size: u64 = note.lines().nth(1).unwrap().parse().unwrap();
    assert!(cosign(1, size, "www").code(0).out.starts_with("— w1.example "));
    assert!(cosign(1, 0, "www").code(1).out.starts_with("refused (409): "));
    place.run(&["route", &example("office"), "--store", "p.redb", "--limit", "9"]).code(0);
    place.run(&["route", &example("office"), "--store", "p.redb"]).code(0);
    let args = ["log", "export", "p.redb", "--tiles", "www2", "--key", "log.key"];
    place.run(&args).code(0);
    assert!(cosign(1, size, "www2").code(1).out.starts_with("refused (422): "));
}

#[test]
fn keys_are_secret_and_never_overwritten() {
    let place = Place::new();
    let make = ["log", "key", "a.key", "--name", "example.com/a", "--shard", "7"];
    let public = place.run(&make).code(0).out;
    assert!(public.starts_with("example.com/a/shard/7+"), "{public}");
    assert_eq!(fs::read_to_string(place.path("a.key.pub")).unwrap(), public);
    let secret = fs::read_to_string(place.path("a.key")).unwrap();
    assert!(secret.starts_with("PRIVATE+KEY+example.com/a/shard/7+"));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        let mode = fs::metadata(place.path("a.key")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = place.run(&make).code(2);
    assert!(again.err.contains("`a.key` cannot be written"), "{}", again.err);
    assert_eq!(fs::read_to_string(place.path("a.key")).unwrap(), secret);
    // No message repeats a key, whatever it is taken for.
    // Base64 has plus signs of its own.
    let digits = secret.trim().splitn(5, '+').nth(4).unwrap().to_owned();
    place.run(&["route", &example("office"), "--store", "o.redb", "--limit", "2"]).code(0);
    place.write("broken.key", &secret.replace("PRIVATE", "PRIVAT"));
    for args in [
        vec!["log", "checkpoint", "o.redb", "--key", "broken.key"],
        vec!["log", "verify", "o.redb", "--key", "a.key"],
        vec!["log", "verify", "o.redb", "--key", secret.trim()],
        vec!["log", "witness", "a.key", "--key", "a.key", "--log", "a.key", "--state", "s"],
    ] {
        let run = place.run(&args).code(2);
        for part in [&digits[..20], &digits[20..]] {
            assert!(!run.out.contains(part) && !run.err.contains(part), "{args:?}");
        }
    }
    let witness = ["log", "key", "w.key", "--name", "w.example", "--witness"];
    place.run(&witness).code(0);
    let refused = place.run(&["log", "checkpoint", "o.redb", "--key", "w.key"]).code(2);
    assert!(refused.err.contains("expected the first key to be a log's"), "{}", refused.err);
}
