// Loops that the compiler turns into each instruction set's vectors. Internal linkage: files with flags of their own
// include this.
//
// What bounds them (AMD EPYC of 4th generation, one thread, both cores busy, lists of 24 MiB in the third-level cache,
// which a plain sum reads at 36 GB/s): a posting of a list is 3 bytes, and its sum is read and written where it stands,
// 0.5 to 0.7 ns, 4 to 6 GB/s: one addition to memory after the other, on every instruction set. A dense list is one
// byte a row, 0.047 ns with AVX-512 (21 GB/s), 0.052 with AVX2, 0.077 with SSE2.
#pragma once

#include "posting_ops.h"

namespace vecstore {
namespace {

constexpr std::size_t kTogether = 64;
constexpr std::size_t kDenseAhead = 4096;  // lists take turns by this many rows, which stops the CPU's own fetching

inline std::uint16_t contribution(std::uint16_t weight, std::uint8_t code) {
    // Written so that compilers see the high half of a product of 16 bits, which has an instruction everywhere.
    const auto wide = static_cast<std::uint16_t>(code << 8);
    return static_cast<std::uint16_t>(static_cast<std::uint32_t>(weight) * static_cast<std::uint32_t>(wide) >> 16);
}

template <bool kNegative>
void add_list_signed(std::uint16_t* sums, const std::uint16_t* ids, const std::uint8_t* codes, std::size_t count,
                     std::uint16_t weight) {
    alignas(64) std::uint16_t parts[kTogether];
    std::size_t i = 0;
    for (; i + kTogether <= count; i += kTogether) {
        // The multiplications run in vectors, the additions one by one: they go where the ids say.
        for (std::size_t j = 0; j < kTogether; ++j) parts[j] = contribution(weight, codes[i + j]) + 1;
#pragma GCC unroll 8
        for (std::size_t j = 0; j < kTogether; ++j) {
            if (kNegative)
                sums[ids[i + j]] -= parts[j];
            else
                sums[ids[i + j]] += parts[j];
        }
    }
    for (; i < count; ++i) {
        const std::uint16_t part = contribution(weight, codes[i]) + 1;
        sums[ids[i]] = static_cast<std::uint16_t>(kNegative ? sums[ids[i]] - part : sums[ids[i]] + part);
    }
}

void add_list(std::uint16_t* sums, const std::uint16_t* ids, const std::uint8_t* codes, std::size_t count,
              PostingWeight weight) {
    if (weight.negative)
        add_list_signed<true>(sums, ids, codes, count, weight.weight);
    else
        add_list_signed<false>(sums, ids, codes, count, weight.weight);
}

template <bool kNegative>
void add_dense_signed(std::uint16_t* __restrict sums, const std::uint8_t* __restrict codes, std::size_t count,
                      std::uint16_t weight) {
    for (std::size_t begin = 0; begin < count; begin += kTogether) {
        __builtin_prefetch(codes + begin + kDenseAhead, 0, 2);
        for (std::size_t i = begin; i < begin + kTogether; ++i) {
            const std::uint16_t part = contribution(weight, codes[i]) + (codes[i] != 0 ? 1 : 0);
            sums[i] = static_cast<std::uint16_t>(kNegative ? sums[i] - part : sums[i] + part);
        }
    }
}

void add_dense(std::uint16_t* sums, const std::uint8_t* codes, std::size_t count, PostingWeight weight) {
    if (weight.negative)
        add_dense_signed<true>(sums, codes, count, weight.weight);
    else
        add_dense_signed<false>(sums, codes, count, weight.weight);
}

// Without a branch: what a row shares with a query cannot be foretold.
[[maybe_unused]] std::size_t filter_one_by_one(const IndexFilter& filter, const std::uint32_t* indices,
                                               std::size_t begin, std::size_t count, std::uint32_t* places,
                                               std::size_t found) {
    for (std::size_t i = begin; i < count; ++i) {
        const std::uint32_t bit = indices[i] * filter.multiplier >> 22;
        places[found] = static_cast<std::uint32_t>(i);
        found += filter.words[bit / 32] >> (bit % 32) & 1;
    }
    return found;
}

// Most often none is.
[[maybe_unused]] std::uint64_t at_least_by_largest(const std::uint16_t* sums, std::uint16_t bound) {
    std::uint16_t most = 0;
    for (std::size_t i = 0; i < 64; ++i) most = sums[i] > most ? sums[i] : most;
    if (most < bound) return 0;
    std::uint64_t found = 0;
    for (std::size_t i = 0; i < 64; ++i) found |= static_cast<std::uint64_t>(sums[i] >= bound) << i;
    return found;
}

}  // namespace
}  // namespace vecstore
