// Estimates with AVX-512 VNNI: four rows at a time, a pass of a line is a shift, a mask and a dot product.
#include <immintrin.h>

#include <cstring>

#include "graph_ops.h"
#include "graph_scalar.h"

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

std::size_t visit(const std::uint32_t* rows, std::size_t count, std::uint32_t* seen, std::uint32_t* fresh) {
    std::size_t found = 0;
    const __m512i one = _mm512_set1_epi32(1), low = _mm512_set1_epi32(31);
    for (std::size_t i = 0; i < count; i += 16) {
        const std::size_t left = count - i;
        const __mmask16 listed = static_cast<__mmask16>(left >= 16 ? 0xffff : (1u << left) - 1);
        const __m512i row = _mm512_maskz_loadu_epi32(listed, rows + i);
        const __m512i word =
            _mm512_mask_i32gather_epi32(_mm512_setzero_si512(), listed, _mm512_srli_epi32(row, 5), seen, 4);
        const __m512i bit = _mm512_sllv_epi32(one, _mm512_and_si512(row, low));
        const __mmask16 fresh_ones = _mm512_mask_testn_epi32_mask(listed, word, bit);
        _mm512_storeu_si512(fresh + found, _mm512_maskz_compress_epi32(fresh_ones, row));
        // Once more, and one at a time: a list that names a row twice names it in one register.
        const std::size_t end = found + static_cast<std::size_t>(__builtin_popcount(fresh_ones));
        for (std::size_t at = found; at < end; ++at) {
            const std::uint32_t one_row = fresh[at];
            std::uint32_t& its_word = seen[one_row >> 5];
            const std::uint32_t its_bit = std::uint32_t{1} << (one_row & 31);
            fresh[found] = one_row;
            found += (its_word & its_bit) == 0;
            its_word |= its_bit;
        }
    }
    return found;
}

// Keys are compared eight at a time, and moved up from the end.
inline std::size_t insert(CandidateKey* keys, std::size_t size, std::size_t keep, CandidateKey key) {
    const __m512i wanted = _mm512_set1_epi64(static_cast<long long>(key));
    std::size_t place = 0;
    while (place < size) {
        const std::size_t left = size - place;  // what stands past them is not a key
        const auto held = static_cast<__mmask8>(left >= 8 ? 0xff : (1u << left) - 1);
        const std::uint32_t before = _mm512_mask_cmplt_epu64_mask(held, _mm512_loadu_si512(keys + place), wanted);
        place += static_cast<std::size_t>(__builtin_popcount(before));
        if (before != 0xff) break;
    }
    for (std::size_t at = keep; at > place;) {
        const std::size_t step = at - place < 8 ? at - place : 8;
        at -= step;
        const auto mask = static_cast<__mmask8>((1u << step) - 1);
        _mm512_mask_storeu_epi64(keys + at + 1, mask, _mm512_maskz_loadu_epi64(mask, keys + at));
    }
    keys[place] = key;
    return place;
}

Offered offer(CandidateKey* keys, std::size_t* size, std::size_t capacity, const float* estimates,
              const std::uint32_t* rows, std::size_t count) {
    std::size_t first = capacity, held = *size;
    std::size_t i = 0;
    for (; i < count && held < capacity; ++i, ++held) {
        const std::size_t place = insert(keys, held, held, candidate_key(estimates[i], rows[i]));
        first = place < first ? place : first;
    }
    std::size_t taken = i;
    float bound = held == capacity ? key_estimate(keys[held - 1]) : 0;
    for (; i < count; i += 16) {
        const std::size_t left = count - i;
        const __mmask16 listed = static_cast<__mmask16>(left >= 16 ? 0xffff : (1u << left) - 1);
        const __m512 estimate = _mm512_maskz_loadu_ps(listed, estimates + i);
        std::uint32_t near = _mm512_mask_cmp_ps_mask(listed, estimate, _mm512_set1_ps(bound), _CMP_LT_OQ);
        for (; near != 0; near &= near - 1) {
            const std::size_t at = i + static_cast<std::size_t>(__builtin_ctz(near));
            if (!(estimates[at] < bound)) continue;
            const std::size_t place = insert(keys, held, held - 1, candidate_key(estimates[at], rows[at]));
            bound = key_estimate(keys[held - 1]);
            first = place < first ? place : first;
            ++taken;
        }
    }
    *size = held;
    return {first, taken};
}

}  // namespace

GraphOps vnni_graph_ops() { return {"avx512", visit, offer, estimates}; }

}  // namespace vecstore
