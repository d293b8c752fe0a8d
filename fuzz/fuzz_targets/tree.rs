//! The log's tree and its proofs against the text of RFC 6962.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prospera::testing::properties::tree_from_bytes;

fuzz_target!(|bytes: &[u8]| tree_from_bytes(bytes).unwrap());
