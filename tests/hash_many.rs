//! Messages hashed many at once have the digests they have one by one.

#![cfg(feature = "std")]
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use prospera::digest::Domain;
use prospera::testing::properties::{many_from_bytes, many_is_one_by_one};

/// How many stand side by side, and how many are sorted together.
const LANES: usize = 16;
const BATCH: usize = 256;

/// Bytes that differ from one message to the next.
fn message(number: usize, len: usize) -> Vec<u8> {
    let seed = Domain::Other.hash(&number.to_le_bytes());
    seed.as_bytes().iter().copied().cycle().take(len).collect()
}

fn hold(messages: &[Vec<u8>]) {
    let messages: Vec<_> = messages.iter().map(Vec::as_slice).collect();
    many_is_one_by_one(&messages).unwrap();
}

#[test]
fn every_length_up_to_a_chunk_and_one_beyond() {
    hold(&(0..=1025).map(|len| message(len, len)).collect::<Vec<_>>());
    hold(&(0..=1025).rev().map(|len| message(len, len)).collect::<Vec<_>>());
}

#[test]
fn every_count_of_lanes_with_ends_in_every_block() {
    for count in 0..=2 * LANES + 1 {
        for step in [0, 1, 63, 64, 65, 200] {
            let len = |place: usize| place * step % 1025;
            hold(&(0..count).map(|i| message(i, len(i))).collect::<Vec<_>>());
        }
    }
}

#[test]
fn more_than_a_batch_and_messages_of_many_chunks() {
    let lens = [0, 64, 1024, 1025, 2048, 9000, 200, 201];
    for count in [BATCH - 1, BATCH, BATCH + 1, 2 * BATCH + 17] {
        hold(&(0..count).map(|i| message(i, lens[i * 7 % 8])).collect::<Vec<_>>());
    }
}

proptest::proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]
    #[test]
    fn random_groups(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..4000)) {
        many_from_bytes(&bytes).unwrap();
    }
}
