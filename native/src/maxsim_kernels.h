// The leaf routines of maxsim_ops.h. Arithmetic: 2 * width * dim operations for each token; on a core with two fused
// multiply-adds of 8 floats (or one of 16) a cycle that is width * dim / 16 cycles, and one 4-byte broadcast for each
// width / kWidth of them, so that the multiplies are the bound from the first cache level on.
#pragma once

#include "centroid_kernels.h"
#include "maxsim_lanes.h"
#include "token_bytes_kernels.h"

namespace vecstore {
namespace {

// kRows tokens by kRegs registers of query tokens. Named sums would be clearer, arrays unrolled whole do the same.
template <class L, int kRows, int kRegs>
inline void best_of_tile(const float* queries, std::size_t width, std::size_t dim, const float* tokens, float* best) {
    typename L::Reg sums[kRows][kRegs];
#pragma GCC unroll 16
    for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < kRegs; ++v) sums[r][v] = L::zero();
    for (std::size_t d = 0; d < dim; ++d) {
        typename L::Reg lanes[kRegs];
#pragma GCC unroll 4
        for (int v = 0; v < kRegs; ++v) lanes[v] = L::load(queries + d * width + v * L::kWidth);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
            for (int v = 0; v < kRegs; ++v) sums[r][v] = L::fma(tokens[r * dim + d], lanes[v], sums[r][v]);
        }
    }
#pragma GCC unroll 4
    for (int v = 0; v < kRegs; ++v) {
        typename L::Reg top = L::load(best + v * L::kWidth);
#pragma GCC unroll 16
        for (int r = 0; r < kRows; ++r) top = L::max(sums[r][v], top);
        L::store(best + v * L::kWidth, top);
    }
}

template <class L, int kRows, int kRegs>
inline void best_of_column(const float* queries, std::size_t width, std::size_t dim, const float* tokens, std::size_t n,
                           float* best) {
    std::size_t t = 0;
    for (; t + kRows <= n; t += kRows) best_of_tile<L, kRows, kRegs>(queries, width, dim, tokens + t * dim, best);
    if constexpr (kRows > 4)
        for (; t + 4 <= n; t += 4) best_of_tile<L, 4, kRegs>(queries, width, dim, tokens + t * dim, best);
    for (; t < n; ++t) best_of_tile<L, 1, kRegs>(queries, width, dim, tokens + t * dim, best);
}

inline void best(const float* queries, std::size_t width, std::size_t dim, const float* tokens, std::size_t n,
                 float* best) {
    std::size_t q = 0;
#if defined(__AVX512F__)
    for (; q + 32 <= width; q += 32) best_of_column<Lanes16, 8, 2>(queries + q, width, dim, tokens, n, best + q);
    if (q + 16 <= width) {
        best_of_column<Lanes16, 8, 1>(queries + q, width, dim, tokens, n, best + q);
        q += 16;
    }
    if (q < width) best_of_column<Lanes8, 8, 1>(queries + q, width, dim, tokens, n, best + q);
#elif defined(__AVX2__)
    for (; q + 16 <= width; q += 16) best_of_column<Lanes8, 6, 2>(queries + q, width, dim, tokens, n, best + q);
    if (q < width) best_of_column<Lanes8, 8, 1>(queries + q, width, dim, tokens, n, best + q);
#elif defined(__aarch64__)
    for (; q < width; q += 8) best_of_column<Lanes4, 8, 2>(queries + q, width, dim, tokens, n, best + q);
#else
    for (; q < width; q += 8) best_of_column<Lanes4, 4, 2>(queries + q, width, dim, tokens, n, best + q);
#endif
}

#if defined(__AVX512VNNI__)
constexpr bool kBytesPay = true;
#else
constexpr bool kBytesPay = false;
#endif

constexpr MaxSimOps maxsim_ops(const char* isa) {
    return {isa, kBytesPay, best, widen, best_bytes, values, nearest, spread, table, gaps, interact};
}

}  // namespace
}  // namespace vecstore
