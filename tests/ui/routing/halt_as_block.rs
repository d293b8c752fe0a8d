//! A halt with a correction, treated as a block (D-20).

use prospera::routing::terminal;

fn block(halt: terminal::MemoryHalt) -> terminal::Denied {
    halt
}

fn main() {}
