// Scans vectors stored in blocks of dimensions, reading only the blocks that a query keeps.
#pragma once

#include "dense_scan.h"

namespace vecstore {

struct DimensionBlocks {
    const std::uint8_t* data;  // (nblocks, n, width): one matrix after the other
    std::size_t nblocks;
    std::size_t n;
    std::size_t width;
    Element element;
    const float* inverse_norms;    // (n,) for cosine, else null
    const std::uint64_t* allowed;  // as in Rows
};

// Nearest rows by dot, or by cosine where there are inverse norms, of each query (nq, nblocks * width) with everything
// outside its kept blocks (nq, nkept), -1 for none, taken as zero.
void block_scan(const float* queries, std::size_t nq, const DimensionBlocks& blocks, const std::int32_t* kept,
                std::size_t nkept, const TopKOutput& output);

}  // namespace vecstore
