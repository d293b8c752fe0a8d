//! Sixteen lanes of 32 bits.
#![expect(clippy::many_single_char_names, reason = "rows and words of a square, in order")]

use core::arch::x86_64::{
    __m512i as V, _mm256_extract_epi64, _mm512_add_epi32, _mm512_castsi512_si256, _mm512_ror_epi32,
    _mm512_set1_epi32, _mm512_setr_epi32, _mm512_setr_epi64, _mm512_shuffle_i32x4,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
    _mm512_xor_si512,
};

use super::{BLOCK, Ends, IV, block, permute, quarter, round, walk};

walk!("avx512f,avx512bw,avx512vl", 16);

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn add(a: V, b: V) -> V {
    _mm512_add_epi32(a, b)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn xor(a: V, b: V) -> V {
    _mm512_xor_si512(a, b)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn rotate16(a: V) -> V {
    _mm512_ror_epi32::<16>(a)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn rotate12(a: V) -> V {
    _mm512_ror_epi32::<12>(a)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn rotate8(a: V) -> V {
    _mm512_ror_epi32::<8>(a)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn rotate7(a: V) -> V {
    _mm512_ror_epi32::<7>(a)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn splat(word: u32) -> V {
    _mm512_set1_epi32(word.cast_signed())
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn load(words: [u32; 16]) -> V {
    let mut signed = [0; 16];
    for (signed, word) in signed.iter_mut().zip(words) {
        *signed = word.cast_signed();
    }
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = signed;
    _mm512_setr_epi32(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
}

/// The sixteen words of a block, each as a vector of the lanes' words.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn words(rows: &[&[u8; BLOCK]; 16]) -> [V; 16] {
    let mut out = [splat(0); 16];
    for (out, row) in out.iter_mut().zip(rows) {
        *out = whole(row);
    }
    transpose(&out)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn whole(row: &[u8; BLOCK]) -> V {
    let mut words = [0; 8];
    for (word, bytes) in words.iter_mut().zip(row.as_chunks::<8>().0) {
        *word = i64::from_le_bytes(*bytes);
    }
    let [a, b, c, d, e, f, g, h] = words;
    _mm512_setr_epi64(a, b, c, d, e, f, g, h)
}

/// Four rows: in quarter `k` of vector `j`, word `4 k + j` of each of them.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn four(a: V, b: V, c: V, d: V) -> [V; 4] {
    let (ab, ba) = (_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let (cd, dc) = (_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(ab, cd),
        _mm512_unpackhi_epi64(ab, cd),
        _mm512_unpacklo_epi64(ba, dc),
        _mm512_unpackhi_epi64(ba, dc),
    ]
}

/// The same quarter of four vectors side by side, for each of the four quarters.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn quarters(a: V, b: V, c: V, d: V) -> [V; 4] {
    let (even, odd) = (_mm512_shuffle_i32x4::<0x88>(a, b), _mm512_shuffle_i32x4::<0xdd>(a, b));
    let (more, odder) = (_mm512_shuffle_i32x4::<0x88>(c, d), _mm512_shuffle_i32x4::<0xdd>(c, d));
    [
        _mm512_shuffle_i32x4::<0x88>(even, more),
        _mm512_shuffle_i32x4::<0x88>(odd, odder),
        _mm512_shuffle_i32x4::<0xdd>(even, more),
        _mm512_shuffle_i32x4::<0xdd>(odd, odder),
    ]
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn transpose(rows: &[V; 16]) -> [V; 16] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *rows;
    let [a0, a1, a2, a3] = four(a, b, c, d);
    let [b0, b1, b2, b3] = four(e, f, g, h);
    let [c0, c1, c2, c3] = four(i, j, k, l);
    let [d0, d1, d2, d3] = four(m, n, o, p);
    let [w0, w4, w8, w12] = quarters(a0, b0, c0, d0);
    let [w1, w5, w9, w13] = quarters(a1, b1, c1, d1);
    let [w2, w6, w10, w14] = quarters(a2, b2, c2, d2);
    let [w3, w7, w11, w15] = quarters(a3, b3, c3, d3);
    [w0, w1, w2, w3, w4, w5, w6, w7, w8, w9, w10, w11, w12, w13, w14, w15]
}

#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
#[inline]
fn digests(chain: &[V; 8]) -> [[u8; 32]; 16] {
    let [a, b, c, d, e, f, g, h] = *chain;
    let rows = transpose(&[a, b, c, d, e, f, g, h, a, b, c, d, e, f, g, h]);
    let mut digests = [[0; 32]; 16];
    for (digest, row) in digests.iter_mut().zip(rows) {
        let row = _mm512_castsi512_si256(row);
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
