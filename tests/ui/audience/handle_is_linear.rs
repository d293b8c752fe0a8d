//! ASM2-1.2: a handle is neither cloned nor defaulted nor read from bytes.
use prospera::audience::states::Base;
use prospera::audience::{AnyAudience, Audience};

fn cloned<T: Clone>() {}
fn defaulted<T: Default>() {}
fn read<T: serde::de::DeserializeOwned>() {}

fn attempt() {
    cloned::<Audience<Base>>();
    defaulted::<Audience<Base>>();
    read::<Audience<Base>>();
    cloned::<AnyAudience>();
}

fn main() {}
