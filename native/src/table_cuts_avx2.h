// Cuts of the 32 rows of a block, AVX2.
#pragma once

#include <immintrin.h>

#include <initializer_list>

#include "table_cuts.h"

namespace vecstore {
namespace {

// The part of cuts that rows bring: inverse scales, and what is added and the errors in them; as table_cuts_avx512.h,
// in the order in which RowPairSums leaves rows: even ones of the first sixteen and of the others, then odd ones.
struct RowCuts {
    bool known;  // scales are of one sign; without, any row may be near
    bool positive;
    __m256 inverse[4], add[4], error[4];

    void read(const TableRun& run, std::size_t block) {
        const std::size_t size = run.half_factors ? 2 : 4;
        const std::uint8_t* const from = run.factors + block * run.columns * 32 * size;
        const __m256 zero = _mm256_setzero_ps(), slack = _mm256_set1_ps(QueryCut::kSlack);
        __m256 scale[4], finite = _mm256_castsi256_ps(_mm256_set1_epi32(-1));
        column(run, 0, from, scale);
        column(run, 1, from, add);
        column(run, 2, from, error);
        int above = 0, below = 0;
        for (int part = 0; part < 4; ++part) {
            above += _mm256_movemask_ps(_mm256_cmp_ps(scale[part], zero, _CMP_GT_OQ)) == 0xff;
            below += _mm256_movemask_ps(_mm256_cmp_ps(scale[part], zero, _CMP_LT_OQ)) == 0xff;
        }
        positive = above == 4;
        known = positive || below == 4;
        // The other way round where scales are positive, so that what is near is below zero in any case.
        const __m256 one = _mm256_set1_ps(positive ? -1.0f : 1.0f), sign = _mm256_set1_ps(-0.0f);
        for (int part = 0; part < 4; ++part) {
            inverse[part] = _mm256_div_ps(one, scale[part]);
            add[part] = _mm256_mul_ps(add[part], inverse[part]);
            error[part] = _mm256_mul_ps(error[part], inverse[part]);
            add[part] = _mm256_fmadd_ps(slack, _mm256_andnot_ps(sign, add[part]), add[part]);
            error[part] = _mm256_fnmadd_ps(slack, _mm256_andnot_ps(sign, error[part]), error[part]);
            for (const __m256* x : {inverse, add, error})
                finite = _mm256_and_ps(finite, _mm256_cmp_ps(_mm256_sub_ps(x[part], x[part]), zero, _CMP_EQ_OQ));
            finite = _mm256_and_ps(finite, _mm256_cmp_ps(inverse[part], zero, _CMP_NEQ_OQ));
        }
        known = known && _mm256_movemask_ps(finite) == 0xff;
    }

    // Even and odd rows' sums as they are: whether one of the rows may be near.
    bool near(__m256i even, __m256i odd, const QueryCut& query) const {
        static_assert(QueryCut::kSumBase == 0x1p23f);
        const __m256i base_bits = _mm256_set1_epi16(0x4b00);  // below them, sixteen bits count up from kSumBase
        const __m256 any = _mm256_or_ps(_mm256_or_ps(cut(0, _mm256_unpacklo_epi16(even, base_bits), query),
                                                     cut(1, _mm256_unpackhi_epi16(even, base_bits), query)),
                                        _mm256_or_ps(cut(2, _mm256_unpacklo_epi16(odd, base_bits), query),
                                                     cut(3, _mm256_unpackhi_epi16(odd, base_bits), query)));
        return !known || _mm256_movemask_ps(any) != 0;
    }

 private:
    static void column(const TableRun& run, int c, const std::uint8_t* from, __m256* to) {
        if (c >= run.columns) {
            for (int part = 0; part < 4; ++part) to[part] = _mm256_setzero_ps();
            return;
        }
        const auto eight = [&](int row) {
            const std::uint8_t* at = from + (32 * c + row) * (run.half_factors ? 2 : 4);
            return run.half_factors ? _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(at)))
                                    : _mm256_loadu_ps(reinterpret_cast<const float*>(at));
        };
        for (int half = 0; half < 2; ++half) {
            const __m256 first = eight(16 * half), second = eight(16 * half + 8);
            to[half] = _mm256_shuffle_ps(first, second, 0x88);
            to[2 + half] = _mm256_shuffle_ps(first, second, 0xdd);
        }
    }

    // With the sign bit where a row may be near.
    __m256 cut(int part, __m256i sums, const QueryCut& query) const {
        const __m256 sum = _mm256_castsi256_ps(sums), base = _mm256_set1_ps(query.base[positive]);
        __m256 cut = positive ? _mm256_sub_ps(sum, base) : _mm256_sub_ps(base, sum);
        cut = _mm256_fmadd_ps(error[part], _mm256_set1_ps(query.error), cut);
        cut = _mm256_fmadd_ps(add[part], _mm256_set1_ps(query.add), cut);
        return _mm256_fmadd_ps(inverse[part], _mm256_set1_ps(query.gate), cut);
    }
};

}  // namespace
}  // namespace vecstore
