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

struct RowBytes;

// `bytes`, where they are given, are read first; the answer is the same. Returns how many pairs were compared in full
// then, 0 where no stored bytes were read.
std::size_t dense_scan(Metric metric, const float* queries, std::size_t nq, const DenseRows& rows,
                       const TopKOutput& output, const RowBytes* bytes = nullptr);

// candidates and distances are (nq, m); a candidate of -1 gets +inf. Throws std::invalid_argument for a row >= n.
void dense_rerank(Metric metric, const float* queries, std::size_t nq, const DenseRows& rows,
                  const std::int64_t* candidates, std::size_t m, float* distances);

// 1 / |row|, at most FLT_MAX; 0 for a zero row.
void dense_inverse_norms(const DenseRows& rows, float* out);

}  // namespace vecstore
