//! D-4, ASM2-10.6: evidence has private fields, so nobody builds his own.
use prospera::audience::classifier::{Class, ClassVerdict};
use prospera::audience::evidence::GovernanceAuthorization;
use prospera::digest::Digest;

fn verdict() -> ClassVerdict {
    ClassVerdict { class: Class::A, digest: Digest::ZERO }
}

fn authorization<T>(grant: T) -> GovernanceAuthorization {
    GovernanceAuthorization(grant)
}

fn main() {}
