// Carves rows into overlapping leaves of near rows: leaders drawn at random, every row follows its nearest few.
#pragma once

#include "byte_rows.h"

namespace vecstore {

struct Leaves {
    std::vector<std::uint32_t> rows;   // leaf after leaf, ascending within each
    std::vector<std::size_t> offsets;  // (leaves + 1,)
};

// Random choices derive from the seed and a cluster's path, so that leaves depend on nothing else.
Leaves carve_rows(const ByteRows& rows, std::size_t leaf_rows, const std::vector<std::size_t>& fanout,
                  std::uint64_t seed);

}  // namespace vecstore
