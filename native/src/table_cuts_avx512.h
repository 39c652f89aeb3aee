// Cuts of the 32 rows of a block, AVX-512. Included by table_sums_vbmi.h, after lanes_avx512.h.
#pragma once

#include <immintrin.h>

#include "elements.h"
#include "table_cuts.h"

namespace vecstore {
namespace {

// The part of cuts that rows bring: inverse scales, and what is added and the errors in them.
struct RowCuts {
    bool known = true;  // scales are of one sign; without, any row may be near
    bool positive = false;
    __m512 inverse[2], add[2], error[2];

    RowCuts() = default;
    RowCuts(const TableRun& run, std::size_t block) {
        const std::size_t size = run.half_factors ? 2 : 4;
        const std::uint8_t* const from = run.factors + block * run.columns * 32 * size;
        const __m512 zero = _mm512_setzero_ps(), slack = _mm512_set1_ps(QueryCut::kSlack);
        __mmask16 above[2], below[2];
        for (int half = 0; half < 2; ++half) {
            const auto column = [&](int c) {
                if (c >= run.columns) return zero;
                const std::uint8_t* at = from + (32 * c + 16 * half) * size;
                return run.half_factors ? Lanes::load(reinterpret_cast<const F16*>(at))
                                        : Lanes::load(reinterpret_cast<const float*>(at));
            };
            const __m512 scale = column(0);
            above[half] = _mm512_cmp_ps_mask(scale, zero, _CMP_GT_OQ);
            below[half] = _mm512_cmp_ps_mask(scale, zero, _CMP_LT_OQ);
            inverse[half] = _mm512_div_ps(_mm512_set1_ps(1), scale);
            add[half] = _mm512_mul_ps(column(1), inverse[half]);
            error[half] = _mm512_mul_ps(column(2), inverse[half]);
        }
        positive = above[0] & 1;
        known = (above[0] & above[1]) == 0xffff || (below[0] & below[1]) == 0xffff;
        // The other way round where scales are positive, so that what is near is below zero in any case.
        const __m512 sign = _mm512_set1_ps(positive ? -0.0f : 0.0f);
        for (int half = 0; half < 2; ++half) {
            inverse[half] = _mm512_xor_ps(inverse[half], sign);
            add[half] = _mm512_xor_ps(add[half], sign);
            error[half] = _mm512_xor_ps(error[half], sign);
            add[half] = _mm512_fmadd_ps(slack, _mm512_abs_ps(add[half]), add[half]);
            error[half] = _mm512_fnmadd_ps(slack, _mm512_abs_ps(error[half]), error[half]);
            constexpr int kNanOrInfinite = 0x99, kZero = 0x06;
            known = known && _mm512_fpclass_ps_mask(inverse[half], kNanOrInfinite | kZero) == 0 &&
                    _mm512_fpclass_ps_mask(add[half], kNanOrInfinite) == 0 &&
                    _mm512_fpclass_ps_mask(error[half], kNanOrInfinite) == 0;
        }
    }

    // Sums that started at the bits of kSumBase: with the sign bit where one of sixteen rows may be near.
    template <bool kPositive>
    __m512i near(int half, __m512i sums, const QueryCut& query) const {
        const __m512 sum = _mm512_castsi512_ps(sums), base = _mm512_set1_ps(query.base[kPositive]);
        __m512 cut = kPositive ? _mm512_sub_ps(sum, base) : _mm512_sub_ps(base, sum);
        cut = _mm512_fmadd_ps(error[half], _mm512_set1_ps(query.error), cut);
        cut = _mm512_fmadd_ps(add[half], _mm512_set1_ps(query.add), cut);
        return _mm512_castps_si512(_mm512_fmadd_ps(inverse[half], _mm512_set1_ps(query.gate), cut));
    }

    __m512i near(int half, __m512i sums, const QueryCut& query) const {
        return positive ? near<true>(half, sums, query) : near<false>(half, sums, query);
    }
};

}  // namespace
}  // namespace vecstore
