//! Attacks on a published log, each as a file that any implementation can read, and each
//! told from the others (`tests/vectors/log/`).
//!
//! A vector is a folder as `prospera::ssot::tiles` documents it, file by file, a policy to
//! believe checkpoints by (C2SP `tlog-policy`), a checkpoint that is remembered or none, and
//! what the log must be caught at: `null` for a sound one. The vectors are made by
//!
//! ```text
//! cargo test --features notes --test log_attacks -- --ignored
//! ```
//!
//! Requirements: PLAN-8.1, PLAN-3.7, IRM-6.10.
#![cfg(all(feature = "std", feature = "notes"))]
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use prospera::digest::{Digest, Domain};
use prospera::id::Subsystem;
use prospera::ssot::checkpoint::{Finding, Origin, Policy, Remembered};
use prospera::ssot::memory::MemoryStore;
use prospera::ssot::note::{Algorithm, Signer};
use prospera::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use prospera::ssot::store::{Batch, Store as _};
use prospera::ssot::tiles::{Folder, Publish, TilesError, verify, write};
use prospera::time::Timestamp;
use serde_json::{Value, json};

#[path = "log_attacks/vectors.rs"]
mod vectors;

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);

/// A folder's files by their paths.
type Files = BTreeMap<String, Vec<u8>>;

struct Vector {
    name: &'static str,
    description: &'static str,
    remembered: Option<String>,
    files: Files,
    expected: Value,
}

fn origin() -> Origin {
    Origin::of_shard("log.example/office", 0).unwrap()
}

fn key(seed: u8) -> Signer {
    Signer::from_seed(origin().as_str().parse().unwrap(), Algorithm::Ed25519, &[seed; 32]).unwrap()
}

fn policy() -> String {
    format!("log {}\nquorum none\n", key(1).verifier().unwrap())
}

/// A log of so many records in three streams. From record `other_from` on it is another.
fn log(size: u64, other_from: u64) -> MemoryStore {
    let store = MemoryStore::new();
    for n in 0..size {
        let name = ["alice", "bob", "carol"][usize::try_from(n % 3).unwrap()];
        let stream = StreamId::new(StreamKind::Memory, name.parse().unwrap());
        let who = if n < other_from { "as it was" } else { "as it is told now" };
        let payload = format!("payload {n}, {who}").into_bytes();
        let digest = Domain::Payload.hash(&payload);
        let draft = Draft::new(
            stream.clone(),
            RecordKind::Fact,
            Subsystem::Memory,
            digest.as_bytes().into(),
        );
        let batch = Batch::new(Timestamp::from_millis(NOW.as_millis() + n))
            .expect(stream.clone(), store.head(&stream).unwrap())
            .payload(digest, payload.into());
        store.append(&batch.append(draft)).unwrap();
    }
    store
}

fn named(bytes: &[u8], out: &mut Vec<Digest>) {
    let record = Record::decode_sealed(bytes).unwrap();
    out.extend(record.body().try_into().map(Digest::from_bytes));
}

/// The files of a log as it publishes itself, signed with the key of this seed.
fn published(store: &MemoryStore, seed: u8) -> Files {
    let place = tempfile::tempdir().unwrap();
    let (origin, key) = (origin(), key(seed));
    let signers = [&key];
    let publish = Publish::new(&origin, &signers, NOW).payloads(&named);
    write(store, place.path(), &publish, &mut |_, _| ()).unwrap();
    read(place.path())
}

