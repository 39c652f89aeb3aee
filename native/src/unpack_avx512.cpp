#include <immintrin.h>

#include "unpack_kernels.h"

namespace vecstore {
namespace {

__m512i high_parts(const std::uint8_t* high) {
    return _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(high)));
}

__m512i high_parts(const std::uint16_t* high) {
    return _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(high)));
}

// Lanes moved up by kBy, zeros below.
template <int kBy>
__m512i moved_up(__m512i lanes) {
    return _mm512_alignr_epi32(lanes, _mm512_setzero_si512(), 16 - kBy);
}

template <class High>
void unpack(const RowGaps& gaps, std::uint32_t* places) {
    const auto* high = static_cast<const High*>(gaps.highs);
    const __m512i one = _mm512_set1_epi32(1), last = _mm512_set1_epi32(15);
    __m512i before = _mm512_setzero_si512();  // one past the last place, in all lanes
    for (std::size_t i = 0; i < gaps.count; i += 16) {
        const auto flagged = static_cast<__mmask16>(flags_at(gaps, i));
        const __m512i expanded = _mm512_maskz_expand_epi32(flagged, high_parts(high));
        const __m512i gap = _mm512_or_si512(high_parts(gaps.lows + i), _mm512_slli_epi32(expanded, 8));
        __m512i sum = _mm512_add_epi32(gap, one);
        sum = _mm512_add_epi32(sum, moved_up<1>(sum));
        sum = _mm512_add_epi32(sum, moved_up<2>(sum));
        sum = _mm512_add_epi32(sum, moved_up<4>(sum));
        sum = _mm512_add_epi32(sum, moved_up<8>(sum));
        sum = _mm512_add_epi32(sum, before);
        _mm512_storeu_si512(places + i, _mm512_sub_epi32(sum, one));
        before = _mm512_permutexvar_epi32(last, sum);
        high += __builtin_popcount(flagged);
    }
}

}  // namespace

UnpackOps avx512_unpack_ops() { return {unpack<std::uint8_t>, unpack<std::uint16_t>}; }

}  // namespace vecstore
