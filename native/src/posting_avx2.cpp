#include <immintrin.h>

#include "posting_kernels.h"

namespace vecstore {
namespace {

__m256i where_at_least(const std::uint16_t* sums, __m256i bound) {
    const __m256i sixteen = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums));
    return _mm256_cmpeq_epi16(_mm256_max_epu16(sixteen, bound), sixteen);
}

std::uint64_t at_least(const std::uint16_t* sums, std::uint16_t bound) {
    const __m256i by = _mm256_set1_epi16(static_cast<std::int16_t>(bound));
    std::uint64_t found = 0;
    for (int half = 0; half < 2; ++half) {
        const __m256i low = where_at_least(sums + 32 * half, by), high = where_at_least(sums + 32 * half + 16, by);
        // Packing works on halves of 128 bits, so the middle quarters have changed places.
        const __m256i bytes = _mm256_permute4x64_epi64(_mm256_packs_epi16(low, high), 0xd8);
        found |= static_cast<std::uint64_t>(static_cast<std::uint32_t>(_mm256_movemask_epi8(bytes))) << (32 * half);
    }
    return found;
}

// Eight words of the filter are one register: a word is looked up by permuting it, four times, and chosen by the two
// bits above.
std::size_t filter(const IndexFilter& filter, const std::uint32_t* indices, std::size_t count, std::uint32_t* places) {
    const auto* words = reinterpret_cast<const __m256i*>(filter.words);
    const __m256i w0 = _mm256_loadu_si256(words), w1 = _mm256_loadu_si256(words + 1);
    const __m256i w2 = _mm256_loadu_si256(words + 2), w3 = _mm256_loadu_si256(words + 3);
    const __m256i multiplier = _mm256_set1_epi32(static_cast<std::int32_t>(filter.multiplier));
    std::size_t found = 0, i = 0;
    for (; i + 8 <= count; i += 8) {
        const __m256i index = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(indices + i));
        const __m256i hash = _mm256_mullo_epi32(index, multiplier);
        const __m256i word = _mm256_srli_epi32(hash, 27);  // permuting looks at three bits, blending at the sign
        const __m256 by_fourth_bit = _mm256_castsi256_ps(_mm256_slli_epi32(word, 28));
        const auto pick = [&](__m256i low, __m256i high) {
            return _mm256_blendv_ps(_mm256_castsi256_ps(_mm256_permutevar8x32_epi32(low, word)),
                                    _mm256_castsi256_ps(_mm256_permutevar8x32_epi32(high, word)), by_fourth_bit);
        };
        const __m256 picked = _mm256_blendv_ps(pick(w0, w1), pick(w2, w3), _mm256_castsi256_ps(hash));
        const __m256i bit = _mm256_and_si256(_mm256_srli_epi32(hash, 22), _mm256_set1_epi32(31));
        const __m256i to_sign = _mm256_sub_epi32(_mm256_set1_epi32(31), bit);
        auto set = static_cast<unsigned>(
            _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_sllv_epi32(_mm256_castps_si256(picked), to_sign))));
        for (; set != 0; set &= set - 1)
            places[found++] = static_cast<std::uint32_t>(i) + static_cast<std::uint32_t>(__builtin_ctz(set));
    }
    return filter_one_by_one(filter, indices, i, count, places, found);
}

}  // namespace

PostingOps avx2_posting_ops() { return {"avx2", add_list, add_dense, at_least, filter}; }

}  // namespace vecstore
