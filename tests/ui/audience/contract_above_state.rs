//! D-10: an escalated audience satisfies no contract.
use prospera::audience::Audience;
use prospera::audience::states::{AudienceState, Escalated, Satisfies, Verified};

fn call<S: Satisfies<Required>, Required: AudienceState>(_: &Audience<S>) {}

fn attempt(audience: &Audience<Escalated>) {
    call::<_, Verified>(audience);
}

fn main() {}
