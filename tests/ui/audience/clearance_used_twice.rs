//! D-4: a clearance serves once.
use prospera::audience::evidence::At;
use prospera::audience::states::{Base, Verified};
use prospera::audience::{Audience, Clearance};

fn attempt(
    one: Audience<Base>,
    two: Audience<Base>,
    clearance: Clearance<Base, Verified>,
    at: &At,
) {
    let _ = one.verify(clearance, at);
    let _ = two.verify(clearance, at);
}

fn main() {}
