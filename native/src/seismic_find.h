// The records of a term in a list of blocks, for files with and without an instruction that counts bits.
#pragma once

#include "seismic_ops.h"

namespace vecstore {
namespace {  // internal linkage: files with flags of their own include this

[[maybe_unused]] std::size_t find_records(const PartWord* words, const std::uint32_t* starts, std::uint32_t last_part,
                                          const std::uint8_t* records, const std::uint32_t* blocks, std::size_t count,
                                          std::uint16_t* sums, BlockRead* reads) {
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const PartWord& word = words[blocks[i] / 64];
        const std::uint32_t bit = blocks[i] % 64;
        const std::uint64_t below = word.bits & ((std::uint64_t{1} << bit) - 1);
        const std::uint32_t part = word.parts + static_cast<std::uint32_t>(__builtin_popcountll(below));
        // Written whether the block holds the term or not: a branch would be guessed wrong every other time.
        reads[found] = {records + starts[part < last_part ? part : last_part], sums + i * kBlockRows};
        __builtin_prefetch(reads[found].record);
        found += word.bits >> bit & 1;
    }
    return found;
}

}  // namespace
}  // namespace vecstore
