use std::collections::BTreeMap;
use std::fs;
use std::sync::Arc;

use super::audit::verify_holding;
use super::tower::Tower;
use super::*;
use crate::digest::{Digest, Domain};
use crate::id::Subsystem;
use crate::ssot::checkpoint::{Advance, Origin, Policy, Remembered};
use crate::ssot::memory::MemoryStore;
use crate::ssot::merkle::{self, ConsistencyProof, TreeHash, prove_consistency, prove_inclusion};
use crate::ssot::note::{Algorithm, Signer};
use crate::ssot::record::{Draft, Record, RecordKind, StreamId, StreamKind};
use crate::ssot::store::{Batch, Store};
use crate::time::Timestamp;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

fn origin() -> Origin {
    Origin::of_shard("example.com/office", 0).unwrap()
}

fn key() -> Signer {
    Signer::from_seed(origin().as_str().parse().unwrap(), Algorithm::Ed25519, &[1; 32]).unwrap()
}

fn policy() -> Policy {
    Policy::of_log(key().verifier().unwrap())
}

/// Appends records `from..to`, three in five with a payload; `mark` makes others of them.
fn grow(store: &MemoryStore, from: u64, to: u64, streams: u64, mark: u8) {
    for n in from..to {
        let name = format!("s-{}", n % streams).parse().unwrap();
        let stream = StreamId::new(StreamKind::Memory, name);
        let payload = format!("payload {n} {mark}").into_bytes();
        let digest = Domain::Payload.hash(&payload);
        let mut batch = Batch::new(Timestamp::from_millis(1000 + n / 3))
            .expect(stream.clone(), store.head(&stream).unwrap());
        let mut body = vec![mark];
        if n % 5 < 3 {
            body = digest.as_bytes().to_vec();
            // Every fourth is not kept any more.
            if n % 4 > 0 {
                batch = batch.payload(digest, Arc::from(payload));
            }
        }
        let draft = Draft::new(stream, RecordKind::Fact, Subsystem::Memory, body);
        store.append(&batch.append(draft)).unwrap();
    }
}

fn named(bytes: &[u8], out: &mut Vec<Digest>) {
    let record = Record::decode_sealed(bytes).unwrap();
    out.extend(record.body().try_into().map(Digest::from_bytes));
}

fn publish(store: &MemoryStore, place: &Path) -> Result<Written, TilesError> {
    let (origin, key) = (origin(), key());
    let signers = [&key];
    let publish = Publish::new(&origin, &signers, NOW).payloads(&named);
    write(store, place, &publish, &mut |_, _| ())
}

fn check(place: &Path, remembered: Option<&Remembered>) -> Result<Audited, TilesError> {
    verify(&Folder::new(place), &policy(), remembered, &mut |_, _| ())
}

fn files(place: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut out = BTreeMap::new();
    let mut folders = vec![place.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let relative = path.strip_prefix(place).unwrap().to_path_buf();
                out.insert(relative, fs::read(&path).unwrap());
            }
        }
    }
    out
}

/// The numbers of the specification's example, and the root of every size.
#[test]
fn a_tower_has_the_tiles_and_the_root_of_the_tree() {
    let (mut tower, mut tree) = (Tower::default(), Frontier::<Sha256>::new());
    let mut full: BTreeMap<u8, u64> = BTreeMap::new();
    for n in 0..70_000_u64 {
        let leaf = Sha256::leaf(&n.to_be_bytes());
        tower
            .push(leaf, &mut |level, n, hashes: &[Hash]| {
                assert_eq!((hashes.len(), n), (256, *full.entry(level).or_default()));
                *full.entry(level).or_default() += 1;
                Ok::<_, ()>(())
            })
            .unwrap();
        tree.push_leaf(&leaf);
        if n < 600 || n % 8197 == 0 {
            assert_eq!(tower.root(), tree.root(), "{n}");
        }
        if n == 255 {
            let partial: Vec<_> = tower.partial().map(|(l, n, h)| (l, n, h.len())).collect();
            assert_eq!(partial, [(1, 0, 1)]);
        }
    }
    assert_eq!(full, BTreeMap::from([(0, 273), (1, 1)]));
    let partial: Vec<_> = tower.partial().map(|(l, n, h)| (l, n, h.len())).collect();
    assert_eq!(partial, [(0, 273, 112), (1, 1, 17), (2, 0, 1)]);
    assert_eq!(tower.root(), tree.root());
}

