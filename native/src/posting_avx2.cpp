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

}  // namespace

PostingOps avx2_posting_ops() { return {"avx2", add_list, add_dense, at_least}; }

}  // namespace vecstore