fn read(place: &Path) -> Files {
    let (mut out, mut folders) = (Files::new(), vec![place.to_path_buf()]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(place).unwrap().display().to_string();
                out.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    out
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = text.as_bytes().chunks(2);
    digits.map(|two| u8::from_str_radix(str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

impl Vector {
    fn to_json(&self) -> Value {
        let file = |(name, bytes): (&String, &Vec<u8>)| {
            let content = if name == "checkpoint" {
                json!({"text": str::from_utf8(bytes).unwrap()})
            } else {
                json!({"hex": hex(bytes)})
            };
            (name.clone(), content)
        };
        json!({
            "name": self.name,
            "description": self.description,
            "policy": policy(),
            "remembered": self.remembered,
            "files": self.files.iter().map(file).collect::<serde_json::Map<_, _>>(),
            "expected": self.expected,
        })
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/log")
}

/// Every committed vector.
fn committed() -> Vec<Value> {
    let mut paths: Vec<PathBuf> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "json"));
    paths.sort();
    let read = |path: &PathBuf| serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
    paths.iter().map(read).collect()
}

/// What verifying a vector gives: `null`, or what the log was caught at.
fn outcome(vector: &Value) -> Value {
    let policy = Policy::parse(vector["policy"].as_str().unwrap().as_bytes()).unwrap();
    let remembered = vector["remembered"]
        .as_str()
        .map(|note| Remembered::load(note.as_bytes(), &policy).unwrap());
    let place = tempfile::tempdir().unwrap();
    for (name, content) in vector["files"].as_object().unwrap() {
        let bytes = match content["text"].as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => unhex(content["hex"].as_str().unwrap()),
        };
        let path = place.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let folder = Folder::new(place.path());
    match verify(&folder, &policy, remembered.as_ref(), &mut |_, _| ()) {
        Ok(_) => Value::Null,
        Err(TilesError::Finding(finding)) => described(&finding),
        Err(error) => panic!("{}: {error}", vector["name"]),
    }
}

/// A finding as the vectors write it.
fn described(finding: &Finding) -> Value {
    let head = |head: &Head| json!({"length": head.length(), "digest": head.digest()});
    let fields = match finding {
        Finding::Altered { index, found } | Finding::Inserted { index, found } => {
            json!({"index": index, "found": found})
        }
        Finding::Swapped { index, with } => json!({"index": index, "with": with}),
        Finding::Dropped { index, found } => json!({"index": index, "found": found}),
        Finding::Repeated { index, of } => json!({"index": index, "of": of}),
        Finding::Truncated { found, signed } => json!({"found": found, "signed": signed}),
        Finding::Deleted { remembered } => json!({"remembered": remembered}),
        Finding::OlderCopy { remembered, found } => {
            json!({"remembered": remembered, "found": found})
        }
        Finding::SplitView { size, .. } | Finding::NotSigned { size, .. } => json!({"size": size}),
        Finding::Rewritten { from, to } => json!({"from": from, "to": to}),
        Finding::HeadRolledBack { stream, expected, found }
        | Finding::HeadMismatch { stream, expected, found } => {
            json!({"stream": stream.to_string(), "expected": head(expected), "found": head(found)})
        }
        Finding::Tile { path } | Finding::Malformed { path } => json!({"path": path}),
        Finding::Entry { index } => json!({"index": index}),
        Finding::Payload { index, expected } => json!({"index": index, "expected": expected}),
        Finding::Checkpoint(error) => json!({"message": error.to_string()}),
        Finding::Chain(fault) => json!({"message": fault.to_string()}),
        other => panic!("{other}"),
    };
    let mut out = json!({"finding": finding.kind()});
    out.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    out
}

#[test]
fn every_attack_is_caught_for_its_own_reason() {
    let mut seen = BTreeMap::new();
    for vector in committed() {
        assert_eq!(outcome(&vector), vector["expected"], "{}", vector["name"]);
        let kind = vector["expected"]["finding"].as_str().unwrap_or("sound");
        seen.entry(kind.to_owned()).or_insert_with(Vec::new).push(vector["name"].to_string());
    }
    let kinds: BTreeSet<&str> = seen.keys().map(String::as_str).collect();
    let expected = [
        "sound",
        "altered",
        "swapped",
        "dropped",
        "repeated",
        "inserted",
        "truncated",
        "deleted",
        "older-copy",
        "split-view",
        "rewritten",
        "head-rolled-back",
        "head-mismatch",
        "chain",
        "not-signed",
        "tile",
        "entry",
        "payload",
        "checkpoint",
        "malformed",
    ];
    assert_eq!(kinds, BTreeSet::from(expected));
}

/// The same files without the one thing that was done to them are sound: it is that thing
/// that is found.
#[test]
fn what_is_remembered_is_what_shows_four_of_them() {
    for vector in committed() {
        let kind = vector["expected"]["finding"].as_str().unwrap_or("sound");
        let mut forgotten = vector.clone();
        forgotten["remembered"] = Value::Null;
        if forgotten["files"].as_object().unwrap().is_empty() {
            continue;
        }
        let expected = match kind {
            "deleted" | "older-copy" | "split-view" | "rewritten" => Value::Null,
            _ => vector["expected"].clone(),
        };
        assert_eq!(outcome(&forgotten), expected, "{}", vector["name"]);
    }
}

#[test]
fn the_vectors_are_those_that_the_generator_makes() {
    let made: Vec<Value> = vectors::all().iter().map(Vector::to_json).collect();
    let mut names: Vec<&str> = made.iter().map(|vector| vector["name"].as_str().unwrap()).collect();
    names.sort_unstable();
    let committed = committed();
    let mut kept: Vec<&str> = committed.iter().map(|one| one["name"].as_str().unwrap()).collect();
    kept.sort_unstable();
    assert_eq!(kept, names);
    for vector in made {
        let same = committed.iter().find(|one| one["name"] == vector["name"]).unwrap();
        assert_eq!(*same, vector, "{}", vector["name"]);
    }
}

#[test]
#[ignore = "writes the vectors"]
fn regenerate() {
    for vector in vectors::all() {
        let text = serde_json::to_string_pretty(&vector.to_json()).unwrap() + "\n";
        fs::write(folder().join(format!("{}.json", vector.name)), text).unwrap();
    }
}

/// No bit of any file may change without notice: every third is tried, so each byte is.
#[test]
fn every_bit_of_a_published_log_matters() {
    let files = published(&log(3, u64::MAX), 1);
    let place = tempfile::tempdir().unwrap();
    for (name, bytes) in &files {
        let path = place.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    let (folder, policy) = (Folder::new(place.path()), Policy::parse(policy().as_bytes()).unwrap());
    let sound = || verify(&folder, &policy, None, &mut |_, _| ()).map(drop);
    sound().unwrap();
    for (name, bytes) in &files {
        let path = place.path().join(name);
        for bit in (0..bytes.len() * 8).step_by(3) {
            let mut changed = bytes.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, changed).unwrap();
            assert!(sound().is_err(), "bit {bit} of {name}");
        }
        for changed in [&bytes[..bytes.len() - 1], &[bytes.as_slice(), &[0]].concat(), &[]] {
            fs::write(&path, changed).unwrap();
            assert!(sound().is_err(), "{} bytes of {name}", changed.len());
        }
        fs::remove_file(&path).unwrap();
        // The payloads may be left out, the rest may not.
        assert_eq!(sound().is_ok(), name.starts_with("payloads/"), "without {name}");
        fs::write(&path, bytes).unwrap();
    }
    sound().unwrap();
}
