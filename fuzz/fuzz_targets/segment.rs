//! Bytes are part of a packed segment, or they are not: nothing worse.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prospera::testing::properties::segment_bytes;

fuzz_target!(|bytes: &[u8]| {
    segment_bytes(bytes).unwrap();
});
