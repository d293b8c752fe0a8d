//! Erasing payloads, in memory and on a disk.
#![expect(clippy::unwrap_used, reason = "helpers of tests: a failure here is one of the test")]

use std::sync::Arc;

use prospera::digest::{Digest, Domain};
use prospera::id::Subsystem;
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::record::{Draft, Head, RecordKind, StreamId, StreamKind};
use prospera::ssot::store::{Batch, Erase, Store};
use prospera::ssot::verify::verify;
use prospera::time::Timestamp;

fn stream() -> StreamId {
    StreamId::new(StreamKind::Routing, "s-1".parse().unwrap())
}

fn secret(number: u8) -> Vec<u8> {
    format!("the secret of payload {number}, to be erased").into_bytes()
}

fn name(number: u8) -> Digest {
    Domain::Payload.hash(&secret(number))
}

/// Appends a record with its payload.
fn append<S: Store>(store: &S, number: u8) {
    let head = store.head(&stream()).unwrap();
    let draft = Draft::new(stream(), RecordKind::Outcome, Subsystem::Execution, vec![number]);
    let batch = Batch::new(Timestamp::from_millis(1)).expect(stream(), head).append(draft);
    store.append(&batch.payload(name(number), secret(number).into())).unwrap();
}

/// What every store that erases has to do.
fn erases<S: Erase>(store: &S) {
    (0..6).for_each(|number| append(store, number));
    let before = store.head(&stream()).unwrap();
    assert_ne!(before, Head::EMPTY);
    assert_eq!(store.erase(&[name(1), name(3), Digest::ZERO]).unwrap(), 2);
    for number in 0..6 {
        let kept = store.payload(&name(number)).unwrap();
        let expected = (number != 1 && number != 3).then(|| Arc::from(secret(number)));
        assert_eq!(kept, expected, "payload {number}");
    }
    let mut shown = Vec::new();
    store.payloads(&[name(1), name(2)], &mut |at, _| shown.push(at)).unwrap();
    assert_eq!(shown, [1]);
    assert_eq!(store.erase(&[name(1), name(3)]).unwrap(), 0, "once is enough");
    assert_eq!(store.head(&stream()).unwrap(), before, "the chain is as it was");
    verify(store, |_| {}).unwrap();
    append(store, 1);
    assert_eq!(store.payload(&name(1)).unwrap().as_deref(), Some(&secret(1)[..]), "kept anew");
    assert_eq!(store.erase(&[name(1)]).unwrap(), 1);
}

#[test]
fn every_pointer_to_a_store_erases() {
    erases(&MemoryStore::new());
    erases(&&MemoryStore::new());
    erases(&Box::new(MemoryStore::new()));
    erases(&Arc::new(MemoryStore::new()));
}

#[cfg(feature = "redb")]
mod durable {
    use std::fs;
    use std::path::Path;

    use prospera::ssot::redb::{Options, RedbStore};

    use super::*;

    fn holds(path: &Path, number: u8) -> bool {
        let Ok(bytes) = fs::read(path) else { return false };
        let wanted = secret(number);
        bytes.windows(wanted.len()).any(|window| window == wanted)
    }

    #[test]
    fn what_is_erased_stays_erased() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.redb");
        let store = RedbStore::create(&path).unwrap();
        erases(&store);
        drop(store);
        let store = RedbStore::open(&path).unwrap();
        assert_eq!(store.payload(&name(3)).unwrap(), None);
        assert!(store.payload(&name(4)).unwrap().is_some());
        // From the tables this time: nothing is left in memory.
        assert_eq!(store.erase(&[name(4)]).unwrap(), 1);
        assert_eq!(store.payload(&name(4)).unwrap(), None);
        verify(&store, |_| {}).unwrap();
        drop(store);
        let reader = RedbStore::open_read_only(&path).unwrap();
        assert!(reader.erase(&[name(5)]).is_err(), "opened read-only");
        assert!(reader.payload(&name(5)).unwrap().is_some());
    }

    /// A crash right after: what was erased is neither in the tables nor in the journal,
    /// and what came later is there.
    #[test]
    fn a_crash_brings_nothing_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log.redb");
        // Turns of the journal that are full after a few records.
        for journal_bytes in [300, 32 << 20] {
            let _none = fs::remove_file(&path);
            let options = Options::new().journal_bytes(journal_bytes);
            let store = RedbStore::create_with(&path, &options).unwrap();
            (0..6).for_each(|number| append(&store, number));
            assert_eq!(store.erase(&[name(2)]).unwrap(), 1);
            append(&store, 7);
            let image = folder.path().join(format!("crashed-{journal_bytes}"));
            fs::create_dir(&image).unwrap();
            for file in fs::read_dir(folder.path()).unwrap() {
                let file = file.unwrap().path();
                if file.is_file() {
                    let journal = file.to_string_lossy().contains("journal");
                    assert!(!(journal && holds(&file, 2)), "{} has it", file.display());
                    fs::copy(&file, image.join(file.file_name().unwrap())).unwrap();
                }
            }
            let crashed = RedbStore::open(image.join("log.redb")).unwrap();
            assert_eq!(crashed.payload(&name(2)).unwrap(), None);
            assert!(crashed.payload(&name(5)).unwrap().is_some());
            assert!(crashed.payload(&name(7)).unwrap().is_some());
            assert_eq!(crashed.len().unwrap(), 7);
            verify(&crashed, |_| {}).unwrap();
        }
    }

    #[test]
    fn others_go_on_while_one_erases() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options::new().journal_bytes(2000);
        let store = RedbStore::create_with(folder.path().join("log.redb"), &options).unwrap();
        std::thread::scope(|scope| {
            scope.spawn(|| (0..60).for_each(|number| append(&store, number)));
            scope.spawn(|| {
                for number in 0..60 {
                    store.erase(&[name(number)]).unwrap();
                }
            });
        });
        let all: Vec<Digest> = (0..60).map(name).collect();
        store.erase(&all).unwrap();
        assert!(all.iter().all(|digest| store.payload(digest).unwrap().is_none()));
        assert_eq!(store.len().unwrap(), 60);
        verify(&store, |_| {}).unwrap();
    }
}
