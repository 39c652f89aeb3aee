// Estimates with AVX-512 VNNI: four rows at a time, a pass of a line is a shift, a mask and a dot product.
#include <immintrin.h>

#include <cstring>

#include "graph_ops.h"

namespace vecstore {
namespace {

using Row = const std::uint8_t*;

template <int kPasses>
inline void add_line(__m512i (&sums)[4], const Row (&code)[4], const std::uint8_t* masks, const std::int8_t* weights) {
    const __m512i mask = _mm512_loadu_si512(masks);
    __m512i x[4];
#pragma GCC unroll 4
    for (int r = 0; r < 4; ++r) x[r] = _mm512_loadu_si512(code[r]);
#pragma GCC unroll 8
    for (int p = 0; p < kPasses; ++p) {
        const __m512i weight = _mm512_loadu_si512(weights + p * kCodeLine);
#pragma GCC unroll 4
        for (int r = 0; r < 4; ++r) {
            const __m512i field = _mm512_and_si512(_mm512_srli_epi16(x[r], 8 / kPasses * p), mask);
            sums[r] = _mm512_dpbusd_epi32(sums[r], field, weight);
        }
    }
}

inline __m128i reduce(const __m512i (&sums)[4]) {
    const auto fold = [](__m512i v) {
        const __m256i eight = _mm256_add_epi32(_mm512_castsi512_si256(v), _mm512_extracti64x4_epi64(v, 1));
        return _mm_add_epi32(_mm256_castsi256_si128(eight), _mm256_extracti128_si256(eight, 1));
    };
    const __m128i a = fold(sums[0]), b = fold(sums[1]), c = fold(sums[2]), d = fold(sums[3]);
    const __m128i ab = _mm_add_epi32(_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b));
    const __m128i cd = _mm_add_epi32(_mm_unpacklo_epi32(c, d), _mm_unpackhi_epi32(c, d));
    return _mm_add_epi32(_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd));
}

inline __m128i headers(const Row (&code)[4]) {
    std::int32_t header[4];
    for (int r = 0; r < 4; ++r) std::memcpy(header + r, code[r], kCodeHeader);
    return _mm_setr_epi32(header[0], header[1], header[2], header[3]);
}

inline __m128 finish(const CodeQuery& query, __m128i sum, __m128i header) {
    const __m128i split = _mm_shuffle_epi8(header, _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15));
    const __m128 add = _mm_cvtph_ps(split), scale = _mm_cvtph_ps(_mm_unpackhi_epi64(split, split));
    const __m128 centred = _mm_sub_ps(_mm_cvtepi32_ps(sum), _mm_set1_ps(query.bias));
    const __m128 along = _mm_mul_ps(_mm_set1_ps(query.query_scale), centred);
    return _mm_add_ps(_mm_mul_ps(_mm_set1_ps(query.add_unit), add), _mm_mul_ps(scale, along));
}

inline void find(Row (&code)[4], const std::uint8_t* codes, std::size_t stride, const std::uint32_t* rows,
                 std::size_t left) {
    for (std::size_t r = 0; r < 4; ++r) code[r] = codes + rows[r < left ? r : 0] * stride;
}

// The usual case, with the weights in registers.
template <int kPasses>
void one_line(const CodeQuery& query, const std::uint8_t* codes, const std::uint32_t* rows, std::size_t count,
              float* out) {
    for (std::size_t i = 0; i < count; i += 4) {
        Row code[4];
        find(code, codes, kCodeLine, rows + i, count - i);
        __m512i sums[4] = {};
        add_line<kPasses>(sums, code, query.masks, query.weights);
        _mm_storeu_ps(out + i, finish(query, reduce(sums), headers(code)));
    }
}

void estimates(const CodeQuery& query, const std::uint8_t* codes, const std::uint32_t* rows, std::size_t count,
               float* out) {
    if (query.lines == 1) {
        if (query.passes[0] == 8) return one_line<8>(query, codes, rows, count, out);
        if (query.passes[0] == 4) return one_line<4>(query, codes, rows, count, out);
    }
    const std::size_t stride = query.lines * kCodeLine;
    for (std::size_t i = 0; i < count; i += 4) {
        Row code[4];
        find(code, codes, stride, rows + i, count - i);
        const __m128i header = headers(code);
        __m512i sums[4] = {};
        const std::int8_t* weights = query.weights;
        for (std::size_t line = 0; line < query.lines; ++line) {
            const std::uint8_t* masks = query.masks + line * kCodeLine;
            const int passes = query.passes[line];
            if (passes == 8) add_line<8>(sums, code, masks, weights);
            if (passes == 4) add_line<4>(sums, code, masks, weights);
            if (passes == 2) add_line<2>(sums, code, masks, weights);
            weights += passes * kCodeLine;
            for (Row& row : code) row += kCodeLine;
        }
        _mm_storeu_ps(out + i, finish(query, reduce(sums), header));
    }
}

}  // namespace

GraphOps vnni_graph_ops() { return {"avx512", estimates}; }

}  // namespace vecstore
