//! Rows are a table exactly when no two can match the same components.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prospera::id::KindId;
use prospera::intent::RoutingComponents;
use prospera::routing::table::Row;
use prospera::testing::properties::tables_are_unambiguous;

fuzz_target!(|input: (Vec<Row>, Vec<(KindId, RoutingComponents)>)| {
    tables_are_unambiguous(&input.0, &input.1).unwrap();
});
