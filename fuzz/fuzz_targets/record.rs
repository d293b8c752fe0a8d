//! Bytes are a record, or a body of one, in one way or not at all.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prospera::testing::properties::record_bytes;

fuzz_target!(|bytes: &[u8]| record_bytes(bytes).unwrap());
