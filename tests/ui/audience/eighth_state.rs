//! ASM2-3.8: there is no eighth state.
use prospera::audience::Audience;

enum Omnipotent {}

fn attempt(audience: Audience<Omnipotent>) {}

fn main() {}
