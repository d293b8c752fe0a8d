//! A log that was changed in one place does not verify.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prospera::ssot::record::Draft;
use prospera::testing::properties::{Mutation, mutations_are_found};

fuzz_target!(|input: (Vec<Draft>, Mutation)| {
    mutations_are_found(input.0, input.1).unwrap();
});
