// The leaf routines of a search through postings, for each instruction set. All of them are exact integer arithmetic.
//
// A posting's contribution is ((weight * code) >> 8) + 1 with code in 1..255: never less than weight * code / 256, and
// never nothing, so that a row which was touched can be told from one that was not.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vecstore {

struct PostingWeight {
    std::uint16_t weight;
    bool negative;  // contributions are taken away
};

// Tells most indices that a query lacks from those that it may have, by one bit of a multiplicative hash.
struct IndexFilter {
    std::uint32_t words[32];
    std::uint32_t multiplier;

    std::uint32_t bit(std::uint32_t index) const { return index * multiplier >> 22; }
};

inline constexpr std::size_t kPlacePadding = 16;  // places that a filter may write past the last one

struct PostingOps {
    const char* isa;
    // To sums[ids[i]]; ids differ from each other.
    void (*add_list)(std::uint16_t* sums, const std::uint16_t* ids, const std::uint8_t* codes, std::size_t count,
                     PostingWeight weight);
    // To sums[i] of every code that is not 0. `count` is a multiple of 64.
    void (*add_dense)(std::uint16_t* sums, const std::uint8_t* codes, std::size_t count, PostingWeight weight);
    // Which of 64 sums are at least `bound`, the first in the lowest bit.
    std::uint64_t (*at_least)(const std::uint16_t* sums, std::uint16_t bound);
    // Writes the places, ascending, of indices whose bit is set, and returns how many.
    std::size_t (*filter)(const IndexFilter& filter, const std::uint32_t* indices, std::size_t count,
                          std::uint32_t* places);
};

PostingOps baseline_posting_ops();
PostingOps avx2_posting_ops();
PostingOps avx512_posting_ops();

const PostingOps& current_posting_ops();

}  // namespace vecstore
