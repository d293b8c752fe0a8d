//! ASM2-1.2: a verb consumes the handle, so no audience is in two states.
use prospera::audience::Audience;
use prospera::audience::states::Verified;

fn attempt(audience: Audience<Verified>) {
    let _ = audience.step_back();
    let _ = audience.step_back();
}

fn main() {}
