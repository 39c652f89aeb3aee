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

}  // namespace

PostingOps avx512_posting_ops() { return {"avx512", add_list, add_dense, at_least}; }

}  // namespace vecstore
