//! The attacks, and what each must be caught at. The expectation is written down here, not
//! taken from the verifier.

use prospera::digest::{Digest, Domain};
use prospera::ssot::checkpoint::Checkpoint;
use prospera::ssot::merkle::{Frontier, Sha256};
use prospera::ssot::record::{Draft, Head, Record, RecordKind, StreamId, StreamKind};
use serde_json::{Value, json};

use super::{Files, NOW, Vector, key, log, origin, published};
use prospera::id::Subsystem;

/// How many records the log has.
const SIZE: u64 = 9;

const RECORDS: &str = "records/000.p/9";
const ENTRIES: &str = "tile/entries/000.p/9";
const TILE: &str = "tile/0/000.p/9";
const PAYLOADS: &str = "payloads/000.p/9";
const HEADS: &str = "heads/9";

/// The log as it is.
fn sound() -> Files {
    published(&log(SIZE, u64::MAX), 1)
}

/// Its checkpoint at a size.
fn remembered(size: u64) -> String {
    let files = published(&log(size, u64::MAX), 1);
    String::from_utf8(files["checkpoint"].clone()).unwrap()
}

/// The records of a bundle.
fn split(bundle: &[u8]) -> Vec<Vec<u8>> {
    let (mut rest, mut out) = (bundle, Vec::new());
    while let Some((length, after)) = rest.split_first_chunk() {
        let (record, after) = after.split_at(u32::from_be_bytes(*length) as usize);
        out.push(record.to_vec());
        rest = after;
    }
    out
}

fn join(records: &[Vec<u8>]) -> Vec<u8> {
    let length = |record: &Vec<u8>| u32::try_from(record.len()).unwrap().to_be_bytes();
    records.iter().flat_map(|record| [&length(record)[..], record].concat()).collect()
}

