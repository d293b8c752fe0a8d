//! Messages hashed many at once have the digests they have one by one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prospera::testing::properties::many_from_bytes;

fuzz_target!(|bytes: &[u8]| many_from_bytes(bytes).unwrap());
