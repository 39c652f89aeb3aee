// Sums of looked-up bytes, AVX2: two columns of a block at a time, one in each 128-bit lane.
#pragma once

#include <immintrin.h>

namespace vecstore {
namespace {

// As in table_sums_avx512.h.
struct RowPairSums {
    __m256i both = _mm256_setzero_si256();
    __m256i high = _mm256_setzero_si256();

    void add(__m256i bytes) {
        both = _mm256_add_epi16(both, bytes);
        high = _mm256_add_epi16(high, _mm256_srli_epi16(bytes, 8));
    }
    // 16-bit sums of 16 rows over the two lanes.
    __m256i rows() const {
        const __m256i low = _mm256_sub_epi16(both, _mm256_slli_epi16(high, 8));
        const __m256i a = _mm256_unpacklo_epi16(low, high), b = _mm256_unpackhi_epi16(low, high);
        return _mm256_add_epi16(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31));
    }
};

inline void add_to(std::int32_t* out, __m256i sums) {
    for (int half = 0; half < 2; ++half) {
        auto* const to = reinterpret_cast<__m256i*>(out + 8 * half);
        const __m128i part = half ? _mm256_extracti128_si256(sums, 1) : _mm256_castsi256_si128(sums);
        _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), _mm256_cvtepu16_epi32(part)));
    }
}

inline void block_sums(const std::uint8_t* block, std::size_t nibbles, const std::uint8_t* bytes, std::int32_t* out) {
    const __m256i mask = _mm256_set1_epi8(15);
    for (int i = 0; i < 32; ++i) out[i] = 0;
    for (std::size_t start = 0; start < nibbles; start += 256) {
        const std::size_t end = nibbles < start + 256 ? nibbles : start + 256;
        RowPairSums first, second;
        const auto add = [&](__m256i codes, std::size_t column) {
            const __m256i table = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes + column * 16));
            first.add(_mm256_shuffle_epi8(table, _mm256_and_si256(codes, mask)));
            second.add(_mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(codes, 4), mask)));
        };
        std::size_t column = start;
        for (; column + 2 <= end; column += 2)
            add(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(block + column * 16)), column);
        if (column < end) {
            const __m128i last = _mm_loadu_si128(reinterpret_cast<const __m128i*>(block + column * 16));
            add(_mm256_zextsi128_si256(last), column);
        }
        add_to(out, first.rows());
        add_to(out + 16, second.rows());
    }
}

}  // namespace
}  // namespace vecstore
