//! Eight lanes of 32 bits.
#![expect(clippy::many_single_char_names, reason = "rows and words of a square, in order")]

use core::arch::x86_64::{
    __m256i as V, _mm256_add_epi32, _mm256_extract_epi64, _mm256_or_si256,
    _mm256_permute2x128_si256, _mm256_set1_epi32, _mm256_setr_epi8, _mm256_setr_epi32,
    _mm256_setr_epi64x, _mm256_shuffle_epi8, _mm256_slli_epi32, _mm256_srli_epi32,
    _mm256_unpackhi_epi32, _mm256_unpackhi_epi64, _mm256_unpacklo_epi32, _mm256_unpacklo_epi64,
    _mm256_xor_si256,
};

use super::{BLOCK, Ends, IV, LANES, block, permute, quarter, round, walk};

walk!("avx2", 8);

/// Hashes the first `count` messages, eight at a time.
#[target_feature(enable = "avx2")]
#[inline]
pub(super) fn halves(
    key: &[u32; 8],
    messages: &[&[u8]; LANES],
    count: usize,
    out: &mut [[u8; 32]; LANES],
) {
    let halves = messages.as_chunks::<8>().0.iter().zip(out.as_chunks_mut::<8>().0);
    for (messages, out) in halves.take(count.div_ceil(8)) {
        hash(key, messages, out);
    }
}

#[target_feature(enable = "avx2")]
#[inline]
fn add(a: V, b: V) -> V {
    _mm256_add_epi32(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn xor(a: V, b: V) -> V {
    _mm256_xor_si256(a, b)
}

#[target_feature(enable = "avx2")]
#[inline]
fn rotate16(a: V) -> V {
    let bytes = _mm256_setr_epi8(
        2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9,
        14, 15, 12, 13,
    );
    _mm256_shuffle_epi8(a, bytes)
}

#[target_feature(enable = "avx2")]
#[inline]
fn rotate12(a: V) -> V {
    _mm256_or_si256(_mm256_srli_epi32::<12>(a), _mm256_slli_epi32::<20>(a))
}

#[target_feature(enable = "avx2")]
#[inline]
fn rotate8(a: V) -> V {
    let bytes = _mm256_setr_epi8(
        1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8, 13, 14, 15, 12, 1, 2, 3, 0, 5, 6, 7, 4, 9, 10, 11, 8,
        13, 14, 15, 12,
    );
    _mm256_shuffle_epi8(a, bytes)
}

#[target_feature(enable = "avx2")]
#[inline]
fn rotate7(a: V) -> V {
    _mm256_or_si256(_mm256_srli_epi32::<7>(a), _mm256_slli_epi32::<25>(a))
}

#[target_feature(enable = "avx2")]
#[inline]
fn splat(word: u32) -> V {
    _mm256_set1_epi32(word.cast_signed())
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(words: [u32; 8]) -> V {
    let mut signed = [0; 8];
    for (signed, word) in signed.iter_mut().zip(words) {
        *signed = word.cast_signed();
    }
    let [a, b, c, d, e, f, g, h] = signed;
    _mm256_setr_epi32(a, b, c, d, e, f, g, h)
}

/// The sixteen words of a block, each as a vector of the lanes' words.
#[target_feature(enable = "avx2")]
#[inline]
fn words(rows: &[&[u8; BLOCK]; 8]) -> [V; 16] {
    let (mut left, mut right) = ([splat(0); 8], [splat(0); 8]);
    for ((left, right), row) in left.iter_mut().zip(&mut right).zip(rows) {
        (*left, *right) = (half(row, 0), half(row, 4));
    }
    let [a, b, c, d, e, f, g, h] = transpose(left);
    let [i, j, k, l, m, n, o, p] = transpose(right);
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p]
}

/// Four of the eight words of 64 bits in a block.
#[target_feature(enable = "avx2")]
#[inline]
fn half(row: &[u8; BLOCK], from: usize) -> V {
    let mut words = [0; 4];
    for (word, bytes) in words.iter_mut().zip(row.as_chunks::<8>().0.iter().skip(from)) {
        *word = i64::from_le_bytes(*bytes);
    }
    let [a, b, c, d] = words;
    _mm256_setr_epi64x(a, b, c, d)
}

#[target_feature(enable = "avx2")]
#[inline]
fn transpose(rows: [V; 8]) -> [V; 8] {
    let [a, b, c, d, e, f, g, h] = rows;
    let (ab, ba) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let (cd, dc) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    let (ef, fe) = (_mm256_unpacklo_epi32(e, f), _mm256_unpackhi_epi32(e, f));
    let (gh, hg) = (_mm256_unpacklo_epi32(g, h), _mm256_unpackhi_epi32(g, h));
    // Words 0 and 4, 1 and 5, 2 and 6, 3 and 7 of the first four rows, then of the others.
    let first = [
        _mm256_unpacklo_epi64(ab, cd),
        _mm256_unpackhi_epi64(ab, cd),
        _mm256_unpacklo_epi64(ba, dc),
        _mm256_unpackhi_epi64(ba, dc),
    ];
    let other = [
        _mm256_unpacklo_epi64(ef, gh),
        _mm256_unpackhi_epi64(ef, gh),
        _mm256_unpacklo_epi64(fe, hg),
        _mm256_unpackhi_epi64(fe, hg),
    ];
    let mut out = [a; 8];
    let (low, high) = out.split_at_mut(4);
    let halves = low.iter_mut().zip(high).zip(first.into_iter().zip(other));
    for ((low, high), (first, other)) in halves {
        *low = _mm256_permute2x128_si256::<0x20>(first, other);
        *high = _mm256_permute2x128_si256::<0x31>(first, other);
    }
    out
}

#[target_feature(enable = "avx2")]
#[inline]
fn digests(chain: &[V; 8]) -> [[u8; 32]; 8] {
    let mut digests = [[0; 32]; 8];
    for (digest, row) in digests.iter_mut().zip(transpose(*chain)) {
        let words = [
            _mm256_extract_epi64::<0>(row),
            _mm256_extract_epi64::<1>(row),
            _mm256_extract_epi64::<2>(row),
            _mm256_extract_epi64::<3>(row),
        ];
        for (bytes, word) in digest.as_chunks_mut::<8>().0.iter_mut().zip(words) {
            *bytes = word.to_le_bytes();
        }
    }
    digests
}
