//! ASM2-5.5: INIT never becomes PRIVILEGED.
use prospera::audience::evidence::At;
use prospera::audience::states::*;
use prospera::audience::{Audience, Clearance};

fn attempt(audience: Audience<Init>, clearance: Clearance<Init, Privileged>, at: &At) {
    let _ = audience.elevate(clearance, at);
}

fn main() {}
