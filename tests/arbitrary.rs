//! `Arbitrary` gives values that hold what their types promise.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use arbitrary::{Arbitrary, Unstructured};
use prospera::digest::Domain;
use prospera::encode::{Decode, Encode};
use prospera::provenance::Label;
use prospera::routing::{EvidenceBlock, Outcome};
use prospera::ssot::record::{Draft, Record};
use prospera::testing::properties::{
    self, Mutation, decimals_are_exact, labels_join, mutations_are_found, record_bytes, round_trip,
};
use prospera::value::{Decimal, Value};
use prospera::verdict::{Consensus, Reason, SafetyFlags};

/// Bytes that look random and are the same in every run.
fn entropy(seed: u32, count: usize) -> Vec<u8> {
    let blocks = (0_u32..)
        .map(|block| Domain::Other.hash(&[seed.to_le_bytes(), block.to_le_bytes()].concat()));
    blocks.flat_map(|digest| *digest.as_bytes()).take(count).collect()
}

/// How many of the seeds gave a value; each was handed to `check`.
fn each<T: for<'a> Arbitrary<'a>>(check: impl Fn(T)) -> usize {
    let made = (0..200).filter_map(|seed| {
        let bytes = entropy(seed, 4096);
        T::arbitrary(&mut Unstructured::new(&bytes)).ok()
    });
    made.map(check).count()
}

fn round_trips<T: for<'a> Arbitrary<'a> + Encode + Decode + PartialEq + core::fmt::Debug>() {
    assert!(each::<T>(|value| round_trip(&value).unwrap()) > 50);
}

#[test]
fn arbitrary_values_are_read_back_as_themselves() {
    round_trips::<Decimal>();
    round_trips::<Value>();
    round_trips::<Label>();
    round_trips::<Reason>();
    round_trips::<SafetyFlags>();
    round_trips::<Consensus>();
    round_trips::<EvidenceBlock>();
    round_trips::<Outcome>();
    assert!(each::<Record>(|record| record_bytes(record.bytes()).unwrap()) > 50);
}

#[test]
fn arbitrary_values_hold_what_their_types_promise() {
    assert!(each::<(Decimal, Decimal)>(|(a, b)| decimals_are_exact(a, b).unwrap()) > 50);
    assert!(each::<(Label, Label, Label)>(|(a, b, c)| labels_join(&a, &b, &c).unwrap()) > 50);
}

#[test]
fn arbitrary_logs_and_tables_keep_their_properties() {
    let logs = |(drafts, mutation): (Vec<Draft>, Mutation)| {
        mutations_are_found(drafts, mutation).unwrap();
    };
    assert!(each(logs) > 50);
    let built = core::cell::Cell::new(0);
    each::<(Vec<_>, Vec<_>)>(|(rows, probes)| {
        properties::tables_are_unambiguous(&rows, &probes).unwrap();
        let version = "1".parse().unwrap();
        built.set(
            built.get()
                + usize::from(prospera::routing::RoutingTable::build(version, rows).is_ok()),
        );
    });
    assert!(built.get() > 5, "{} tables", built.get());
}
