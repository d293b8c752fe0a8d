//! The effect before its evidence is durable (D-27).

use prospera::routing::layers::*;
use prospera::routing::*;

fn early(route: Route<Pipeline>, engine: &prospera::execution::Registry) {
    let now = prospera::time::Timestamp::default();
    let _ = route.execute(engine, prospera::audience::state::State::Base, now);
}

fn main() {}
