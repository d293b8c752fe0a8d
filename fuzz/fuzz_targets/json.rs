//! The strict JSON reader and `serde_json` agree.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prospera::testing::properties::json_agrees;

fuzz_target!(|bytes: &[u8]| json_agrees(bytes).unwrap());
