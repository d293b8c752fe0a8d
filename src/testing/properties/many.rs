//! Many messages hashed at once have the digests they have one by one.

use std::format;
use std::vec::Vec;

use super::super::{Held, must};
use crate::digest::{Digest, Domain};

const PROPERTY: &str = "many_is_one_by_one";

/// Each of these messages has the same digest hashed with the others as alone.
///
/// # Errors
/// [`Broken`](super::super::Broken) with the place and length of the first that has not.
pub fn many_is_one_by_one(messages: &[&[u8]]) -> Held {
    let mut digests: Vec<_> = messages.iter().map(|_| Digest::ZERO).collect();
    Domain::Record.hash_many(messages, &mut digests);
    for (place, (message, found)) in messages.iter().zip(&digests).enumerate() {
        let expected = Domain::Record.hash(message);
        must(PROPERTY, *found == expected, || {
            let (count, len) = (messages.len(), message.len());
            format!("message {place} of {count}, {len} bytes: {expected} alone, {found} among all")
        })?;
    }
    Ok(())
}

/// The same for messages cut out of bytes: two bytes say how long a message is, modulo
/// a little more than a chunk, and it is what follows them, as much as there is.
///
/// # Errors
/// As [`many_is_one_by_one`].
pub fn many_from_bytes(mut bytes: &[u8]) -> Held {
    let mut messages = Vec::new();
    while let Some((len, rest)) = bytes.split_first_chunk() {
        let len = usize::from(u16::from_le_bytes(*len) % 1100);
        let message = rest.get(..len).unwrap_or(rest);
        messages.push(message);
        // The next one overlaps it, so that few bytes are many messages.
        bytes = rest.get(len.min(7)..).unwrap_or_default();
    }
    many_is_one_by_one(&messages)
}
