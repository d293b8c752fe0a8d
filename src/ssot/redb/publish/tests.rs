//! The folder's rules; two processes are tried in `tests/ssot_audit.rs`.

use super::*;
use crate::id::Subsystem;
use crate::ssot::record::{Draft, RecordKind, StreamId, StreamKind};
use crate::ssot::store::Batch;
use crate::time::Timestamp;

fn append(store: &RedbStore, body: &[u8]) {
    let stream = StreamId::new(StreamKind::Memory, "a".parse().unwrap());
    let head = store.head(&stream).unwrap();
    let draft = Draft::new(stream.clone(), RecordKind::Fact, Subsystem::Memory, body.to_vec());
    store.append(&Batch::new(Timestamp::default()).expect(stream, head).append(draft)).unwrap();
}

fn store(folder: &Path, name: &str) -> Arc<RedbStore> {
    Arc::new(RedbStore::create(folder.join(name)).unwrap())
}

fn counts(folder: &Path) -> Vec<u64> {
    all(folder).unwrap().iter().map(|published| published.records).collect()
}

/// A publisher that does nothing by itself.
const STILL: Schedule = Schedule::ON_REQUEST.at_most_every(Duration::from_secs(3600));

#[test]
fn only_what_is_new_is_published_and_the_newest_are_kept() {
    let folder = tempfile::tempdir().unwrap();
    let (store, public) = (store(folder.path(), "log.redb"), folder.path().join("public"));
    let publisher = Publisher::start(Arc::clone(&store), &public, STILL.keep(2)).unwrap();
    assert_eq!(newest(&public).unwrap(), None);
    for count in 1..=4_u8 {
        append(&store, &[count]);
        let made = publisher.publish().unwrap();
        assert_eq!(made.records, u64::from(count));
        let written = fs::metadata(&made.path).unwrap().modified().unwrap();
        assert_eq!(publisher.publish().unwrap(), made, "nothing new");
        assert_eq!(fs::metadata(&made.path).unwrap().modified().unwrap(), written);
        let (found, log) = open_newest(&public).unwrap().unwrap();
        assert_eq!((found, log.len().unwrap()), (made, u64::from(count)));
    }
    assert_eq!(counts(&public), [3, 4]);
    assert_eq!(fs::read_dir(&public).unwrap().count(), 2, "no parts are left");
    assert_eq!(publisher.failure(), None);
}

#[test]
fn a_folder_of_another_log_or_of_a_later_one_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let public = folder.path().join("public");
    let one = store(folder.path(), "one.redb");
    append(&one, b"1");
    let early = folder.path().join("early.redb");
    one.backup_to(&early).unwrap();
    append(&one, b"2");
    Publisher::start(Arc::clone(&one), &public, STILL).unwrap().publish().unwrap();
    // The same log goes on.
    Publisher::start(Arc::clone(&one), &public, STILL).unwrap();
    // Another one with as many records, and the same one rolled back.
    let two = store(folder.path(), "two.redb");
    append(&two, b"1");
    append(&two, b"other");
    for wrong in [two, Arc::new(RedbStore::open(&early).unwrap())] {
        let error = Publisher::start(wrong, &public, STILL).unwrap_err();
        assert!(error.to_string().contains("is no part of this log"), "{error}");
    }
    // A backup under the name of a longer one.
    fs::rename(newest(&public).unwrap().unwrap().path, public.join(name_of(9))).unwrap();
    assert!(Publisher::start(one, &public, STILL).is_err());
}

#[test]
fn a_request_is_answered_with_what_was_there_when_it_was_made() {
    let folder = tempfile::tempdir().unwrap();
    let (store, public) = (store(folder.path(), "log.redb"), folder.path().join("public"));
    fs::create_dir(&public).unwrap();
    append(&store, b"1");
    // Nobody is there to answer.
    assert!(!request(&public).unwrap().wait(Duration::from_millis(150)).unwrap());
    assert_eq!(fs::read_dir(&public).unwrap().count(), 0, "the request was taken back");
    fs::write(public.join("log.7-1.part"), b"cut off").unwrap();
    let soon = Schedule::ON_REQUEST.at_most_every(Duration::ZERO);
    let _publisher = Publisher::start(Arc::clone(&store), &public, soon).unwrap();
    assert!(!public.join("log.7-1.part").exists());
    for count in 2..5 {
        append(&store, b"x");
        assert!(request(&public).unwrap().wait(Duration::from_secs(60)).unwrap());
        assert_eq!(newest(&public).unwrap().unwrap().records, count);
    }
}

#[test]
fn a_schedule_publishes_by_itself_and_a_failure_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let (store, public) = (store(folder.path(), "log.redb"), folder.path().join("public"));
    append(&store, b"1");
    let often = Schedule::every(Duration::from_millis(1));
    let publisher = Publisher::start(Arc::clone(&store), &public, often).unwrap();
    let wait = |until: &dyn Fn() -> bool| {
        let began = Instant::now();
        while !until() {
            assert!(began.elapsed() < Duration::from_secs(60), "it never came");
            std::thread::sleep(Duration::from_millis(10));
        }
    };
    wait(&|| public.is_dir() && counts(&public) == [1]);
    append(&store, b"2");
    wait(&|| counts(&public) == [1, 2]);
    // The folder goes away: the service learns of it, and goes on writing.
    fs::remove_dir_all(&public).unwrap();
    append(&store, b"3");
    wait(&|| publisher.failure().is_some());
    append(&store, b"4");
    fs::create_dir(&public).unwrap();
    wait(&|| counts(&public) == [4]);
    assert_eq!(publisher.failure(), None);
}

#[test]
fn names_that_are_not_a_publishers_are_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["log-1.redb", "log-+0000000000000000001.redb", "other.redb", "log-0.part.redb"] {
        assert_eq!(records_of(name), None, "{name}");
        fs::write(folder.path().join(name), b"").unwrap();
    }
    assert_eq!(newest(folder.path()).unwrap(), None);
    assert_eq!(records_of(&name_of(u64::MAX)), Some(u64::MAX));
}
