//! Back to a layer that was never passed (D-25).

use prospera::routing::layers::*;
use prospera::routing::*;

fn back(route: Route<Memory>, leave: prospera::governance::BacktrackAuthorization) {
    let _ = route.backtrack::<Governance>(leave);
}

fn main() {}
