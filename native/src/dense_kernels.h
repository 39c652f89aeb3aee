// Dense leaf routines over `Lanes`. Included once by each instruction set's file, after its lanes_*.h.
//
// A (query, row) pair is summed in two chains of kLanes floats, one over the even and one over the odd chunks of the
// row; the chains are added and reduced by one fixed tree. A pair's sum therefore has the same bits in a batch and
// alone, and on AVX2, AVX-512 and NEON.
#pragma once

#include "elements.h"
#include "factors.h"

namespace vecstore {
namespace {

using Reg = Lanes::Reg;

// Scattered rows are prefetched this far ahead. Rows in sequence are left to the hardware, which does it better; that
// is also why one query takes one row at a time: several streams at once halve the bandwidth.
constexpr std::size_t kPrefetchBytes = 6144;

template <class T>
inline const T* row_at(const RowBlock& rows, std::size_t i) {
    const std::size_t offset = rows.offsets ? static_cast<std::size_t>(rows.offsets[i]) : i;
    return reinterpret_cast<const T*>(rows.base + offset * rows.stride);
}

template <Sum kSum, class T>
inline Reg step(Reg query, Reg x, Reg acc) {
    if constexpr (kSum == Sum::dot) return Lanes::fma(query, x, acc);
    // Widening 16-bit elements keeps the adders busy: the same difference then comes from the multipliers.
    const Reg difference = sizeof(T) == 2 ? Lanes::sub_by_fma(query, x) : Lanes::sub(query, x);
    return Lanes::fma(difference, difference, acc);
}

// Calls f<0>(), f<1>(), ... for each register of a chunk.
template <class F>
inline void for_each_part(const F& f) {
    f.template operator()<0>();
    if constexpr (Lanes::kParts > 1) f.template operator()<1>();
    if constexpr (Lanes::kParts > 2) f.template operator()<2>();
    if constexpr (Lanes::kParts > 3) f.template operator()<3>();
}

// One query, one row: both chains at once, so that neither waits for its own last addition.
template <Sum kSum, class T>
inline float pair_sum(const float* query, const T* row, std::size_t dim) {
    Reg acc[2][Lanes::kParts];
    for (auto& chain : acc)
        for (Reg& part : chain) part = Lanes::zero();
    const auto add = [&](Reg(&chain)[Lanes::kParts], std::size_t d) {
#pragma GCC unroll 4
        for (int p = 0; p < Lanes::kParts; ++p) {
            const std::size_t at = d + p * Lanes::kWidth;
            chain[p] = step<kSum, T>(Lanes::load(query + at), Lanes::load(row + at), chain[p]);
        }
    };
    const auto add_tail = [&](Reg(&chain)[Lanes::kParts], std::size_t d) {
        for_each_part([&]<int kPart>() {
            const Reg x = Lanes::load_tail<kPart>(row, dim);
            chain[kPart] = step<kSum, T>(Lanes::load(query + d + kPart * Lanes::kWidth), x, chain[kPart]);
        });
    };
    const std::size_t whole = dim / kLanes * kLanes;
    std::size_t d = 0;
    for (; d + 2 * kLanes <= whole; d += 2 * kLanes) {
        add(acc[0], d);
        add(acc[1], d + kLanes);
    }
    if (d != whole) {
        add(acc[0], d);
        if (whole != dim) add_tail(acc[1], whole);
    } else if (whole != dim) {
        add_tail(acc[0], whole);
    }
    for (int p = 0; p < Lanes::kParts; ++p) acc[0][p] = Lanes::add(acc[0][p], acc[1][p]);
    return Lanes::reduce(acc[0]);
}

template <Sum kSum, class T>
inline void single(const float* query, std::size_t dim, const RowBlock& rows, float* out) {
    // Where about half of the rows are listed, reading all of them in sequence beats skipping some.
    constexpr std::size_t kDenseSpan = 2048;
    if (rows.offsets && rows.span != 0 && 4 * rows.span <= 9 * rows.count && rows.span <= kDenseSpan) {
        float all[kDenseSpan];
        const T* first = row_at<T>(rows, 0);
        const std::size_t stride = rows.stride / sizeof(T);
        for (std::size_t i = 0; i < rows.span; ++i) all[i] = pair_sum<kSum>(query, first + i * stride, dim);
        for (std::size_t i = 0; i < rows.count; ++i) out[i] = all[rows.offsets[i] - rows.offsets[0]];
        return;
    }
    const bool scattered = rows.offsets && (rows.span == 0 || rows.span > 4 * rows.count);
    const std::size_t ahead = kPrefetchBytes / rows.stride + 1;
    for (std::size_t i = 0; i < rows.count; ++i) {
        if (scattered && i + ahead < rows.count) {
            const T* later = row_at<T>(rows, i + ahead);
            for (std::size_t d = 0; d < dim; d += 64 / sizeof(T)) __builtin_prefetch(later + d);
        }
        out[i] = pair_sum<kSum>(query, row_at<T>(rows, i), dim);
    }
}

// kTileQueries x kTileRows pairs in registers, one chain after the other: the rows stay in the first-level cache.
template <Sum kSum, class T>
inline void tile(const float* queries, std::size_t dim, const T* const (&row)[Lanes::kTileRows], float* out,
                 std::size_t out_stride) {
    constexpr int kQueries = Lanes::kTileQueries;
    constexpr int kRows = Lanes::kTileRows;
    const std::size_t query_stride = padded_dim(dim);
    const std::size_t whole = dim / kLanes * kLanes;
    Reg even[kQueries][kRows][Lanes::kParts];
    for (std::size_t chain = 0; chain < 2; ++chain) {
        Reg acc[kQueries][kRows][Lanes::kParts];
#pragma GCC unroll 8
        for (int q = 0; q < kQueries; ++q)
#pragma GCC unroll 8
            for (int r = 0; r < kRows; ++r)
#pragma GCC unroll 4
                for (int p = 0; p < Lanes::kParts; ++p) acc[q][r][p] = Lanes::zero();

        for (std::size_t d = chain * kLanes; d < whole; d += 2 * kLanes) {
#pragma GCC unroll 4
            for (int p = 0; p < Lanes::kParts; ++p) {
                const std::size_t at = d + p * Lanes::kWidth;
                Reg x[kRows];
#pragma GCC unroll 8
                for (int r = 0; r < kRows; ++r) x[r] = Lanes::load(row[r] + at);
#pragma GCC unroll 8
                for (int q = 0; q < kQueries; ++q) {
                    const Reg query = Lanes::load(queries + q * query_stride + at);
#pragma GCC unroll 8
                    for (int r = 0; r < kRows; ++r) acc[q][r][p] = step<kSum, T>(query, x[r], acc[q][r][p]);
                }
            }
        }
        if (whole != dim && whole / kLanes % 2 == chain) {
            for_each_part([&]<int kPart>() {
                Reg x[kRows];
#pragma GCC unroll 8
                for (int r = 0; r < kRows; ++r) x[r] = Lanes::load_tail<kPart>(row[r], dim);
#pragma GCC unroll 8
                for (int q = 0; q < kQueries; ++q) {
                    const Reg query = Lanes::load(queries + q * query_stride + whole + kPart * Lanes::kWidth);
#pragma GCC unroll 8
                    for (int r = 0; r < kRows; ++r) acc[q][r][kPart] = step<kSum, T>(query, x[r], acc[q][r][kPart]);
                }
            });
        }
#pragma GCC unroll 8
        for (int q = 0; q < kQueries; ++q) {
#pragma GCC unroll 8
            for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 4
                for (int p = 0; p < Lanes::kParts; ++p)
                    even[q][r][p] = chain == 0 ? acc[q][r][p] : Lanes::add(even[q][r][p], acc[q][r][p]);
                if (chain == 1) out[q * out_stride + r] = Lanes::reduce(even[q][r]);
            }
        }
    }
}

template <Sum kSum, class T>
void sums(const float* queries, std::size_t nq, std::size_t dim, const RowBlock& rows, float* out,
          std::size_t out_stride) {
    if (nq == 1) return single<kSum, T>(queries, dim, rows, out);
    for (std::size_t i = 0; i < rows.count; i += Lanes::kTileRows) {
        const T* row[Lanes::kTileRows];
        // Places past the block's end repeat its last row; their results land in the output's padding.
        for (int r = 0; r < Lanes::kTileRows; ++r)
            row[r] = row_at<T>(rows, i + r < rows.count ? i + r : rows.count - 1);
        tile<kSum, T>(queries, dim, row, out + i, out_stride);
    }
}

template <class T>
void squares(std::size_t dim, const RowBlock& rows, float* out) {
    const std::size_t whole = dim / kLanes * kLanes;
    for (std::size_t i = 0; i < rows.count; ++i) {
        const T* row = row_at<T>(rows, i);
        Reg acc[Lanes::kParts];
        for (Reg& part : acc) part = Lanes::zero();
        for_each_part([&]<int kPart>() {
            const auto add = [&](Reg x) { acc[kPart] = Lanes::fma(x, x, acc[kPart]); };
            for (std::size_t d = 0; d < whole; d += kLanes) add(Lanes::load(row + d + kPart * Lanes::kWidth));
            if (whole != dim) add(Lanes::load_tail<kPart>(row, dim));
        });
        out[i] = Lanes::reduce(acc);
    }
}

// Rounding by adding 1.5 * 2^23, which leaves no bits for a fraction.
template <class T>
void round_row(const std::uint8_t* row, std::size_t dim, float* numbers, std::int8_t* bytes, RowRounding* out) {
    const T* const from = reinterpret_cast<const T*>(row);
    const std::size_t whole = dim / kLanes * kLanes;
    for (std::size_t d = 0; d < whole; d += Lanes::kWidth) {
        const Lanes::Reg x = Lanes::load(from + d);
        __builtin_memcpy(numbers + d, &x, sizeof x);
    }
    if (whole < dim) {
        T rest[kLanes] = {};
        __builtin_memcpy(rest, from + whole, (dim - whole) * sizeof(T));
        float widened[kLanes];
        for (std::size_t d = 0; d < kLanes; d += Lanes::kWidth) {
            const Lanes::Reg x = Lanes::load(rest + d);
            __builtin_memcpy(widened + d, &x, sizeof x);
        }
        for (std::size_t d = whole; d < dim; ++d) numbers[d] = widened[d - whole];
    }
    std::uint32_t most = 0;  // magnitudes as bits, whose order is the same: compilers keep to the order of floats
    for (std::size_t d = 0; d < dim; ++d) {
        std::uint32_t bits;
        __builtin_memcpy(&bits, numbers + d, sizeof bits);
        most = most > bits << 1 ? most : bits << 1;
    }
    most >>= 1;
    float largest;
    __builtin_memcpy(&largest, &most, sizeof largest);
    const float scale = largest / 127, inverse = scale > 1e-36f ? 1 / scale : 0;
    const Lanes::Reg by = Lanes::all(inverse), back = Lanes::all(scale), round = Lanes::all(0x1.8p23f);
    Lanes::Reg squares[Lanes::kParts], missed[Lanes::kParts];
    for (int p = 0; p < Lanes::kParts; ++p) squares[p] = missed[p] = Lanes::zero();
    for (std::size_t d = 0; d < whole; d += kLanes)
        for (int p = 0; p < Lanes::kParts; ++p) {
            float* const at = numbers + d + p * Lanes::kWidth;
            const Lanes::Reg x = Lanes::load(at);
            const Lanes::Reg number = Lanes::sub(Lanes::add(Lanes::mul(x, by), round), round);
            const Lanes::Reg off = Lanes::sub(x, Lanes::mul(number, back));
            squares[p] = Lanes::fma(x, x, squares[p]);
            missed[p] = Lanes::fma(off, off, missed[p]);
            __builtin_memcpy(at, &number, sizeof number);
        }
    float rest_squares = 0, rest_missed = 0;
    for (std::size_t d = whole; d < dim; ++d) {
        const float x = numbers[d];
        numbers[d] = (x * inverse + 0x1.8p23f) - 0x1.8p23f;
        const float off = x - numbers[d] * scale;
        rest_squares += x * x;
        rest_missed += off * off;
    }
    for (std::size_t d = 0; d < dim; ++d) bytes[d] = static_cast<std::int8_t>(static_cast<std::int32_t>(numbers[d]));
    constexpr float kLeast = 1e-15f;  // of smaller numbers the squares would be lost
    const bool lost = largest > 0 && largest < kLeast;
    *out = {scale, Lanes::reduce(squares) + rest_squares,
            lost ? __builtin_inff() : Lanes::reduce(missed) + rest_missed};
}

inline std::size_t count_below(const float* distances, std::size_t n, float bound) {
    std::size_t count = 0, i = 0;
    for (; i + kLanes <= n; i += kLanes)
        for (std::size_t p = 0; p < kLanes; p += Lanes::kWidth)
            count += static_cast<std::size_t>(
                __builtin_popcount(Lanes::less(Lanes::load(distances + i + p), Lanes::all(bound))));
    for (; i < n; ++i) count += distances[i] < bound;
    return count;
}

inline std::size_t below(const float* distances, std::size_t n, float bound, std::uint32_t* positions) {
    std::size_t found = 0;
    std::size_t i = 0;
    for (; i + kLanes <= n; i += kLanes) {
        std::uint32_t bits = 0;
        for (std::size_t p = 0; p < kLanes; p += Lanes::kWidth)
            bits |= Lanes::less(Lanes::load(distances + i + p), Lanes::all(bound)) << p;
        while (bits != 0) {
            positions[found++] = static_cast<std::uint32_t>(i) + __builtin_ctz(bits);
            bits &= bits - 1;
        }
    }
    for (; i < n; ++i)
        if (distances[i] < bound) positions[found++] = static_cast<std::uint32_t>(i);
    return found;
}

// Fills in what all instruction sets' files build from the same source.
inline Ops dense_ops(const char* isa) {
    return Ops{
        .isa = isa,
        .query_tile = Lanes::kTileQueries,
        .sums = {{sums<Sum::dot, float>, sums<Sum::dot, F16>, sums<Sum::dot, BF16>},
                 {sums<Sum::l2, float>, sums<Sum::l2, F16>, sums<Sum::l2, BF16>}},
        .squares = {squares<float>, squares<F16>, squares<BF16>},
        .hamming = nullptr,
        .float8_dots = {sums<Sum::dot, E4M3>, sums<Sum::dot, E5M2>},
        .code_dots = {},
        .finish = finish,
        .table_estimates = nullptr,
        .tables_pass_once = false,
        .fill_tables = nullptr,
        .extra_dot = nullptr,
        .round_row = {round_row<float>, round_row<F16>, round_row<BF16>},
        .count_below = count_below,
        .below = below,
        .read = nullptr,
    };
}

}  // namespace
}  // namespace vecstore
