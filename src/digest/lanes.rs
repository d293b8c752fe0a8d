//! Sixteen messages of at most one chunk (1,024 bytes), each in a lane of its own.
//!
//! Lane `i` of every vector belongs to message `i`: the compression function is that of
//! BLAKE3 (section 2.2 of its paper) with each word replaced by a vector of the lanes'
//! words. All lanes walk through their blocks together. A lane whose message ends takes
//! its digest out after its last block; what it computes from then on is not looked at.
//!
//! The body is compiled twice, for AVX2 (eight lanes, run twice) and for AVX-512, and
//! [`multiversion`] calls the one that the processor has. The vectors' own operations are
//! those of `core::arch`; none of them is unsafe in a function that is compiled for them.

use multiversion::multiversion;
use multiversion::target::match_target;

use super::many::LANES;

mod avx2;
mod avx512;

/// The first half of BLAKE3's initialization vector; the compression function needs no more.
const IV: [u32; 4] = [0x6a09_e667, 0xbb67_ae85, 0x3c6e_f372, 0xa54f_f53a];

/// `CHUNK_START`: the first block.
const START: u32 = 1;
/// `CHUNK_END` and `ROOT`: the last block of a message that is its own root.
const END: u32 = 2 | 8;
/// `DERIVE_KEY_MATERIAL`: every block.
const MATERIAL: u32 = 64;

const BLOCK: usize = 64;

