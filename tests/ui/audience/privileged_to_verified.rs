//! ASM2-5.7: PRIVILEGED never becomes VERIFIED by a cause alone (D-2).
use prospera::audience::causes::DowngradeCause;
use prospera::audience::states::*;
use prospera::audience::Audience;

fn attempt(audience: Audience<Privileged>, cause: DowngradeCause) {
    let _ = audience.downgrade(cause);
}

fn main() {}
