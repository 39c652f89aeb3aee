// The factors of 32 rows, and products made distances. Included by each instruction set's file after its lanes_*.h.
#pragma once

#include "elements.h"
#include "vecstore/ops.h"

namespace vecstore {
namespace {

inline void widen_factors(const std::uint8_t* factors, bool half, float* out) {
    if (!half) {
        __builtin_memcpy(out, factors, 32 * sizeof(float));
        return;
    }
    const auto* from = reinterpret_cast<const F16*>(factors);
    for (int i = 0; i < 32; i += Lanes::kWidth) {
        const Lanes::Reg wide = Lanes::load(from + i);
        __builtin_memcpy(out + i, &wide, sizeof wide);
    }
}

// Nothing is fused here (-ffp-contract=off): distances have the same bits on every instruction set.
inline void finish(float* products, std::size_t nblocks, const RowFactors& factors, float query_scale, float list_add) {
    constexpr std::size_t kRows = 32;
    const std::size_t column_bytes = kRows * (factors.half ? 2 : 4);
    for (std::size_t b = 0; b < nblocks; ++b) {
        alignas(64) float scale[kRows], add[kRows];
        float* const out = products + b * kRows;
        const std::uint8_t* const of_block = factors.data + b * factors.columns * column_bytes;
        widen_factors(of_block, factors.half, scale);
        if (factors.columns == 1) {
            for (std::size_t i = 0; i < kRows; ++i) out[i] = list_add + scale[i] * (query_scale * out[i]);
        } else {
            widen_factors(of_block + column_bytes, factors.half, add);
            for (std::size_t i = 0; i < kRows; ++i) out[i] = (list_add + add[i]) + scale[i] * (query_scale * out[i]);
        }
    }
}

}  // namespace
}  // namespace vecstore
