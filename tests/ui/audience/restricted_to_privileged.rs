//! ASM2-5.1: RESTRICTED never becomes PRIVILEGED.
use prospera::audience::evidence::At;
use prospera::audience::states::*;
use prospera::audience::{Audience, Clearance};

fn attempt(audience: Audience<Restricted>, clearance: Clearance<Restricted, Privileged>, at: &At) {
    let _ = audience.elevate(clearance, at);
}

fn main() {}
