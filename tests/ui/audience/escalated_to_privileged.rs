//! ASM2-5.2: ESCALATED never becomes PRIVILEGED.
use prospera::audience::evidence::At;
use prospera::audience::states::*;
use prospera::audience::{Audience, Clearance};

fn attempt(audience: Audience<Escalated>, clearance: Clearance<Escalated, Privileged>, at: &At) {
    let _ = audience.elevate(clearance, at);
}

fn main() {}
