//! The same colours, 32 pixels at once.

use std::arch::x86_64::{__m128i, __m256i};

use pulp::cast;
use pulp::x86::V3;

use super::BLOCK;

/// Luma and two chromas to pixels: `BLOCK` at a time, and the number of those that were made.
#[inline(always)]
pub(super) fn ycc(simd: V3, y: &[u8], cb: &[u8], cr: &[u8], pixels: &mut [[u8; 3]]) -> usize {
    let (blocks, _) = pixels.as_chunks_mut::<BLOCK>();
    let parts = y.as_chunks().0.iter().zip(cb.as_chunks().0).zip(cr.as_chunks().0);
    let made = blocks.len() * BLOCK;
    for (pixels, ((y, cb), cr)) in blocks.iter_mut().zip(parts) {
        let planes =
            block(simd, [cast::<[u8; BLOCK], _>(*y), cast::<[u8; BLOCK], _>(*cb), cast::<[u8; BLOCK], _>(*cr)]);
        interleave(simd, planes, pixels);
    }
    made
}

/// 16-bit numbers of 32 pixels: those of each half's first eight, and those of each half's last eight.
type Wide = [__m256i; 2];

#[inline(always)]
fn block(simd: V3, [y, cb, cr]: [__m256i; 3]) -> [__m256i; 3] {
    let x = simd.avx2;
    let zero = simd.avx._mm256_setzero_si256();
    let middle = [simd.avx._mm256_set1_epi16(128); 2];
    let [y, cb, cr] =
        each!([y, cb, cr], bytes => [x._mm256_unpacklo_epi8(bytes, zero), x._mm256_unpackhi_epi8(bytes, zero)]);
    let [cb, cr] = each!([cb, cr], chroma => minus(simd, chroma, middle));
    // Weights without their whole parts, which fit into 16 bits: 91881 = 65536 + 26345, and so on.
    let red = plus(simd, scaled(simd, cr, 26345), cr);
    let green = minus(simd, each!([0, 1], half => mixed(simd, cb[half], cr[half])), cr);
    let blue = plus(simd, plus(simd, scaled(simd, cb, -14942), cb), cb);
    each!([red, green, blue], difference => {
        let [first, second] = plus(simd, y, difference);
        x._mm256_packus_epi16(first, second)
    })
}

#[inline(always)]
fn plus(simd: V3, a: Wide, b: Wide) -> Wide {
    [simd.avx2._mm256_add_epi16(a[0], b[0]), simd.avx2._mm256_add_epi16(a[1], b[1])]
}

#[inline(always)]
fn minus(simd: V3, a: Wide, b: Wide) -> Wide {
    [simd.avx2._mm256_sub_epi16(a[0], b[0]), simd.avx2._mm256_sub_epi16(a[1], b[1])]
}

/// `weight` 65536ths, rounded: one bit more than that first, then halved upwards.
#[inline(always)]
fn scaled(simd: V3, chroma: Wide, weight: i16) -> Wide {
    let x = simd.avx2;
    let (weight, one) = (simd.avx._mm256_set1_epi16(weight), simd.avx._mm256_set1_epi16(1));
    each!([chroma[0], chroma[1]], half => {
        let product = x._mm256_mulhi_epi16(x._mm256_add_epi16(half, half), weight);
        x._mm256_srai_epi16::<1>(x._mm256_add_epi16(product, one))
    })
}

/// What both chromas take from green, but for one whole red chroma.
#[inline(always)]
fn mixed(simd: V3, cb: __m256i, cr: __m256i) -> __m256i {
    let x = simd.avx2;
    let weights = simd.avx._mm256_set1_epi32(cast([-22554_i16, 18734]));
    let half = simd.avx._mm256_set1_epi32(super::HALF);
    let [first, second] = each!([x._mm256_unpacklo_epi16(cb, cr), x._mm256_unpackhi_epi16(cb, cr)], pairs => {
        x._mm256_srai_epi32::<16>(x._mm256_add_epi32(x._mm256_madd_epi16(pairs, weights), half))
    });
    x._mm256_packs_epi32(first, second)
}

/// Of 48 bytes of sixteen pixels, where the n-th colour's level belongs into sixteen of them; 128 where another's does.
const fn places(third: usize, colour: usize) -> [u8; 32] {
    let (mut places, mut at) = ([128; 32], 0);
    while at < 32 {
        let byte = third * 16 + at % 16;
        if byte % 3 == colour {
            places[at] = (byte / 3) as u8;
        }
        at += 1;
    }
    places
}

const PLACES: [[[u8; 32]; 3]; 3] = [
    [places(0, 0), places(0, 1), places(0, 2)],
    [places(1, 0), places(1, 1), places(1, 2)],
    [places(2, 0), places(2, 1), places(2, 2)],
];

#[inline(always)]
fn interleave(simd: V3, planes: [__m256i; 3], pixels: &mut [[u8; 3]; BLOCK]) {
    let x = simd.avx2;
    let thirds: [[__m128i; 2]; 3] = each!([0, 1, 2], third => {
        let [red, green, blue] = each!([0, 1, 2], colour => {
            x._mm256_shuffle_epi8(planes[colour], cast::<[u8; 32], _>(PLACES[third][colour]))
        });
        cast(x._mm256_or_si256(x._mm256_or_si256(red, green), blue))
    });
    let (bytes, _) = pixels.as_flattened_mut().as_chunks_mut::<16>();
    for (number, bytes) in bytes.iter_mut().enumerate() {
        *bytes = cast(thirds[number % 3][number / 3]);
    }
}
