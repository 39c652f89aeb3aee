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
inline void finish_block(float* out, const float* scale, const float* add, float query_scale, float list_add) {
    if (add == nullptr) {
        for (std::size_t i = 0; i < 32; ++i) out[i] = list_add + scale[i] * (query_scale * out[i]);
    } else {
        for (std::size_t i = 0; i < 32; ++i) out[i] = (list_add + add[i]) + scale[i] * (query_scale * out[i]);
    }
}

inline void finish(float* products, std::size_t nblocks, const RowFactors& factors, float query_scale, float list_add) {
    const std::size_t column_bytes = 32 * (factors.half ? 2 : 4);
    const bool adds = factors.columns > 1;
    if (factors.columns == 0) {
        for (std::size_t i = 0; i < 32 * nblocks; ++i) products[i] = list_add + query_scale * products[i];
        return;
    }
    for (std::size_t b = 0; b < nblocks; ++b) {
        const std::uint8_t* const of_block = factors.data + b * factors.columns * column_bytes;
        if (!factors.half) {
            const auto* const scale = reinterpret_cast<const float*>(of_block);
            finish_block(products + b * 32, scale, adds ? scale + 32 : nullptr, query_scale, list_add);
            continue;
        }
        alignas(64) float scale[32], add[32];
        widen_factors(of_block, true, scale);
        if (adds) widen_factors(of_block + column_bytes, true, add);
        finish_block(products + b * 32, scale, adds ? add : nullptr, query_scale, list_add);
    }
}

}  // namespace
}  // namespace vecstore
