// Products of many queries with panels of rows. A row's numbers stand in one lane, so that nothing is added up across
// lanes: short rows cost what their multiplications cost. Included after a lanes_*.h.
#pragma once

#include <cstring>

#include "nearest_ops.h"

namespace vecstore {
namespace {

using Reg = Lanes::Reg;

template <int kQueries>
inline void panel_products(const float* queries, std::size_t width, const float* panel, float* out,
                           std::size_t out_stride) {
    constexpr int kRegs = kPanelRows / Lanes::kWidth;
    Reg acc[kQueries][kRegs];
#pragma GCC unroll 12
    for (int q = 0; q < kQueries; ++q)
#pragma GCC unroll 4
        for (int r = 0; r < kRegs; ++r) acc[q][r] = Lanes::zero();
    for (std::size_t d = 0; d < width; ++d) {
        Reg x[kRegs];
#pragma GCC unroll 4
        for (int r = 0; r < kRegs; ++r) x[r] = Lanes::load(panel + d * kPanelRows + r * Lanes::kWidth);
#pragma GCC unroll 12
        for (int q = 0; q < kQueries; ++q) {
            const Reg query = Lanes::all(queries[q * width + d]);
#pragma GCC unroll 4
            for (int r = 0; r < kRegs; ++r) acc[q][r] = Lanes::fma(query, x[r], acc[q][r]);
        }
    }
#pragma GCC unroll 12
    for (int q = 0; q < kQueries; ++q)
#pragma GCC unroll 4
        for (int r = 0; r < kRegs; ++r) {
            const Reg negative = Lanes::sub(Lanes::zero(), acc[q][r]);
            std::memcpy(out + q * out_stride + r * Lanes::kWidth, &negative, sizeof negative);
        }
}

template <int kQueries>
void products(const float* queries, std::size_t nq, std::size_t width, const float* panels, std::size_t npanels,
              float* out, std::size_t out_stride) {
    static_assert(kMostTogether % kQueries == 0);
    for (std::size_t p = 0; p < npanels; ++p) {
        const float* panel = panels + p * width * kPanelRows;
        float* to = out + p * kPanelRows;
        std::size_t q = 0;
        for (; q + kQueries <= nq; q += kQueries)
            panel_products<kQueries>(queries + q * width, width, panel, to + q * out_stride, out_stride);
        for (; q < nq; ++q) panel_products<1>(queries + q * width, width, panel, to + q * out_stride, out_stride);
    }
}

}  // namespace
}  // namespace vecstore
