//! Tables of routes of several sizes.

use std::hint::black_box;

use prospera::digest::{Digest, Domain};
use prospera::id::{KindId, SnapshotId};
use prospera::intent::{RoutingComponents, RoutingId};
use prospera::routing::RoutingTable;
use prospera::routing::table::Row;
use prospera::testing::world;
use prospera::verdict::{Consensus, SafetyFlags};

/// The sizes of tables.
pub(crate) const SIZES: [usize; 3] = [10, 1_000, 100_000];

/// Rows for kinds that nobody asks for, each to a module of the sample.
pub(crate) fn rows(count: usize) -> Vec<Row> {
    let plain = world::row("kind-0", "bank").unwrap();
    let each = |number| {
        let name = format!("kind-{number}");
        let mut row: Row = plain.clone();
        row.id = name.parse().unwrap();
        row.pattern.kind = Some(name.parse().unwrap());
        row
    };
    (0..count).map(each).collect()
}

/// A table of `count` rows, and one intent's components that its last row matches.
pub(crate) struct Lookup {
    table: RoutingTable,
    kind: KindId,
    components: RoutingComponents,
    id: RoutingId,
}

impl Lookup {
    pub(crate) fn new(count: usize) -> Self {
        let table = RoutingTable::build("1".parse().unwrap(), rows(count)).unwrap();
        let components = RoutingComponents {
            intent: Domain::Other.hash(b"intent"),
            objective: Domain::Other.hash(b"objective"),
            snapshot: SnapshotId::new(Digest::ZERO),
            flags: SafetyFlags::EFFECT,
            consensus: Consensus::NONE,
        };
        let kind = format!("kind-{}", count - 1).parse().unwrap();
        Self { table, kind, id: components.id(), components }
    }

    /// The row alone.
    pub(crate) fn find(&self) -> bool {
        self.table.find(black_box(&self.kind), black_box(&self.components)).is_some()
    }

    /// With the check that the Routing ID is that of the components: one hash.
    pub(crate) fn resolve(&self) -> bool {
        self.table.resolve(black_box(&self.kind), black_box(&self.components), self.id).is_ok()
    }
}
