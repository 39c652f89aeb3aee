#include <immintrin.h>

#include "unpack_kernels.h"

namespace vecstore {
namespace {

alignas(64) constexpr Expanding<8, 1> kExpanding;

__m256i high_parts(const std::uint8_t* high) {
    return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(high)));
}

__m256i high_parts(const std::uint16_t* high) {
    return _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(high)));
}

template <class High>
void unpack(const RowGaps& gaps, std::uint32_t* places) {
    const auto* high = static_cast<const High*>(gaps.highs);
    const __m256i bits = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128), one = _mm256_set1_epi32(1);
    const __m256i lower = _mm256_setr_epi32(3, 3, 3, 3, 3, 3, 3, 3), last = _mm256_set1_epi32(7);
    __m256i before = _mm256_setzero_si256();  // one past the last place, in all lanes
    for (std::size_t i = 0; i < gaps.count; i += 8) {
        const std::uint32_t pattern = flags_at(gaps, i) & 255;
        const __m256i where = high_parts(kExpanding.of[pattern]);
        const __m256i all = _mm256_set1_epi32(static_cast<std::int32_t>(pattern));
        const __m256i flagged = _mm256_cmpeq_epi32(_mm256_and_si256(all, bits), bits);
        const __m256i expanded = _mm256_and_si256(_mm256_permutevar8x32_epi32(high_parts(high), where), flagged);
        const __m256i gap = _mm256_or_si256(high_parts(gaps.lows + i), _mm256_slli_epi32(expanded, 8));
        __m256i sum = _mm256_add_epi32(gap, one);
        sum = _mm256_add_epi32(sum, _mm256_slli_si256(sum, 4));
        sum = _mm256_add_epi32(sum, _mm256_slli_si256(sum, 8));
        const __m256i of_lower = _mm256_permutevar8x32_epi32(sum, lower);  // to the upper four
        sum = _mm256_add_epi32(sum, _mm256_blend_epi32(_mm256_setzero_si256(), of_lower, 0xf0));
        sum = _mm256_add_epi32(sum, before);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(places + i), _mm256_sub_epi32(sum, one));
        before = _mm256_permutevar8x32_epi32(sum, last);
        high += __builtin_popcount(pattern);
    }
}

}  // namespace

UnpackOps avx2_unpack_ops() { return {unpack<std::uint8_t>, unpack<std::uint16_t>}; }

}  // namespace vecstore
