// The nearest row of each of many queries, without reading most rows whole.
#pragma once

#include "dense_scan.h"

namespace vecstore {

// What is known of distances before rows are read: base[q] - <queries[q], rows[r]> is at most that of q and r.
struct NearestBounds {
    std::size_t width;
    const float* queries;  // (nq, width)
    const float* rows;     // (n, width)
    const float* base;     // (nq,)
};

// Of l2 or dot; the same row and the same bits of its distance as dense_scan gives for k = 1. Returns how many pairs
// were compared in full.
std::size_t nearest_rows(Metric metric, const float* queries, std::size_t nq, const DenseRows& rows,
                         const NearestBounds& bounds, std::int64_t* out_rows, float* out_distances);

}  // namespace vecstore
