//! `backup` and `compact`, and reading what is published.

use std::fs;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use prospera::id::Subsystem;
use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
use prospera::ssot::redb::publish::{Publisher, Schedule, request};
use prospera::ssot::redb::{Options, RedbStore};
use prospera::ssot::store::{Batch, Store as _};
use prospera::time::Timestamp;

use crate::support::Place;

fn fill(store: &RedbStore, batches: u64) {
    let stream = |number| {
        let name = format!("s{number}").parse().unwrap();
        StreamId::new(StreamKind::Memory, name)
    };
    for number in 0..batches {
        let stream = stream(number % 50);
        let head: Head = store.head(&stream).unwrap();
        let draft = Draft::new(stream.clone(), RecordKind::Fact, Subsystem::Memory, vec![1; 400]);
        let batch = Batch::new(Timestamp::from_millis(number)).expect(stream, head).append(draft);
        store.append(&batch).unwrap();
    }
}

#[test]
fn a_backup_is_copied_and_verified() {
    let place = Place::with_starter();
    place.run(&["route", "s"]).code(0);
    let made = place.run(&["backup", "s/out/prospera.redb", "copy.redb"]).code(0);
    assert!(made.out.starts_with("copy.redb: 11 records in 5 streams, "), "{}", made.out);
    let verified = |store| place.run(&["verify", store]).code(0).out;
    let [one, two] = [verified("s/out/prospera.redb"), verified("copy.redb")];
    assert_eq!(one.split_once(": ").unwrap().1, two.split_once(": ").unwrap().1);
    assert!(made.out.contains("verified, last record"), "{}", made.out);
    // The backup is a store: it is shown, exported and continued like the other.
    place.run(&["export", "copy.redb", "streams"]).code(0);
    place.run(&["audience", "copy.redb"]).code(0);
    place.run(&["route", "s", "--store", "copy.redb"]).code(0);
    let again = place.run(&["backup", "s/out/prospera.redb", "copy.redb"]).code(2);
    assert_eq!(
        again.err,
        "error: expected nothing at `copy.redb`, found a file: nothing is overwritten\n"
    );
    let none = place.run(&["backup", "none.redb", "x.redb"]).code(2);
    assert!(none.err.starts_with("error: expected a store at `none.redb`, found nothing\n"));
    assert!(!place.path("x.redb").exists());
}

#[test]
fn a_store_that_a_crash_left_open_is_closed_and_copied() {
    let place = Place::new();
    let (live, left) = (place.path("live.redb"), place.path("left.redb"));
    let store = RedbStore::create(&live).unwrap();
    fill(&store, 5);
    // What a killed process would leave here and now.
    for end in ["", ".journal-0", ".holder"] {
        let of = |name: &std::path::Path| format!("{}{end}", name.display());
        fs::copy(of(&live), of(&left)).unwrap();
    }
    let refused = place.run(&["verify", "left.redb"]).code(2);
    let expected = "error: `left.redb` was not closed, open it for writing to repair it\n";
    assert!(refused.err.starts_with(expected), "{}", refused.err);
    let made = place.run(&["backup", "left.redb", "copy.redb"]).code(0);
    assert!(made.out.starts_with("copy.redb: 5 records in 5 streams, "), "{}", made.out);
    assert_eq!(made.err, "left.redb: was not closed, and is now\n");
}

#[test]
fn a_store_in_use_names_its_holder_and_its_backups_are_read() {
    let place = Place::new();
    let store = Arc::new(RedbStore::create(place.path("live.redb")).unwrap());
    fill(&store, 9);
    for command in
        [&["verify", "live.redb"][..], &["backup", "live.redb", "x"], &["compact", "live.redb"]]
    {
        let refused = place.run(command).code(2);
        let process = format!(", process {}, since 20", std::process::id());
        assert!(refused.err.starts_with("error: the store `live.redb` is in use by `cli-"));
        assert!(refused.err.contains(&process), "{}", refused.err);
        assert!(refused.err.contains("help: one process writes a store at a time"));
    }
    let public = place.path("public");
    fs::create_dir(&public).unwrap();
    let empty = place.run(&["verify", "public"]).code(2);
    assert!(empty.err.contains("expected a store at `public`, found a folder"), "{}", empty.err);
    let publisher = Publisher::start(Arc::clone(&store), &public, Schedule::ON_REQUEST).unwrap();
    publisher.publish().unwrap();
    fill(&store, 3);
    publisher.publish().unwrap();
    let verified = place.run(&["verify", "public"]).code(0);
    assert!(verified.out.starts_with("public: sound, 12 records in 9 streams"), "{}", verified.out);
    place.run(&["export", "public", "streams"]).code(0);
}

#[test]
fn compact_says_both_sizes() {
    let place = Place::new();
    let path = place.path("log.redb");
    fill(&RedbStore::create_with(&path, &Options::new().journal_bytes(20_000)).unwrap(), 2000);
    let verified = place.run(&["verify", "log.redb"]).code(0).out;
    let before = fs::metadata(&path).unwrap().len();
    let run = place.run(&["compact", "log.redb"]).code(0);
    assert!(run.out.starts_with("log.redb: ") && run.out.ends_with(" now\n"), "{}", run.out);
    assert!(fs::metadata(&path).unwrap().len() < before, "{}", run.out);
    assert_eq!(place.run(&["verify", "log.redb"]).code(0).out, verified);
    assert!(place.run(&["compact", "none.redb"]).code(2).err.contains("found nothing"));
}

#[test]
fn a_route_that_goes_on_is_audited_meanwhile() {
    let place = Place::with_starter();
    let mut service = Command::new(env!("CARGO_BIN_EXE_prospera"))
        .args(["route", "-", "--policy", "s/policy", "--store", "log.redb", "--publish", "public"])
        .current_dir(place.path("."))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = service.stdin.take().unwrap();
    let intents = fs::read(place.path("s/intents.jsonl")).unwrap();
    let public = place.path("public");
    while !public.is_dir() {
        std::thread::sleep(Duration::from_millis(20));
    }
    let mut last = 0;
    for _ in 0..2 {
        lines.write_all(&intents).unwrap();
        lines.flush().unwrap();
        // What was written may be routed a little later than it is asked for.
        let records = loop {
            assert!(request(&public).unwrap().wait(Duration::from_secs(60)).unwrap());
            let run = place.run(&["verify", "public"]).code(0);
            let (_, rest) = run.out.split_once("sound, ").unwrap();
            let records: u64 = rest.split_once(' ').unwrap().0.parse().unwrap();
            if records > last {
                break records;
            }
        };
        let refused = place.run(&["verify", "log.redb"]).code(2);
        let holder = format!("in use by `prospera`, process {}, since 20", service.id());
        assert!(refused.err.contains(&holder), "{}", refused.err);
        last = records;
    }
    drop(lines);
    assert!(service.wait().unwrap().success());
    let [live, published] =
        ["log.redb", "public"].map(|name| place.run(&["verify", name]).code(0).out);
    assert_eq!(live.split_once(": ").unwrap().1, published.split_once(": ").unwrap().1);
}
