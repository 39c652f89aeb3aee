// The parts of a term in a list of blocks, for files with and without an instruction that counts bits.
#pragma once

#include "seismic_ops.h"

namespace vecstore {
namespace {  // internal linkage: files with flags of their own include this

[[maybe_unused]] void find_parts(const PartWord* words, const PartRows& parts, std::size_t first, std::size_t last,
                                 const std::uint32_t* blocks, std::size_t count, std::uint16_t* sums, Reads& reads) {
    Reads found{reads.blocks, reads.rows, 0, 0};
    for (std::size_t i = 0; i < count; ++i) {
        const PartWord& word = words[blocks[i] / 64];
        const std::uint32_t bit = blocks[i] % 64;
        const std::uint64_t below = word.bits & ((std::uint64_t{1} << bit) - 1);
        const std::size_t part = first + word.parts + static_cast<std::size_t>(__builtin_popcountll(below));
        parts.add(part < last ? part : last, i, sums, static_cast<std::uint32_t>(word.bits >> bit & 1), found);
    }
    reads = found;
}

// Row by row.
[[maybe_unused]] void add_each(const BlockRead* reads, std::size_t count, std::uint32_t weight) {
    for (std::size_t i = 0; i < count; ++i) {
        std::uint32_t octets = *reads[i].record;
        const std::uint8_t *rows = reads[i].record + 1, *code = rows + __builtin_popcount(octets);
        for (; octets != 0; octets &= octets - 1) {
            std::uint16_t* sums = reads[i].sums + 8 * __builtin_ctz(octets);
            for (std::uint32_t left = *rows++; left != 0; left &= left - 1) {
                std::uint16_t& sum = sums[__builtin_ctz(left)];
                sum = static_cast<std::uint16_t>(sum + ((std::uint32_t{*code++} * weight) >> 8) + 1);
            }
        }
    }
}

}  // namespace
}  // namespace vecstore
