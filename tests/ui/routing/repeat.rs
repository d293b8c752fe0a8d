//! A layer a second time (IRM-2).

use prospera::routing::layers::*;
use prospera::routing::*;

fn again(route: Route<Memory>, engine: &prospera::memory::MemorySystem, facts: &prospera::memory::Facts) {
    let _ = route.recall(engine, facts);
}

fn main() {}
