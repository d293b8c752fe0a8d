//! D-4: a clearance is bound to one edge.
use prospera::audience::evidence::At;
use prospera::audience::states::{Base, Verified};
use prospera::audience::{Audience, Clearance};

fn attempt(audience: Audience<Verified>, clearance: Clearance<Base, Verified>, at: &At) {
    let _ = audience.elevate(clearance, at);
}

fn main() {}
