//! ASM2-5.6: INIT never becomes VERIFIED.
use prospera::audience::evidence::At;
use prospera::audience::states::*;
use prospera::audience::{Audience, Clearance};

fn attempt(audience: Audience<Init>, clearance: Clearance<Init, Verified>, at: &At) {
    let _ = audience.verify(clearance, at);
}

fn main() {}
