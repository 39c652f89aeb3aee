// Loops that the compiler turns into each instruction set's vectors. Internal linkage: files with flags of their own
// include this.
#pragma once

#include "posting_ops.h"

namespace vecstore {
namespace {

constexpr std::size_t kTogether = 64;

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

void add_dense(std::uint16_t* __restrict sums, const std::uint8_t* __restrict codes, std::size_t count,
               PostingWeight weight) {
    const std::uint16_t by = weight.weight;
    if (weight.negative) {
        for (std::size_t i = 0; i < count; ++i)
            sums[i] = static_cast<std::uint16_t>(sums[i] - contribution(by, codes[i]) - (codes[i] != 0 ? 1 : 0));
    } else {
        for (std::size_t i = 0; i < count; ++i)
            sums[i] = static_cast<std::uint16_t>(sums[i] + contribution(by, codes[i]) + (codes[i] != 0 ? 1 : 0));
    }
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
