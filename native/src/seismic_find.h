// The records of a term in a list of blocks, for files with and without an instruction that counts bits.
#pragma once

#include "seismic_ops.h"

namespace vecstore {
namespace {  // internal linkage: files with flags of their own include this

[[maybe_unused]] std::size_t find_records(const PartWord* words, const RecordStarts& starts, std::size_t first,
                                          std::size_t last, const std::uint32_t* blocks, std::size_t count,
                                          std::uint16_t* sums, BlockRead* reads) {
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const PartWord& word = words[blocks[i] / 64];
        const std::uint32_t bit = blocks[i] % 64;
        const std::uint64_t below = word.bits & ((std::uint64_t{1} << bit) - 1);
        const std::size_t part = first + word.parts + static_cast<std::size_t>(__builtin_popcountll(below));
        // Written whether the block holds the term or not: a branch would be guessed wrong every other time.
        reads[found] = {starts.of(part < last ? part : last), sums + i * kBlockRows};
        __builtin_prefetch(reads[found].record);
        found += word.bits >> bit & 1;
    }
    return found;
}

}  // namespace
}  // namespace vecstore
