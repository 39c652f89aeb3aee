// Products of byte queries with blocks of 32 rows' codes, over `CodeLanes`. Included once by each instruction set's
// file, after its row_codes_lanes_*.h.
//
// A block holds, for every 8 dims, the codes of row 0, of row 1, ...: four bytes each, so that a 32-bit lane belongs to
// one row and sums need no shuffle at the end. As nibbles, the four bytes hold dims 0, 2, 4, 6 low and 1, 3, 5, 7 high
// (turbovec's "permute-dot": the levels stay in one register for the whole scan); as bytes, dims 0..3 of all rows come
// first, then dims 4..7. Integer sums have no rounding: every instruction set gives the same bits.
#pragma once

#include "vecstore/ops.h"

namespace vecstore {
namespace {

constexpr int kCodeBlock = 32;  // rows

template <bool kNibbles, int kQueries>
inline void block_dots(const ByteQueries& queries, std::size_t first, const std::uint8_t* block,
                       CodeLanes::Levels levels, float* out, std::size_t out_stride) {
    using L = CodeLanes;
    constexpr int kParts = L::parts(kQueries);
    constexpr int kChains = kQueries <= 2 ? 2 : 1;  // few sums would wait for their own last addition
    constexpr std::size_t kColumn = kCodeBlock * 4;
    const std::int8_t* const values = queries.values + first * queries.stride;
    for (int row = 0; row < kCodeBlock; row += kParts * L::kRows) {
        L::Sum sum[kQueries][kParts][kChains];
#pragma GCC unroll 8
        for (int q = 0; q < kQueries; ++q)
#pragma GCC unroll 4
            for (int p = 0; p < kParts; ++p) {
                sum[q][p][0] = L::start(queries.sums[first + q]);
                if constexpr (kChains == 2) sum[q][p][1] = L::zero();
            }
        const std::uint8_t* at = block + row * 4;
        for (std::size_t d = 0; d < queries.stride; d += 8) {
            L::Codes low[kParts], high[kParts];
#pragma GCC unroll 4
            for (int p = 0; p < kParts; ++p) {
                const std::uint8_t* codes = at + p * L::kRows * 4;
                if constexpr (kNibbles) {
                    L::nibbles(codes, levels, low[p], high[p]);
                } else {
                    low[p] = L::bytes(codes);
                    high[p] = L::bytes(codes + kColumn);
                }
            }
            at += kNibbles ? kColumn : 2 * kColumn;
#pragma GCC unroll 8
            for (int q = 0; q < kQueries; ++q) {
                const L::Query a = L::query(values + q * queries.stride + d);
                const L::Query b = L::query(values + q * queries.stride + d + 4);
#pragma GCC unroll 4
                for (int p = 0; p < kParts; ++p) {
                    sum[q][p][0] = L::dot(sum[q][p][0], low[p], a);
                    sum[q][p][kChains - 1] = L::dot(sum[q][p][kChains - 1], high[p], b);
                }
            }
        }
#pragma GCC unroll 8
        for (int q = 0; q < kQueries; ++q)
#pragma GCC unroll 4
            for (int p = 0; p < kParts; ++p) {
                if constexpr (kChains == 2) sum[q][p][0] = L::add(sum[q][p][0], sum[q][p][1]);
                L::store(out + q * out_stride + row + p * L::kRows, sum[q][p][0]);
            }
    }
}

template <bool kNibbles, int kQueries>
inline void run_dots(const ByteQueries& queries, std::size_t first, const std::uint8_t* blocks, std::size_t nblocks,
                     float* out, std::size_t out_stride) {
    const std::size_t block_bytes = queries.stride * kCodeBlock / (kNibbles ? 2 : 1);
    CodeLanes::Levels levels{};
    if constexpr (kNibbles) levels = CodeLanes::levels(queries.levels);
    for (std::size_t b = 0; b < nblocks; ++b)
        block_dots<kNibbles, kQueries>(queries, first, blocks + b * block_bytes, levels,
                                       out + first * out_stride + b * kCodeBlock, out_stride);
}

template <bool kNibbles>
void code_dots(const ByteQueries& queries, std::size_t nq, const std::uint8_t* blocks, std::size_t nblocks, float* out,
               std::size_t out_stride) {
    std::size_t first = 0;
    const auto pass = [&]<int kQueries>() {
        if constexpr (kQueries <= CodeLanes::kTile)
            for (; first + kQueries <= nq; first += kQueries)
                run_dots<kNibbles, kQueries>(queries, first, blocks, nblocks, out, out_stride);
    };
    pass.template operator()<8>();
    pass.template operator()<4>();
    pass.template operator()<2>();
    pass.template operator()<1>();
}

inline CodeDots row_code_dots() { return {CodeLanes::kTile, CodeLanes::kPay, code_dots<false>, code_dots<true>}; }

}  // namespace
}  // namespace vecstore
