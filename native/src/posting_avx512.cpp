#include <immintrin.h>

#include "posting_kernels.h"

namespace vecstore {
namespace {

std::uint64_t at_least(const std::uint16_t* sums, std::uint16_t bound) {
    const __m512i by = _mm512_set1_epi16(static_cast<std::int16_t>(bound));
    const std::uint64_t low = _mm512_cmpge_epu16_mask(_mm512_loadu_si512(sums), by);
    const std::uint64_t high = _mm512_cmpge_epu16_mask(_mm512_loadu_si512(sums + 32), by);
    return low | high << 32;
}

// The filter is two registers, in which a word is looked up by permuting them.
std::size_t filter(const IndexFilter& filter, const std::uint32_t* indices, std::size_t count, std::uint32_t* places) {
    const __m512i low = _mm512_loadu_si512(filter.words), high = _mm512_loadu_si512(filter.words + 16);
    const __m512i multiplier = _mm512_set1_epi32(static_cast<std::int32_t>(filter.multiplier));
    const __m512i steps = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; i += 16) {
        const auto here = static_cast<__mmask16>(count - i >= 16 ? 0xffffu : (1u << (count - i)) - 1);
        const __m512i index = _mm512_maskz_loadu_epi32(here, indices + i);
        const __m512i hash = _mm512_mullo_epi32(index, multiplier);
        const __m512i word = _mm512_permutex2var_epi32(low, _mm512_srli_epi32(hash, 27), high);
        const __m512i bit = _mm512_and_si512(_mm512_srli_epi32(hash, 22), _mm512_set1_epi32(31));
        const __mmask16 set = _mm512_mask_test_epi32_mask(here, _mm512_srlv_epi32(word, bit), _mm512_set1_epi32(1));
        const __m512i at = _mm512_add_epi32(steps, _mm512_set1_epi32(static_cast<std::int32_t>(i)));
        _mm512_storeu_si512(places + found, _mm512_maskz_compress_epi32(set, at));
        found += static_cast<std::size_t>(__builtin_popcount(set));
    }
    return found;
}

}  // namespace

PostingOps avx512_posting_ops() { return {"avx512", add_list, add_dense, at_least, filter}; }

}  // namespace vecstore
