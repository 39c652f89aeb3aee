// Sums of several queries without a way to look up for them together. Included by table_sums_*.h, after block_sums.
#pragma once

#include "vecstore/ops.h"

namespace vecstore {
namespace {

template <class Found>
inline void sums_of_each(const TableRun& run, const TableAsk* asks, std::size_t nq, const Found& found) {
    alignas(64) std::int32_t sums[32];
    for (std::size_t b = 0; b < run.count; ++b) {
        for (std::size_t q = 0; q < nq; ++q) {
            block_sums(run.blocks + b * run.groups * 128, 1, run.groups, asks[q].tables->bytes, sums);
            found(q, sums, b);
        }
    }
}

}  // namespace
}  // namespace vecstore
