//! Base64 of RFC 4648 §4, in one form only: padded, no other characters, no bits left over.

use alloc::string::String;
use alloc::vec::Vec;

use ct_codecs::{Base64, Decoder as _, Encoder as _};

/// The digits of these bytes.
pub(crate) fn encode(bytes: &[u8]) -> String {
    let mut digits = alloc::vec![0; bytes.len().div_ceil(3).saturating_mul(4)];
    match Base64::encode_to_str(&mut digits, bytes) {
        Ok(text) => text.into(),
        // There is room for exactly the digits.
        Err(_) => String::new(),
    }
}

/// The bytes these digits stand for; `None` when they are not in the one form.
pub(crate) fn decode(digits: &str) -> Option<Vec<u8>> {
    let mut bytes = alloc::vec![0; (digits.len() / 4).saturating_mul(3)];
    let length = Base64::decode(&mut bytes, digits, None).ok()?.len();
    bytes.truncate(length);
    Some(bytes)
}

/// As [`decode`], into a place that the caller wipes; the length read.
pub(super) fn decode_to(bytes: &mut [u8], digits: &str) -> Option<usize> {
    Some(Base64::decode(bytes, digits, None).ok()?.len())
}
