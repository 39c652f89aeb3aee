// Sums of looked-up bytes, AVX-512 BW: four columns of a block at a time, one in each 128-bit lane.
#pragma once

#include <immintrin.h>

namespace vecstore {
namespace {

// A 16-bit lane adds up the bytes of two rows, low + 256 * high; the high row's own sum is subtracted at the end. 256
// columns are safe: 256 * 255 < 65536.
struct RowPairSums {
    __m512i both = _mm512_setzero_si512();
    __m512i high = _mm512_setzero_si512();

    void add(__m512i bytes) {
        both = _mm512_add_epi16(both, bytes);
        high = _mm512_add_epi16(high, _mm512_srli_epi16(bytes, 8));
    }
    __m512i low() const { return _mm512_sub_epi16(both, _mm512_slli_epi16(high, 8)); }
};

// 16-bit sums of rows 0..31 over the four lanes.
inline __m512i sums_over_lanes(const RowPairSums& first, const RowPairSums& second) {
    const __m512i a = _mm512_unpacklo_epi16(first.low(), first.high),
                  b = _mm512_unpackhi_epi16(first.low(), first.high);
    const __m512i c = _mm512_unpacklo_epi16(second.low(), second.high);
    const __m512i d = _mm512_unpackhi_epi16(second.low(), second.high);
    const __m512i ab = _mm512_add_epi16(_mm512_shuffle_i32x4(a, b, 0x44), _mm512_shuffle_i32x4(a, b, 0xee));
    const __m512i cd = _mm512_add_epi16(_mm512_shuffle_i32x4(c, d, 0x44), _mm512_shuffle_i32x4(c, d, 0xee));
    return _mm512_add_epi16(_mm512_shuffle_i32x4(ab, cd, 0x88), _mm512_shuffle_i32x4(ab, cd, 0xdd));
}

inline void block_sums(const std::uint8_t* block, std::size_t nibbles, const std::uint8_t* bytes, std::int32_t* out) {
    const __m512i mask = _mm512_set1_epi8(15);
    __m512i low_rows = _mm512_setzero_si512(), high_rows = _mm512_setzero_si512();
    for (std::size_t start = 0; start < nibbles; start += 256) {
        const std::size_t end = nibbles < start + 256 ? nibbles : start + 256;
        RowPairSums first, second;
        const auto add = [&](__m512i codes, std::size_t column) {
            const __m512i table = _mm512_loadu_si512(bytes + column * 16);
            first.add(_mm512_shuffle_epi8(table, _mm512_and_si512(codes, mask)));
            second.add(_mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi16(codes, 4), mask)));
        };
        std::size_t column = start;
        for (; column + 4 <= end; column += 4) add(_mm512_loadu_si512(block + column * 16), column);
        if (column < end) {
            const auto keep = static_cast<__mmask16>((1u << (4 * (end - column))) - 1);
            add(_mm512_maskz_loadu_epi32(keep, block + column * 16), column);
        }
        const __m512i sums = sums_over_lanes(first, second);
        low_rows = _mm512_add_epi32(low_rows, _mm512_cvtepu16_epi32(_mm512_castsi512_si256(sums)));
        high_rows = _mm512_add_epi32(high_rows, _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(sums, 1)));
    }
    _mm512_storeu_si512(out, low_rows);
    _mm512_storeu_si512(out + 16, high_rows);
}

}  // namespace
}  // namespace vecstore
