use alloc::vec;
use alloc::vec::Vec;

use super::*;

/// The input of BLAKE3's own test vectors.
fn counted(len: usize) -> Vec<u8> {
    (0..=250).cycle().take(len).collect()
}

fn hex(digest: &Digest) -> alloc::string::String {
    alloc::string::ToString::to_string(digest)
}

/// `test_vectors.json` of the reference implementation, `derive_key`, the first 32 bytes.
#[test]
fn the_official_vectors_come_out() {
    let vectors = [
        (0, "2cc39783c223154fea8dfb7c1b1660f2ac2dcbd1c1de8277b0b0dd39b7e50d7d"),
        (1, "b3e2e340a117a499c6cf2398a19ee0d29cca2bb7404c73063382693bf66cb06c"),
        (1023, "74a16c1c3d44368a86e1ca6df64be6a2f64cce8f09220787450722d85725dea5"),
        (1024, "7356cd7720d5b66b6d0697eb3177d9f8d73a4a5c5e968896eb6a6896843027066"),
        (1025, "effaa245f065fbf82ac186839a249707c3bddf6d3fdda22d1b95a3c970379bcb"),
        (2048, "7b2945cb4fef70885cc5d78a87bf6f6207dd901ff239201351ffac04e1088a23"),
        (3073, "72613c9ec9ff7e40f8f5c173784c532ad852e827dba2bf85b2ab4b76f7079081"),
    ];
    let context = "BLAKE3 2019-12-27 16:29:52 test vectors context";
    let key = blake3::hazmat::hash_derive_key_context(context);
    let inputs: Vec<_> = vectors.iter().map(|(len, _)| counted(*len)).collect();
    // All together, each sixteen times side by side, and each alone.
    let mut groups = vec![inputs.iter().map(Vec::as_slice).collect::<Vec<_>>()];
    groups.extend(inputs.iter().map(|input| vec![input.as_slice(); LANES]));
    groups.extend(inputs.iter().map(|input| vec![input.as_slice()]));
    for group in groups {
        let mut digests = vec![Digest::ZERO; group.len()];
        hash(&key, &group, &mut digests);
        for (message, digest) in group.iter().zip(&digests) {
            let (_, expected) = vectors.iter().find(|(len, _)| *len == message.len()).unwrap();
            assert_eq!(hex(digest), expected[..64], "{} bytes", message.len());
        }
    }
}

/// The file itself, all lengths of it, where it is: as many at once as there are.
#[cfg(feature = "std")]
#[test]
fn the_whole_official_file_comes_out() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths = ["../shared", "../../shared"].map(|path| root.join(path));
    let name = "data/tlog/blake3/test_vectors.json";
    let Some(text) = paths.iter().find_map(|path| std::fs::read(path.join(name)).ok()) else {
        std::println!("skipped: no vectors at ../shared/{name}");
        return;
    };
    let all: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let key = blake3::hazmat::hash_derive_key_context(all["context_string"].as_str().unwrap());
    let cases = all["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 35);
    let length = |case: &serde_json::Value| case["input_len"].as_u64().unwrap().try_into().unwrap();
    let inputs: Vec<_> = cases.iter().map(|case| counted(length(case))).collect();
    let messages: Vec<_> = inputs.iter().map(Vec::as_slice).collect();
    let mut digests = vec![Digest::ZERO; messages.len()];
    hash(&key, &messages, &mut digests);
    for (case, digest) in cases.iter().zip(&digests) {
        let expected = case["derive_key"].as_str().unwrap();
        assert_eq!(hex(digest), expected[..64], "{} bytes", length(case));
    }
}

#[test]
fn what_has_no_counterpart_is_left() {
    let mark = Digest::from_bytes([7; 32]);
    let mut digests = [mark; 3];
    Domain::Record.hash_many(&[b"a", b"b"], &mut digests);
    assert_eq!(digests, [Domain::Record.hash(b"a"), Domain::Record.hash(b"b"), mark]);
    let mut digests = [mark; 1];
    Domain::Record.hash_many(&[b"a", b"b"], &mut digests);
    assert_eq!(digests, [Domain::Record.hash(b"a")]);
}

/// Otherwise all the tests above would be about the crate `blake3` alone.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
#[test]
fn vectors_are_used_where_there_are_any() {
    let key = blake3::hazmat::hash_derive_key_context("x");
    let mut out = [[0; 32]; LANES];
    let used = crate::digest::lanes::hash(&key, &[b"abc"; LANES], LANES, &mut out);
    assert_eq!(used, std::arch::is_x86_feature_detected!("avx2"));
    let expected = if used { blake3::derive_key("x", b"abc") } else { [0; 32] };
    assert_eq!(out, [expected; LANES]);
}
