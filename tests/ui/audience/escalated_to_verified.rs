//! ASM2-5.3: ESCALATED never becomes VERIFIED.
use prospera::audience::evidence::At;
use prospera::audience::states::*;
use prospera::audience::{Audience, Clearance};

fn attempt(audience: Audience<Escalated>, clearance: Clearance<Escalated, Verified>, at: &At) {
    let _ = audience.verify(clearance, at);
}

fn main() {}
