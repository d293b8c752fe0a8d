//! Governance right after Memory: Safety cannot be bypassed (IRM-7.1).

use prospera::routing::layers::*;
use prospera::routing::*;

fn skip(
    route: Route<Memory>,
    engine: &prospera::governance::Governor,
    view: &GovernanceView<'_>,
    table: &RoutingTable,
    mint: &prospera::governance::TokenMint,
) {
    let _ = route.govern(engine, view, table, mint);
}

fn main() {}
