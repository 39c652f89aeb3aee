// Dense leaf routines over `Lanes`. Included once by each instruction set's file, after its lanes_*.h.
//
// Every (query, row) pair owns one accumulator of kLanes floats that sees the chunks in order and is reduced by one
// fixed tree: a pair's sum has the same bits in a batch and alone, and on AVX2, AVX-512 and NEON.
#pragma once

#include "elements.h"

namespace vecstore {
namespace {

template <class T, int kRows>
struct RowPointers {
    const T* row[kRows];

    // Rows past the block's end repeat its last row; their results land in the output's padding.
    void set(const RowBlock& rows, std::size_t first) {
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
            const std::size_t i = first + r < rows.count ? first + r : rows.count - 1;
            const std::size_t offset = rows.offsets ? static_cast<std::size_t>(rows.offsets[i]) : i;
            row[r] = reinterpret_cast<const T*>(rows.base + offset * rows.stride);
        }
    }
};

template <Sum kSum>
inline Lanes::Reg step(Lanes::Reg query, Lanes::Reg x, Lanes::Reg acc) {
    if constexpr (kSum == Sum::dot) return Lanes::fma(query, x, acc);
    const Lanes::Reg difference = Lanes::sub(query, x);
    return Lanes::fma(difference, difference, acc);
}

template <Sum kSum, class T, int kQueries, int kRows>
inline void tile(const float* queries, std::size_t dim, const RowPointers<T, kRows>& x,
                 const RowPointers<T, kRows>& next, float* out, std::size_t out_stride) {
    using Reg = Lanes::Reg;
    const std::size_t query_stride = padded_dim(dim);
    Reg acc[kQueries][kRows][Lanes::kParts];
#pragma GCC unroll 8
    for (int q = 0; q < kQueries; ++q)
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
            for (int p = 0; p < Lanes::kParts; ++p) acc[q][r][p] = Lanes::zero();

    const std::size_t whole = dim / kLanes * kLanes;
    for (std::size_t d = 0; d < whole; d += kLanes) {
        if constexpr (kQueries == 1) {
#pragma GCC unroll 8
            for (int r = 0; r < kRows; ++r) __builtin_prefetch(next.row[r] + d);
        }
#pragma GCC unroll 4
        for (int p = 0; p < Lanes::kParts; ++p) {
            Reg chunk[kRows];
#pragma GCC unroll 8
            for (int r = 0; r < kRows; ++r) chunk[r] = Lanes::load(x.row[r] + d + p * Lanes::kWidth);
#pragma GCC unroll 8
            for (int q = 0; q < kQueries; ++q) {
                const Reg query = Lanes::load(queries + q * query_stride + d + p * Lanes::kWidth);
#pragma GCC unroll 8
                for (int r = 0; r < kRows; ++r) acc[q][r][p] = step<kSum>(query, chunk[r], acc[q][r][p]);
            }
        }
    }
    if (whole != dim) {
        const auto tail_part = [&]<int kPart>() {
            Reg chunk[kRows];
#pragma GCC unroll 8
            for (int r = 0; r < kRows; ++r) chunk[r] = Lanes::load_tail<kPart>(x.row[r], dim);
#pragma GCC unroll 8
            for (int q = 0; q < kQueries; ++q) {
                const Reg query = Lanes::load(queries + q * query_stride + whole + kPart * Lanes::kWidth);
#pragma GCC unroll 8
                for (int r = 0; r < kRows; ++r) acc[q][r][kPart] = step<kSum>(query, chunk[r], acc[q][r][kPart]);
            }
        };
        tail_part.template operator()<0>();
        if constexpr (Lanes::kParts > 1) tail_part.template operator()<1>();
        if constexpr (Lanes::kParts > 2) tail_part.template operator()<2>();
        if constexpr (Lanes::kParts > 3) tail_part.template operator()<3>();
    }
#pragma GCC unroll 8
    for (int q = 0; q < kQueries; ++q)
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) out[q * out_stride + r] = Lanes::reduce(acc[q][r]);
}

template <Sum kSum, class T, int kQueries, int kRows>
inline void tiles(const float* queries, std::size_t dim, const RowBlock& rows, float* out, std::size_t out_stride) {
    RowPointers<T, kRows> x, next;
    next.set(rows, 0);
    for (std::size_t i = 0; i < rows.count; i += kRows) {
        x = next;
        next.set(rows, i + kRows);
        tile<kSum, T, kQueries, kRows>(queries, dim, x, next, out + i, out_stride);
    }
}

template <Sum kSum, class T>
void sums(const float* queries, std::size_t nq, std::size_t dim, const RowBlock& rows, float* out,
          std::size_t out_stride) {
    if (nq == 1) {
        tiles<kSum, T, 1, Lanes::kSingleRows>(queries, dim, rows, out, out_stride);
    } else {
        tiles<kSum, T, Lanes::kTileQueries, Lanes::kTileRows>(queries, dim, rows, out, out_stride);
    }
}

template <class T>
void squares(std::size_t dim, const RowBlock& rows, float* out) {
    const std::size_t whole = dim / kLanes * kLanes;
    for (std::size_t i = 0; i < rows.count; ++i) {
        RowPointers<T, 1> x;
        x.set(rows, i);
        const T* row = x.row[0];
        Lanes::Reg acc[Lanes::kParts];
        for (int p = 0; p < Lanes::kParts; ++p) acc[p] = Lanes::zero();
        const auto add = [&](int p, Lanes::Reg v) { acc[p] = Lanes::fma(v, v, acc[p]); };
        for (std::size_t d = 0; d < whole; d += kLanes) {
#pragma GCC unroll 4
            for (int p = 0; p < Lanes::kParts; ++p) add(p, Lanes::load(row + d + p * Lanes::kWidth));
        }
        if (whole != dim) {
            add(0, Lanes::load_tail<0>(row, dim));
            if constexpr (Lanes::kParts > 1) add(1, Lanes::load_tail<1>(row, dim));
            if constexpr (Lanes::kParts > 2) add(2, Lanes::load_tail<2>(row, dim));
            if constexpr (Lanes::kParts > 3) add(3, Lanes::load_tail<3>(row, dim));
        }
        out[i] = Lanes::reduce(acc);
    }
}

inline std::size_t below(const float* distances, std::size_t n, float bound, std::uint32_t* positions) {
    std::size_t found = 0;
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        std::uint32_t bits = Lanes::below(distances + i, bound);
        while (bits != 0) {
            positions[found++] = static_cast<std::uint32_t>(i) + __builtin_ctz(bits);
            bits &= bits - 1;
        }
    }
    for (; i < n; ++i)
        if (distances[i] < bound) positions[found++] = static_cast<std::uint32_t>(i);
    return found;
}

// Fills everything but the Hamming routine.
inline Ops dense_ops(const char* isa) {
    return Ops{
        .isa = isa,
        .query_tile = Lanes::kTileQueries,
        .sums = {{sums<Sum::dot, float>, sums<Sum::dot, F16>, sums<Sum::dot, BF16>},
                 {sums<Sum::l2, float>, sums<Sum::l2, F16>, sums<Sum::l2, BF16>}},
        .squares = {squares<float>, squares<F16>, squares<BF16>},
        .hamming = nullptr,
        .below = below,
        .read = nullptr,
    };
}

}  // namespace
}  // namespace vecstore