/// Hashes the first `count` messages under a derived key; none may be longer than a chunk.
/// Answers `false`, and has done nothing, where the processor has no vectors for it.
pub(super) fn hash(
    key: &[u8; 32],
    messages: &[&[u8]; LANES],
    count: usize,
    out: &mut [[u8; 32]; LANES],
) -> bool {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(key.as_chunks::<4>().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    dispatch(&words, messages, count, out)
}

#[multiversion(targets("x86_64+avx512f+avx512bw+avx512vl", "x86_64+avx2"), dispatcher = "direct")]
fn dispatch(
    key: &[u32; 8],
    messages: &[&[u8]; LANES],
    count: usize,
    out: &mut [[u8; 32]; LANES],
) -> bool {
    // Not every version below looks at all of them.
    let _ = (key, messages, count, &out);
    match_target! {
        "x86_64+avx512f+avx512bw+avx512vl" => {
            avx512::hash(key, messages, out);
            true
        }
        "x86_64+avx2" => {
            avx2::halves(key, messages, count, out);
            true
        }
        _ => false,
    }
}

/// Block `number` of a message: a part of it, or in `pad`, filled up with zeros. A pad is
/// zeros at first and is written to once, for the last block of its lane.
#[inline]
fn block<'a>(message: &'a [u8], number: usize, pad: &'a mut [u8; BLOCK]) -> &'a [u8; BLOCK] {
    let rest = message.get(number * BLOCK..).unwrap_or_default();
    if let Some(full) = rest.first_chunk() {
        return full;
    }
    if let Some(head) = pad.get_mut(..rest.len()) {
        head.copy_from_slice(rest);
    }
    pad
}

/// Where each lane's message ends: the number of its last block, and the bytes in that.
struct Ends<const N: usize> {
    last: [u32; N],
    tail: [u32; N],
}

impl<const N: usize> Ends<N> {
    #[inline]
    fn of(messages: &[&[u8]; N]) -> Self {
        let (mut last, mut tail) = ([0; N], [0; N]);
        for ((last, tail), message) in last.iter_mut().zip(&mut tail).zip(messages) {
            let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
            *last = len.saturating_sub(1) / 64;
            *tail = len - *last * 64;
        }
        Self { last, tail }
    }

    /// How many blocks the longest message has; none has more than a chunk.
    #[inline]
    fn blocks(&self) -> u32 {
        self.last.iter().fold(0, |most, &last| most.max(last)).min(15) + 1
    }

    /// Each lane's block length and flags at this block.
    #[inline]
    fn at(&self, block: u32) -> ([u32; N], [u32; N]) {
        let flag = if block == 0 { MATERIAL | START } else { MATERIAL };
        let (mut lengths, mut flags) = ([64; N], [flag; N]);
        let lanes = lengths.iter_mut().zip(&mut flags).zip(self.last.iter().zip(&self.tail));
        for ((length, flag), (&last, &tail)) in lanes {
            if last == block {
                *length = tail;
                *flag |= END;
            }
        }
        (lengths, flags)
    }

    #[inline]
    fn any(&self, block: u32) -> bool {
        self.last.contains(&block)
    }
}

/// The quarter round of BLAKE3, on vectors.
macro_rules! quarter {
    ($v:ident, $a:literal, $b:literal, $c:literal, $d:literal, $x:expr, $y:expr) => {
        $v[$a] = add(add($v[$a], $v[$b]), $x);
        $v[$d] = rotate16(xor($v[$d], $v[$a]));
        $v[$c] = add($v[$c], $v[$d]);
        $v[$b] = rotate12(xor($v[$b], $v[$c]));
        $v[$a] = add(add($v[$a], $v[$b]), $y);
        $v[$d] = rotate8(xor($v[$d], $v[$a]));
        $v[$c] = add($v[$c], $v[$d]);
        $v[$b] = rotate7(xor($v[$b], $v[$c]));
    };
}

/// A round: columns, then diagonals.
macro_rules! round {
    ($v:ident, $m:ident) => {
        quarter!($v, 0, 4, 8, 12, $m[0], $m[1]);
        quarter!($v, 1, 5, 9, 13, $m[2], $m[3]);
        quarter!($v, 2, 6, 10, 14, $m[4], $m[5]);
        quarter!($v, 3, 7, 11, 15, $m[6], $m[7]);
        quarter!($v, 0, 5, 10, 15, $m[8], $m[9]);
        quarter!($v, 1, 6, 11, 12, $m[10], $m[11]);
        quarter!($v, 2, 7, 8, 13, $m[12], $m[13]);
        quarter!($v, 3, 4, 9, 14, $m[14], $m[15]);
    };
}

/// The words of the message as the next round takes them.
macro_rules! permute {
    ($m:ident) => {
        $m = [
            $m[2], $m[6], $m[3], $m[10], $m[7], $m[0], $m[4], $m[13], $m[1], $m[11], $m[12], $m[5],
            $m[9], $m[14], $m[15], $m[8],
        ];
    };
}

/// The walk through the blocks, over the operations of the module it stands in. Loops
/// instead of closures: what `core` makes of a closure is compiled without the vectors.
macro_rules! walk {
    ($features:literal, $lanes:literal) => {
        /// Hashes the messages, none of them longer than a chunk, each in its lane.
        #[target_feature(enable = $features)]
        #[inline]
        pub(super) fn hash(
            key: &[u32; 8],
            messages: &[&[u8]; $lanes],
            out: &mut [[u8; 32]; $lanes],
        ) {
            let ends = Ends::of(messages);
            let mut chain = [splat(0); 8];
            for (chain, word) in chain.iter_mut().zip(key) {
                *chain = splat(*word);
            }
            let mut pads = [[0; BLOCK]; $lanes];
            for (number, at) in (0..ends.blocks()).zip(0..) {
                let mut rows = [&[0; BLOCK]; $lanes];
                for ((row, message), pad) in rows.iter_mut().zip(messages).zip(&mut pads) {
                    *row = block(message, at, pad);
                }
                let (lengths, flags) = ends.at(number);
                compress(&mut chain, words(&rows), load(lengths), load(flags));
                if ends.any(number) {
                    let lanes = out.iter_mut().zip(digests(&chain)).zip(ends.last);
                    for ((out, digest), last) in lanes {
                        if last == number {
                            *out = digest;
                        }
                    }
                }
            }
        }

        /// One block of every lane. The counter of chunks is always zero.
        #[target_feature(enable = $features)]
        #[inline]
        fn compress(chain: &mut [V; 8], mut m: [V; 16], length: V, flags: V) {
            let [c0, c1, c2, c3, c4, c5, c6, c7] = *chain;
            let [i0, i1, i2, i3] = IV;
            let (i0, i1, i2, i3) = (splat(i0), splat(i1), splat(i2), splat(i3));
            let none = splat(0);
            let mut v = [c0, c1, c2, c3, c4, c5, c6, c7, i0, i1, i2, i3, none, none, length, flags];
            round!(v, m);
            permute!(m);
            round!(v, m);
            permute!(m);
            round!(v, m);
            permute!(m);
            round!(v, m);
            permute!(m);
            round!(v, m);
            permute!(m);
            round!(v, m);
            permute!(m);
            round!(v, m);
            let (low, high) = v.split_at(8);
            for (word, (low, high)) in chain.iter_mut().zip(low.iter().zip(high)) {
                *word = xor(*low, *high);
            }
        }
    };
}
use {permute, quarter, round, walk};

#[cfg(test)]
mod tests {
    use super::*;
    use crate::digest::Domain;

    /// Where both are there only the wider one is chosen: this tries the other.
    #[multiversion(targets("x86_64+avx2"), dispatcher = "direct")]
    fn with_avx2(
        key: &[u32; 8],
        messages: &[&[u8]; LANES],
        count: usize,
        out: &mut [[u8; 32]; LANES],
    ) -> bool {
        let _ = (key, messages, count, &out);
        match_target! {
            "x86_64+avx2" => {
                avx2::halves(key, messages, count, out);
                true
            }
            _ => false,
        }
    }

    #[test]
    fn eight_lanes_hash_as_one() {
        let bytes: alloc::vec::Vec<u8> = (0..=250).cycle().take(1024).collect();
        let key = blake3::hazmat::hash_derive_key_context(Domain::Other.context());
        let mut words = [0; 8];
        for (word, bytes) in words.iter_mut().zip(key.as_chunks::<4>().0) {
            *word = u32::from_le_bytes(*bytes);
        }
        for first in 0..=1024_usize {
            let (count, len) = (first % LANES + 1, |lane: usize| (first + lane * 133) % 1025);
            let messages: [&[u8]; LANES] = core::array::from_fn(|lane| &bytes[..len(lane)]);
            let mut out = [[0; 32]; LANES];
            let used = with_avx2(&words, &messages, count, &mut out);
            assert_eq!(used, std::arch::is_x86_feature_detected!("avx2"));
            for (message, digest) in messages.iter().zip(out).take(count).filter(|_| used) {
                assert_eq!(&digest, Domain::Other.hash(message).as_bytes(), "{}", message.len());
            }
        }
    }
}
