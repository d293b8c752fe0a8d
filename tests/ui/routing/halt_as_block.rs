//! A halt with a correction, treated as a block (D-20).

use prospera::routing::layers::*;
use prospera::routing::*;

fn block(halt: terminal::MemoryHalt) -> terminal::Denied {
    halt
}

fn main() {}
