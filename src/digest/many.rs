//! Many messages at once: the same digests as one by one, several times as fast.
//!
//! BLAKE3 is fast on a long message because it hashes many of its chunks of 1,024 bytes
//! at once. A log is the other case: many messages, each shorter than one chunk, and the
//! `blake3` crate hashes one of them at a time. [`Domain::hash_many`] puts sixteen of them
//! side by side, one in each lane of the processor's vectors.
//!
//! Messages are taken in batches, sorted by how many blocks of 64 bytes they have,
//! so that those side by side end together. Longer ones than a chunk, and all of them
//! where there are no such vectors (AVX2 or AVX-512 on x86-64, found at run time), go to
//! the `blake3` crate one by one.
//!
//! INVARIANT (one function): a digest does not depend on which other messages were hashed
//! with its own, nor on the machine: it is that of [`Domain::hash`].

use super::{Digest, Domain};

/// How many messages are sorted and hashed together.
const BATCH: usize = 256;

/// The bytes of a block, and how many blocks are a chunk.
const BLOCK: usize = 64;
const CHUNK_BLOCKS: usize = 16;

/// How many messages stand side by side.
pub(super) const LANES: usize = 16;

/// So few are as fast one by one.
const FEW: usize = 2;

impl Domain {
    /// Hashes each message in this domain, into the digest at its place. When one of the
    /// two has more items than the other, these are left as they are.
    ///
    /// ```
    /// use prospera::digest::{Digest, Domain};
    /// let mut digests = [Digest::ZERO; 2];
    /// Domain::Record.hash_many(&[b"one", b"two"], &mut digests);
    /// assert_eq!(digests, [Domain::Record.hash(b"one"), Domain::Record.hash(b"two")]);
    /// ```
    pub fn hash_many(self, messages: &[&[u8]], digests: &mut [Digest]) {
        hash(self.context_key(), messages, digests);
    }
}

fn hash(key: &[u8; 32], messages: &[&[u8]], digests: &mut [Digest]) {
    let count = messages.len().min(digests.len());
    let (Some(messages), Some(digests)) = (messages.get(..count), digests.get_mut(..count)) else {
        return;
    };
    for (messages, digests) in messages.chunks(BATCH).zip(digests.chunks_mut(BATCH)) {
        batch(key, messages, digests);
    }
}

fn batch(key: &[u8; 32], messages: &[&[u8]], digests: &mut [Digest]) {
    let (order, short) = by_blocks(messages);
    let (short, long) = order.split_at_checked(short).unwrap_or_default();
    for group in short.chunks(LANES) {
        if group.len() <= FEW || !side_by_side(key, messages, group, digests) {
            one_by_one(key, messages, group, digests);
        }
    }
    let long = long.get(..messages.len().saturating_sub(short.len())).unwrap_or_default();
    one_by_one(key, messages, long, digests);
}

/// The places of up to [`BATCH`] messages, those with fewer blocks first, and how many of
/// them have no more blocks than one chunk.
fn by_blocks(messages: &[&[u8]]) -> ([u8; BATCH], usize) {
    // Slot `n` counts the messages of `n` blocks, the last one those that are longer;
    // then it says where in the order the next of them goes.
    let mut slots = [0_usize; CHUNK_BLOCKS + 2];
    for message in messages {
        if let Some(count) = slots.get_mut(slot(message)) {
            *count += 1;
        }
    }
    let mut before = 0;
    for slot in &mut slots {
        before += core::mem::replace(slot, before);
    }
    let [.., short] = slots;
    let mut order = [0; BATCH];
    for (message, place) in messages.iter().zip(0..=u8::MAX) {
        let Some(next) = slots.get_mut(slot(message)) else { continue };
        if let Some(at) = order.get_mut(*next) {
            *at = place;
        }
        *next += 1;
    }
    (order, short)
}

/// The empty message has one block, too.
fn slot(message: &[u8]) -> usize {
    message.len().div_ceil(BLOCK).clamp(1, CHUNK_BLOCKS + 1)
}

fn one_by_one(key: &[u8; 32], messages: &[&[u8]], group: &[u8], digests: &mut [Digest]) {
    use blake3::hazmat::HasherExt as _;
    for &place in group {
        let place = usize::from(place);
        if let (Some(message), Some(digest)) = (messages.get(place), digests.get_mut(place)) {
            let hash = blake3::Hasher::new_from_context_key(key).update(message).finalize();
            *digest = Digest(*hash.as_bytes());
        }
    }
}

/// Whether this machine could.
#[cfg(all(feature = "std", target_arch = "x86_64"))]
fn side_by_side(key: &[u8; 32], messages: &[&[u8]], group: &[u8], digests: &mut [Digest]) -> bool {
    let mut side: [&[u8]; LANES] = [&[]; LANES];
    for (lane, &place) in side.iter_mut().zip(group) {
        *lane = messages.get(usize::from(place)).copied().unwrap_or_default();
    }
    let mut out = [[0; 32]; LANES];
    if !super::lanes::hash(key, &side, group.len(), &mut out) {
        return false;
    }
    for (lane, &place) in out.iter().zip(group) {
        if let Some(digest) = digests.get_mut(usize::from(place)) {
            *digest = Digest(*lane);
        }
    }
    true
}

#[cfg(not(all(feature = "std", target_arch = "x86_64")))]
const fn side_by_side(_: &[u8; 32], _: &[&[u8]], _: &[u8], _: &mut [Digest]) -> bool {
    false
}

#[cfg(test)]
mod tests;
