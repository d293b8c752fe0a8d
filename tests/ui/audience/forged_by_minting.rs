//! D-4, ASM2-10.6: only governance's room mints its evidence, only replay makes a handle.
use prospera::audience::Audience;
use prospera::audience::evidence::GovernanceReview;
use prospera::audience::states::Privileged;

fn attempt() {
    let _ = GovernanceReview::mint;
    let _ = Audience::<Privileged>::mint;
}

fn main() {}
