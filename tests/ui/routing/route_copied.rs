//! A route in two places (D-20).

use prospera::routing::layers::*;
use prospera::routing::*;

fn copy(route: Route<Safety>) -> (Route<Safety>, Route<Safety>) {
    (route.clone(), route)
}

fn main() {}
