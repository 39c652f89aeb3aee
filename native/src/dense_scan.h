// Scans, reranking and norms of float32, float16 and bfloat16 rows.
#pragma once

#include "scan.h"

namespace vecstore {

enum class Metric : int { l2 = 0, dot = 1, cosine = 2 };

struct DenseRows {
    Rows rows;
    std::size_t dim;
    Element element;
    const float* inverse_norms;  // (n,), for cosine
};

void dense_scan(Metric metric, const float* queries, std::size_t nq, const DenseRows& rows, const TopKOutput& output);

// candidates and distances are (nq, m); a candidate of -1 gets +inf. Throws std::invalid_argument for a row >= n.
void dense_rerank(Metric metric, const float* queries, std::size_t nq, const DenseRows& rows,
                  const std::int64_t* candidates, std::size_t m, float* distances);

// 1 / |row|, at most FLT_MAX; 0 for a zero row.
void dense_inverse_norms(const DenseRows& rows, float* out);

}  // namespace vecstore