#[test]
fn what_is_published_bit_by_bit_is_what_is_published_at_once() {
    let (store, grown) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let mut remembered = None;
    for (from, to) in [(0, 0), (0, 3), (3, 256), (256, 300), (300, 300), (300, 700), (700, 1024)] {
        grow(&store, from, to, 7, 0);
        let written = publish(&store, grown.path()).unwrap();
        assert_eq!((written.before, written.size), (from, to));
        let audited = check(grown.path(), remembered.as_ref()).unwrap();
        assert_eq!(audited.trusted.size(), to);
        assert_eq!(audited.streams, to.min(7));
        match audited.advance {
            None => assert_eq!(to, 0),
            Some(Advance::Same) => assert_eq!(from, to),
            Some(advance) => assert_eq!(advance, Advance::Grown { from, to }),
        }
        remembered = Some(Remembered::first(audited.trusted));
    }
    let audited = check(grown.path(), None).unwrap();
    assert_eq!((audited.payloads, audited.not_kept), (461, 154));
    let once = tempfile::tempdir().unwrap();
    publish(&store, once.path()).unwrap();
    let (grown, once) = (files(grown.path()), files(once.path()));
    for (path, bytes) in &once {
        assert_eq!(grown.get(path), Some(bytes), "{}", path.display());
    }
    // What is more are partial tiles of earlier sizes, none of a tile that is full.
    for path in grown.keys().filter(|path| !once.contains_key(*path)) {
        let name = path.display().to_string();
        assert!(name.starts_with("heads/") || name.contains(".p/"), "{name}");
        if let Some((full, _)) = name.split_once(".p/") {
            assert!(!grown.contains_key(Path::new(full)), "{name}");
        }
    }
    assert!(once.keys().all(|path| path.extension().is_none_or(|e| e != "new")));
}

/// Only what is new is written: of 1024 records the last 24 have these files.
#[test]
fn a_grown_log_costs_what_it_grew_by() {
    let (store, place) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    grow(&store, 0, 1000, 5, 0);
    publish(&store, place.path()).unwrap();
    let before = files(place.path());
    grow(&store, 1000, 1024, 5, 0);
    let written = publish(&store, place.path()).unwrap();
    // Entries, records, payloads, heads, checkpoint; the fourth tile, the level above.
    assert_eq!(written.files, 7);
    for (path, bytes) in files(place.path()) {
        if let Some(old) = before.get(&path) {
            assert!(*old == bytes || path == Path::new("checkpoint"), "{}", path.display());
        }
    }
}

#[test]
fn proofs_are_made_of_the_tiles() {
    let (store, place) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    grow(&store, 0, 777, 5, 0);
    publish(&store, place.path()).unwrap();
    let folder = Folder::new(place.path());
    let (tree, root) = (folder.tree(777), store.tree_head().unwrap().root);
    for index in [0, 1, 255, 256, 511, 600, 776] {
        let proof = prove_inclusion::<Sha256, _>(&tree, index, 777).unwrap();
        let record = store.read(index, 1).unwrap().remove(0);
        proof.verify::<Sha256>(&merkle::leaf(&record.digest), &root).unwrap();
        assert_eq!(proof, merkle::inclusion(&store, index, 777).unwrap());
    }
    for old in [1, 2, 255, 256, 300, 512, 776, 777] {
        let proof: ConsistencyProof = prove_consistency::<Sha256, _>(&tree, old, 777).unwrap();
        assert_eq!(proof, merkle::consistency(&store, old, 777).unwrap());
    }
    fs::remove_file(place.path().join("tile/0/001")).unwrap();
    assert!(prove_inclusion::<Sha256, _>(&tree, 300, 777).is_err());
}

#[test]
fn what_is_imported_is_the_same_log() {
    let (store, place) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    grow(&store, 0, 700, 9, 0);
    publish(&store, place.path()).unwrap();
    let copy = MemoryStore::new();
    let folder = Folder::new(place.path());
    let imported = import(&folder, &copy, &policy(), None, &mut |_, _| ()).unwrap();
    assert!(imported.commits < 300, "{}", imported.commits);
    assert_eq!(copy.read(0, 1000).unwrap(), store.read(0, 1000).unwrap());
    assert_eq!(copy.tree_head().unwrap(), store.tree_head().unwrap());
    assert_eq!(copy.streams(None, 20).unwrap(), store.streams(None, 20).unwrap());
    let again = tempfile::tempdir().unwrap();
    publish(&copy, again.path()).unwrap();
    assert_eq!(files(again.path()), files(place.path()), "payloads and all");
    let twice = import(&folder, &copy, &policy(), None, &mut |_, _| ());
    assert!(matches!(twice, Err(TilesError::NotEmpty { found: 700 })));
}

