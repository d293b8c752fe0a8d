//! The public vectors of transparency-dev/merkle: proofs that must verify, and one attack
//! a file that must not, each for the reason it should have.
//!
//! Runs where the vectors are (`../shared/data/tlog`), and says so where they are not.
//!
//! Requirements: PLAN-3.7, PLAN-8.1.
#![expect(
    clippy::unwrap_used,
    reason = "helpers of tests: a failure here is a failure of the test"
)]

use std::path::{Path, PathBuf};

use prospera::ssot::merkle::{ConsistencyProof, Hash, InclusionProof, ProofError, Sha256};
use serde_json::Value;

fn data(name: &str) -> Option<PathBuf> {
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    let found = ["../shared/data/tlog", "../../shared/data/tlog"].map(|path| root.join(path));
    let found = found.into_iter().map(|path| path.join(name)).find(|path| path.is_dir());
    if found.is_none() {
        println!("skipped: no vectors at ../shared/data/tlog/{name}");
    }
    found
}

/// Every file below a folder: its path from there, and what it says.
fn vectors(folder: &Path) -> Vec<(String, Value)> {
    let mut out = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().with_extension("");
                let name = name.to_str().unwrap().replace('\\', "/");
                out.push((name, serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap()));
            }
        }
    }
    out.sort_by(|(a, _), (b, _)| a.cmp(b));
    out
}

fn base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut held) = (Vec::new(), 0_u32, 0);
    for byte in text.bytes().filter(|byte| *byte != b'=') {
        let digit = DIGITS.iter().position(|digit| *digit == byte).unwrap();
        bits = bits << 6 | u32::try_from(digit).unwrap();
        held += 6;
        if held >= 8 {
            held -= 8;
            out.push(u8::try_from(bits >> held & 0xff).unwrap());
        }
    }
    out
}

fn hash(value: &Value) -> Result<Hash, ProofError> {
    Hash::try_from(&base64(value.as_str().unwrap())[..])
}

fn path(value: &Value) -> Result<Vec<Hash>, ProofError> {
    value.as_array().map_or(Ok(Vec::new()), |list| list.iter().map(hash).collect())
}

/// The name of the error, or of what is right.
fn name(result: &Result<(), ProofError>) -> &'static str {
    match result {
        Ok(()) => "ok",
        Err(ProofError::Index { .. }) => "index",
        Err(ProofError::Sizes { .. }) => "sizes",
        Err(ProofError::Length { .. }) => "length",
        Err(ProofError::HashLength { .. }) => "hash length",
        Err(ProofError::Root { .. }) => "root",
        Err(ProofError::OldRoot { .. }) => "old root",
        Err(_) => "other",
    }
}

fn inclusion(value: &Value) -> Result<(), ProofError> {
    let number = |name: &str| value[name].as_u64().unwrap();
    let path = path(&value["proof"])?;
    let proof = InclusionProof { index: number("leafIdx"), size: number("treeSize"), path };
    proof.verify::<Sha256>(&hash(&value["leafHash"])?, &hash(&value["root"])?)
}

fn consistency(value: &Value) -> Result<(), ProofError> {
    let number = |name: &str| value[name].as_u64().unwrap();
    let path = path(&value["proof"])?;
    let proof = ConsistencyProof { old: number("size1"), new: number("size2"), path };
    proof.verify::<Sha256>(&hash(&value["root1"])?, &hash(&value["root2"])?)
}

fn check(folder: &str, verify: fn(&Value) -> Result<(), ProofError>, expected: &[(&str, &str)]) {
    let Some(folder) = data(&format!("merkle/{folder}")) else { return };
    let vectors = vectors(&folder);
    let mut found = Vec::new();
    for (file, value) in &vectors {
        let result = verify(value);
        assert_eq!(result.is_err(), value["wantErr"].as_bool().unwrap(), "{file}: {result:?}");
        found.push((file.as_str(), name(&result)));
    }
    assert_eq!(found, expected);
}

const INCLUSION: [(&str, &str); 35] = [
    ("0/empty-root", "root"),
    ("0/happy-path", "ok"),
    ("0/leafIdx-XOR-@2", "index"),
    ("0/leafIdx-plus-@1", "index"),
    ("0/leafIdx-sub-@1", "index"),
    ("0/preceding-garbage", "hash length"),
    ("0/preceding-root", "length"),
    ("0/random-root", "root"),
    ("0/trailing-garbage", "hash length"),
    ("0/trailing-root", "length"),
    ("0/treeSize-div-@2", "index"),
    ("0/treeSize-mul-@2", "length"),
    ("0/wrong-leaf", "hash length"),
    ("1/empty-root", "root"),
    ("1/happy-path", "ok"),
    ("1/inserted-component", "length"),
    ("1/leafIdx-XOR-@2", "root"),
    ("1/leafIdx-plus-@1", "root"),
    ("1/leafIdx-sub-@1", "index"),
    ("1/modified-proof[0]-bit-@3", "root"),
    ("1/modified-proof[1]-bit-@3", "root"),
    ("1/modified-proof[2]-bit-@3", "root"),
    ("1/preceding-garbage", "hash length"),
    ("1/preceding-root", "length"),
    ("1/random-root", "root"),
    ("1/removed-component", "length"),
    ("1/trailing-garbage", "hash length"),
    ("1/trailing-root", "length"),
    ("1/treeSize-div-@2", "length"),
    ("1/treeSize-mul-@2", "length"),
    ("1/wrong-leaf", "hash length"),
    ("single-entry/empty-leaf", "hash length"),
    ("single-entry/empty-root", "hash length"),
    ("single-entry/empty-root-and-leaf", "hash length"),
    ("single-entry/matching-root-and-leaf", "ok"),
];

#[test]
fn inclusion_vectors() {
    check("inclusion", inclusion, &INCLUSION);
}

const CONSISTENCY: [(&str, &str); 22] = [
    ("0/happy-path", "ok"),
    ("1/empty-proof", "length"),
    ("1/happy-path", "ok"),
    ("1/modified-proof@0-bit-@4", "root"),
    ("1/modified-proof@1-bit-@4", "root"),
    ("1/modified-proof@2-bit-@4", "root"),
    ("1/preceding-garbage", "hash length"),
    ("1/preceding-proof-@0", "length"),
    ("1/preceding-root1", "length"),
    ("1/preceding-root2", "length"),
    ("1/size1-XOR-@2", "length"),
    ("1/size1-plus-@1", "length"),
    ("1/size1-sub-@1", "length"),
    ("1/size2-div-@2", "length"),
    ("1/size2-mul-@2", "length"),
    ("1/swapped-roots", "root"),
    ("1/trailing-garbage", "hash length"),
    ("1/trailing-root1", "length"),
    ("1/trailing-root2", "length"),
    ("1/truncated-proof", "length"),
    ("1/wrong-root1", "hash length"),
    ("1/wrong-root2", "hash length"),
];

#[test]
fn consistency_vectors() {
    check("consistency", consistency, &CONSISTENCY);
}
