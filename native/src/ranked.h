// The k nearest rows, exactly, without reading most rows whole.
#pragma once

#include "dense_queries.h"
#include "row_bytes.h"

namespace vecstore {

// The same rows and the same bits of their distances as dense_scan gives. `unit` holds the queries as they are
// prepared, one beside the other: under cosine of unit length. Returns how many pairs were compared in full.
std::size_t rank_rows(Metric metric, const float* unit, const DenseQueries& prepared, std::size_t nq,
                      const DenseRows& rows, const RowBytes& bytes, const TopKOutput& output);

}  // namespace vecstore
