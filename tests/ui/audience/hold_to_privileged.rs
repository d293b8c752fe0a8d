//! ASM2-5.4: HOLD never becomes PRIVILEGED.
use prospera::audience::evidence::At;
use prospera::audience::states::*;
use prospera::audience::{Audience, Clearance};

fn attempt(audience: Audience<Hold>, clearance: Clearance<Hold, Privileged>, at: &At) {
    let _ = audience.elevate(clearance, at);
}

fn main() {}