#[test]
fn another_history_is_not_published_over_this_one() {
    let (store, place) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    grow(&store, 0, 300, 3, 0);
    publish(&store, place.path()).unwrap();
    let before = files(place.path());
    let other = |size, mark| {
        let store = MemoryStore::new();
        grow(&store, 0, size, 3, mark);
        publish(&store, place.path()).unwrap_err().finding().cloned().unwrap()
    };
    assert_eq!(other(400, 1), Finding::Rewritten { from: 300, to: 400 });
    assert_eq!(other(200, 0), Finding::OlderCopy { remembered: 300, found: 200 });
    assert_eq!(other(0, 0), Finding::Deleted { remembered: 300 });
    let stranger =
        Signer::from_seed(origin().as_str().parse().unwrap(), Algorithm::Ed25519, &[9; 32])
            .unwrap();
    let (origin, signers) = (origin(), [&stranger]);
    let publish = Publish::new(&origin, &signers, NOW);
    let refused = write(&store, place.path(), &publish, &mut |_, _| ()).unwrap_err();
    assert_eq!(refused.finding().unwrap().kind(), "checkpoint");
    assert_eq!(files(place.path()), before, "it is left as it is");
}

/// A writer that is stopped leaves the log that was there, and the next one goes on.
#[test]
fn a_writer_that_is_stopped_does_no_harm() {
    let (store, place) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let path = place.path();
    assert!(matches!(check(path, None), Err(TilesError::NoLog { .. })));
    grow(&store, 0, 300, 3, 0);
    publish(&store, path).unwrap();
    let old = fs::read(path.join("checkpoint")).unwrap();
    let kept: BTreeMap<_, _> = files(path);
    grow(&store, 300, 600, 3, 0);
    publish(&store, path).unwrap();
    // All but the checkpoint, and the partial tiles that were removed after it.
    fs::write(path.join("checkpoint"), old).unwrap();
    for (name, bytes) in kept.iter().filter(|(name, _)| !path.join(name).exists()) {
        fs::create_dir_all(path.join(name).parent().unwrap()).unwrap();
        fs::write(path.join(name), bytes).unwrap();
    }
    fs::write(path.join("tile/0/002.p/88.new"), b"half").unwrap();
    assert_eq!(check(path, None).unwrap().trusted.size(), 300);
    publish(&store, path).unwrap();
    assert_eq!(check(path, None).unwrap().trusted.size(), 600);
}

/// More streams than are held at a time: the same answers, in more passes.
#[test]
fn many_streams_are_looked_at_in_parts() {
    let (store, place) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    grow(&store, 0, 400, 61, 0);
    publish(&store, place.path()).unwrap();
    let folder = Folder::new(place.path());
    for held in [20, 35, 61] {
        let audited = verify_holding(held, &folder, &policy(), None, &mut |_, _| ()).unwrap();
        assert_eq!(audited.streams, 61, "{held}");
    }
    let heads = place.path().join("heads/400");
    let mut bytes = fs::read(&heads).unwrap();
    let end = bytes.len();
    // The length of the last head, one less.
    bytes[end - 33] -= 1;
    fs::write(&heads, bytes).unwrap();
    for held in [20, 61] {
        let refused = verify_holding(held, &folder, &policy(), None, &mut |_, _| ()).unwrap_err();
        assert_eq!(refused.finding().unwrap().kind(), "head-mismatch", "{held}: {refused}");
    }
}