/// The sound log with its records changed, and nothing else.
fn records(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Files {
    let mut files = sound();
    let mut records = split(&files[RECORDS]);
    change(&mut records);
    files.insert(RECORDS.into(), join(&records));
    files
}

/// The sound log with entries, lowest tile and records made of other records, under the old
/// checkpoint.
fn hashed_anew(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Files {
    let mut files = records(change);
    let records = split(&files[RECORDS]);
    let digests: Vec<Digest> = records.iter().map(|bytes| Domain::Record.hash(bytes)).collect();
    let entry = |digest: &Digest| [&[0, 32], &digest.as_bytes()[..]].concat();
    files.insert(ENTRIES.into(), digests.iter().flat_map(entry).collect());
    let leaf = |digest: &Digest| *prospera::ssot::merkle::leaf(digest).as_bytes();
    files.insert(TILE.into(), digests.iter().flat_map(leaf).collect());
    files
}

/// [`hashed_anew`], and signed with the log's own key.
fn signed_anew(change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Files {
    let mut files = hashed_anew(change);
    let mut tree = Frontier::<Sha256>::new();
    for record in split(&files[RECORDS]) {
        tree.push(Domain::Record.hash(&record).as_bytes());
    }
    let checkpoint = Checkpoint::new(origin(), tree.size(), tree.root());
    let note = checkpoint.sign(&[&key(1)], NOW).unwrap();
    files.insert("checkpoint".into(), note.to_string().into_bytes());
    files
}

/// A record that was never signed for, sealed as one would be.
fn foreign(index: u64) -> Vec<u8> {
    let stream = StreamId::new(StreamKind::Memory, "mallory".parse().unwrap());
    let draft = Draft::new(stream, RecordKind::Fact, Subsystem::Memory, b"never said".into());
    Record::seal(draft, index, Head::EMPTY, NOW).bytes().to_vec()
}

fn flip(mut files: Files, name: &str, byte: usize) -> Files {
    files.get_mut(name).unwrap()[byte] ^= 0x10;
    files
}

/// The heads of the sound log; `change` sees each by its stream's name.
fn heads(mut change: impl FnMut(&str, Head) -> Option<Head>) -> Files {
    let mut files = sound();
    let (bytes, mut out) = (files[HEADS].clone(), Vec::new());
    let mut rest = &bytes[..];
    while let Some((length, after)) = rest.split_first_chunk() {
        let (stream, after) = after.split_at(u16::from_be_bytes(*length).into());
        let (number, after) = after.split_first_chunk().unwrap();
        let (digest, after) = after.split_first_chunk().unwrap();
        rest = after;
        let head = Head::new(u64::from_be_bytes(*number), Digest::from_bytes(*digest));
        // Kind, length, name.
        if let Some(head) = change(str::from_utf8(&stream[5..]).unwrap(), head) {
            out.extend_from_slice(length);
            out.extend_from_slice(stream);
            out.extend_from_slice(&head.length().to_be_bytes());
            out.extend_from_slice(head.digest().as_bytes());
        }
    }
    files.insert(HEADS.into(), out);
    files
}

fn head(head: Head) -> Value {
    json!({"length": head.length(), "digest": head.digest()})
}

/// All attacks, and the sound logs beside them.
#[expect(clippy::too_many_lines, reason = "a list")]
pub(super) fn all() -> Vec<Vector> {
    let all = split(&sound()[RECORDS]);
    let digest = |index: usize| Domain::Record.hash(&all[index]);
    let vector = |name, description, files, expected| Vector {
        name,
        description,
        remembered: None,
        files,
        expected,
    };
    let against = |size, vector: Vector| Vector { remembered: Some(remembered(size)), ..vector };
    let mut altered = all[4].clone();
    *altered.last_mut().unwrap() ^= 0x10;
    let altered_digest = Domain::Record.hash(&altered);
    let second_of_bob = Head::new(2, digest(4));
    let bob = json!({"finding": "head-rolled-back", "stream": "/ssot/memory/bob",
        "expected": head(Head::new(3, digest(7))), "found": head(second_of_bob)});
    let no_bob = json!({"finding": "head-mismatch", "stream": "/ssot/memory/bob",
        "expected": head(Head::new(3, digest(7))), "found": head(Head::EMPTY)});
    let wrong_bob = json!({"finding": "head-mismatch", "stream": "/ssot/memory/bob",
        "expected": head(Head::new(3, digest(7))), "found": head(Head::new(2, digest(0)))});
    let shorter: Files = {
        // All of a log of six, under the checkpoint of nine.
        let mut files = published(&log(6, u64::MAX), 1);
        files.insert("checkpoint".into(), sound()["checkpoint"].clone());
        files
    };
    vec![
        vector("control", "a sound log", sound(), Value::Null),
        against(
            6,
            vector(
                "control-grown",
                "a log that continues the one remembered",
                sound(),
                Value::Null,
            ),
        ),
        against(
            9,
            vector("control-same", "a log that is the one remembered", sound(), Value::Null),
        ),
        vector(
            "flipped-bit-record",
            "one bit of the body of record 4 is another",
            records(|records| *records[4].last_mut().unwrap() ^= 0x10),
            json!({"finding": "altered", "index": 4, "found": altered_digest}),
        ),
        vector(
            "flipped-bit-tile",
            "one bit of a hash in the lowest tile is another",
            flip(sound(), TILE, 100),
            json!({"finding": "tile", "path": TILE}),
        ),
        vector(
            "flipped-bit-entry",
            "one bit of the digest in entry 2 is another",
            flip(sound(), ENTRIES, 2 * 34 + 20),
            json!({"finding": "entry", "index": 2}),
        ),
        vector(
            "flipped-bit-payload",
            "one bit of the last payload is another",
            {
                let files = sound();
                let last = files[PAYLOADS].len() - 1;
                flip(files, PAYLOADS, last)
            },
            json!({"finding": "payload", "index": 8,
                "expected": Digest::from_bytes(all[8][all[8].len() - 32..].try_into().unwrap())}),
        ),
        vector(
            "cut-payloads",
            "the last byte of the payloads is missing",
            {
                let mut files = sound();
                files.get_mut(PAYLOADS).unwrap().pop();
                files
            },
            json!({"finding": "malformed", "path": PAYLOADS}),
        ),
        vector(
            "forged-checkpoint",
            "the checkpoint says another size than the one that was signed",
            {
                let mut files = sound();
                let text = String::from_utf8(files["checkpoint"].clone()).unwrap();
                files.insert("checkpoint".into(), text.replace("\n9\n", "\n8\n").into_bytes());
                files
            },
            json!({"finding": "checkpoint", "message": format!(
                "the signature of `{}` (key {}) does not verify", origin(), key(1).id())}),
        ),
        vector(
            "stranger",
            "a log that is signed with another key under the same name",
            published(&log(SIZE, 0), 2),
            json!({"finding": "checkpoint",
                "message": "expected a signature of a known key, found none among 1"}),
        ),
        vector(
            "swapped",
            "record 2 and record 6 stand in each other's place",
            records(|records| records.swap(2, 6)),
            json!({"finding": "swapped", "index": 2, "with": 6}),
        ),
        vector(
            "dropped",
            "record 3 is missing",
            records(|records| drop(records.remove(3))),
            json!({"finding": "dropped", "index": 3, "found": 4}),
        ),
        vector(
            "repeated",
            "record 1 stands once more behind record 4",
            records(|records| records.insert(5, records[1].clone())),
            json!({"finding": "repeated", "index": 5, "of": 1}),
        ),
        vector(
            "inserted",
            "a record that was never signed for stands behind record 4",
            records(|records| records.insert(5, foreign(5))),
            json!({"finding": "inserted", "index": 5, "found": Domain::Record.hash(&foreign(5))}),
        ),
        vector(
            "appended",
            "a record that was never signed for stands behind the last one",
            records(|records| records.push(foreign(9))),
            json!({"finding": "inserted", "index": 9, "found": Domain::Record.hash(&foreign(9))}),
        ),
        vector(
            "cut-records",
            "the last three records are missing",
            records(|records| records.truncate(6)),
            json!({"finding": "truncated", "found": 6, "signed": 9}),
        ),
        vector(
            "cut-tail",
            "records, entries, tiles and heads of six, under the checkpoint of nine",
            shorter,
            json!({"finding": "truncated", "found": 6, "signed": 9}),
        ),
        vector(
            "altered-and-hashed-anew",
            "record 4 is altered, entries and tiles are made to fit; the checkpoint cannot be",
            hashed_anew(|records| records[4].clone_from(&altered)),
            json!({"finding": "not-signed", "size": 9}),
        ),
        vector(
            "broken-chain",
            "the log itself signed for a record 4 that does not follow the record 1 of its stream",
            signed_anew(|records| {
                let record = Record::decode_sealed(&records[4]).unwrap();
                let draft = Draft::new(
                    record.stream().clone(),
                    record.kind(),
                    record.source(),
                    record.body().to_vec(),
                );
                let after = Head::new(1, digest(0));
                records[4] = Record::seal(draft, 4, after, record.timestamp()).bytes().to_vec();
            }),
            json!({"finding": "chain", "message": format!(
                "record 4: expected it to follow {}, found it to follow {}", digest(1), digest(0))}),
        ),
        against(
            9,
            vector(
                "deleted",
                "there is no log any more",
                Files::new(),
                json!({"finding": "deleted", "remembered": 9}),
            ),
        ),
        against(
            9,
            vector(
                "deleted-and-begun-anew",
                "an empty log with the right signature stands in the log's place",
                published(&log(0, u64::MAX), 1),
                json!({"finding": "deleted", "remembered": 9}),
            ),
        ),
        against(
            9,
            vector(
                "older-copy",
                "the log as it was when it had six records",
                published(&log(6, u64::MAX), 1),
                json!({"finding": "older-copy", "remembered": 9, "found": 6}),
            ),
        ),
        against(
            9,
            vector(
                "split-view",
                "a log of the same size whose record 7 is another, with the right signature",
                published(&log(SIZE, 7), 1),
                json!({"finding": "split-view", "size": 9}),
            ),
        ),
        against(
            9,
            vector(
                "re-signed-history",
                "from record 4 on the log was written again, every hash anew, with the right \
             signature, and went on",
                published(&log(12, 4), 1),
                json!({"finding": "rewritten", "from": 9, "to": 12}),
            ),
        ),
        vector(
            "head-rolled-back",
            "the head of a stream is that of its second record, it has three",
            heads(|name, head| Some(if name == "bob" { second_of_bob } else { head })),
            bob,
        ),
        vector(
            "head-dropped",
            "a stream has no head",
            heads(|name, head| (name != "bob").then_some(head)),
            no_bob,
        ),
        vector(
            "head-of-another",
            "the head of a stream is one that it never had",
            heads(|name, head| Some(if name == "bob" { Head::new(2, digest(0)) } else { head })),
            wrong_bob,
        ),
    ]
}
