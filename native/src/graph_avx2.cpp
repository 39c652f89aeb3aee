// Estimates with AVX2: products of a line's passes fit in 16 bits, 8 * 2 * 15 * 127 at most.
#include <immintrin.h>

#include "graph_ops.h"
#include "graph_scalar.h"

namespace vecstore {
namespace {

inline __m256i load(const void* p) { return _mm256_loadu_si256(static_cast<const __m256i*>(p)); }

template <int kPasses>
inline __m256i line_sum(const std::uint8_t* code, const std::uint8_t* masks, const std::int8_t* weights) {
    __m256i total = _mm256_setzero_si256();
#pragma GCC unroll 2
    for (int half = 0; half < 2; ++half) {
        const __m256i x = load(code + 32 * half), mask = load(masks + 32 * half);
        __m256i sums = _mm256_setzero_si256();
#pragma GCC unroll 8
        for (int p = 0; p < kPasses; ++p) {
            const __m256i field = _mm256_and_si256(_mm256_srli_epi16(x, 8 / kPasses * p), mask);
            sums = _mm256_add_epi16(sums, _mm256_maddubs_epi16(field, load(weights + p * kCodeLine + 32 * half)));
        }
        total = _mm256_add_epi32(total, _mm256_madd_epi16(sums, _mm256_set1_epi16(1)));
    }
    return total;
}

inline std::int32_t reduce(__m256i v) {
    const __m128i four = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
    const __m128i two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    return _mm_cvtsi128_si32(_mm_add_epi32(two, _mm_shuffle_epi32(two, 1)));
}

void estimates(const CodeQuery& query, const std::uint8_t* codes, const std::uint32_t* rows, std::size_t count,
               float* out) {
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint8_t* code = codes + rows[i] * query.lines * kCodeLine;
        const std::int8_t* weights = query.weights;
        __m256i sum = _mm256_setzero_si256();
        for (std::size_t line = 0; line < query.lines; ++line) {
            const std::uint8_t *bytes = code + line * kCodeLine, *masks = query.masks + line * kCodeLine;
            const int passes = query.passes[line];
            if (passes == 8) sum = _mm256_add_epi32(sum, line_sum<8>(bytes, masks, weights));
            if (passes == 4) sum = _mm256_add_epi32(sum, line_sum<4>(bytes, masks, weights));
            if (passes == 2) sum = _mm256_add_epi32(sum, line_sum<2>(bytes, masks, weights));
            weights += passes * kCodeLine;
        }
        out[i] = finish_estimate(query, code, reduce(sum));
    }
}

}  // namespace

GraphOps avx2_graph_ops() { return {"avx2", visit_by_rows, offer_by_rows, estimates}; }

}  // namespace vecstore