/// Across the borders of bundles, where what was moved lies in another file.
#[test]
fn what_was_moved_is_found_across_bundles() {
    let (store, place) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    grow(&store, 0, 700, 7, 0);
    publish(&store, place.path()).unwrap();
    let all: Vec<Vec<u8>> =
        store.read(0, 700).unwrap().iter().map(|stored| stored.bytes.to_vec()).collect();
    let with = |records: &[Vec<u8>]| {
        for (n, (name, width)) in
            [("000", 256), ("001", 256), ("002.p/188", 300)].iter().enumerate()
        {
            let mut bytes = Vec::new();
            for record in records.iter().skip(n * 256).take(*width) {
                bytes.extend_from_slice(&u32::try_from(record.len()).unwrap().to_be_bytes());
                bytes.extend_from_slice(record);
            }
            fs::write(place.path().join("records").join(name), bytes).unwrap();
        }
        check(place.path(), None).map(|_| ()).map_err(|error| error.finding().cloned().unwrap())
    };
    assert_eq!(with(&all), Ok(()));
    let changed = |change: &dyn Fn(&mut Vec<Vec<u8>>)| {
        let mut records = all.clone();
        change(&mut records);
        with(&records).unwrap_err()
    };
    assert_eq!(changed(&|r| r.swap(10, 600)), Finding::Swapped { index: 10, with: 600 });
    assert_eq!(changed(&|r| r.swap(255, 256)), Finding::Swapped { index: 255, with: 256 });
    let dropped = |index, found| Finding::Dropped { index, found };
    assert_eq!(changed(&|r| drop(r.remove(255))), dropped(255, 256));
    assert_eq!(changed(&|r| drop(r.drain(200..300))), dropped(200, 300));
    assert_eq!(changed(&|r| drop(r.remove(0))), dropped(0, 1));
    let repeated = |index, of| Finding::Repeated { index, of };
    assert_eq!(changed(&|r| r.insert(256, all[255].clone())), repeated(256, 255));
    assert_eq!(changed(&|r| r.insert(600, all[3].clone())), repeated(600, 3));
    assert_eq!(changed(&|r| r.push(all[699].clone())), repeated(700, 699));
    let foreign = b"no record of this log".to_vec();
    let digest = Domain::Record.hash(&foreign);
    for index in [0, 255, 256, 699, 700] {
        let found = changed(&|r| r.insert(index, foreign.clone()));
        assert_eq!(found, Finding::Inserted { index: index as u64, found: digest });
    }
    for index in [0_usize, 255, 256, 699] {
        let found = changed(&|r| *r[index].last_mut().unwrap() ^= 1);
        assert!(
            matches!(found, Finding::Altered { index: at, .. } if at == index as u64),
            "{found}"
        );
    }
    // One more at the end of a bundle, while those behind it stand as they did.
    with(&all).unwrap();
    let first = place.path().join("records/000");
    let whole = fs::read(&first).unwrap();
    for (record, expected) in [
        (&foreign, Finding::Inserted { index: 256, found: digest }),
        (&all[3], repeated(256, 3)),
        (&all[256], repeated(256, 256)),
    ] {
        let length = u32::try_from(record.len()).unwrap().to_be_bytes();
        fs::write(&first, [&whole, &length[..], record].concat()).unwrap();
        let found = check(place.path(), None).unwrap_err();
        assert_eq!(*found.finding().unwrap(), expected);
    }
    let cut = |found| Finding::Truncated { found, signed: 700 };
    assert_eq!(changed(&|r| r.truncate(699)), cut(699));
    assert_eq!(changed(&|r| r.truncate(300)), cut(300));
    assert_eq!(changed(&|r| r.truncate(256)), cut(256));
    // A file of which a bundle in the middle was cut off.
    with(&all).unwrap();
    let middle = place.path().join("records/001");
    let bytes = fs::read(&middle).unwrap();
    fs::write(&middle, &bytes[..bytes.len() / 2]).unwrap();
    let found = check(place.path(), None).unwrap_err();
    assert_eq!(*found.finding().unwrap(), dropped(384, 512), "between two records");
    fs::write(&middle, &bytes[..=(bytes.len() / 2)]).unwrap();
    let found = check(place.path(), None).unwrap_err();
    assert_eq!(found.finding().unwrap().kind(), "altered", "inside of one: {found}");
}

#[test]
fn a_store_is_held_against_a_checkpoint() {
    let (store, place) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    grow(&store, 0, 300, 3, 0);
    let written = publish(&store, place.path()).unwrap();
    let trusted = policy().accept_note(written.note).unwrap();
    assert_eq!(against(&store, &trusted).unwrap().size, 300);
    grow(&store, 300, 310, 3, 0);
    assert_eq!(against(&store, &trusted).unwrap(), store.tree_head().unwrap());
    let other = |size, mark| {
        let store = MemoryStore::new();
        grow(&store, 0, size, 3, mark);
        against(&store, &trusted).unwrap_err().finding().unwrap().kind()
    };
    assert_eq!(other(0, 0), "deleted");
    assert_eq!(other(299, 0), "older-copy");
    assert_eq!(other(300, 1), "split-view");
    assert_eq!(other(301, 1), "rewritten");
}
