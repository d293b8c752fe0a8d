//! The whole way from bytes to evidence, outcome and a log that verifies.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prospera::testing::properties::routes_from_bytes;

fuzz_target!(|bytes: &[u8]| routes_from_bytes(bytes).unwrap());
