//! Back once the evidence is durable (D-25, D-27).

use prospera::routing::layers::*;
use prospera::routing::*;

fn back(route: Route<Committed>, leave: prospera::governance::BacktrackAuthorization) {
    let _ = route.backtrack::<Modeling>(leave);
}

fn main() {}
