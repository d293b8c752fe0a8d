//! Safety right after Modeling: Memory cannot be bypassed (IRM-7.1).

use prospera::routing::layers::*;
use prospera::routing::*;

fn skip(route: Route<Modeling>, engine: &prospera::safety::SafetySystem, view: &SafetyView<'_>) {
    let _ = route.assess(engine, view);
}

fn main() {}
