//! One token for two routes (D-28).

use prospera::routing::layers::*;
use prospera::routing::*;

fn twice(
    one: Route<Governance>,
    two: Route<Governance>,
    table: &RoutingTable,
    token: prospera::governance::ApprovalToken,
    mint: &prospera::governance::TokenMint,
) {
    let engine = prospera::pipeline::PathPlanner;
    let (state, now) = (prospera::audience::state::State::Base, prospera::time::Timestamp::default());
    let _ = one.plan(&engine, table, state, token, mint, now);
    let _ = two.plan(&engine, table, state, token, mint, now);
}

fn main() {}
