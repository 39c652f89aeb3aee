// Rows once more as bytes, made once and read by many scans.
#pragma once

#include "dense_scan.h"

namespace vecstore {

// Of the first n rows of a scan, in blocks of 32 (row_codes_kernels.h): row r, under cosine over its length, is about
// scales[r] * (its bytes - 128).
struct RowBytes {
    std::size_t n;
    const std::uint8_t* blocks;  // (ceil(n / 32), width / 4, 32, 4)
    std::size_t width;           // dims, filled up to a multiple of 8
    const float* scales;         // (n,)
    const float* squares;        // (n,), |row|^2, under l2 only
    const float* errors;         // of each block, the largest |row - what its bytes stand for|; infinite: unknown
    const float* lengths;        // of each block, the largest length of what bytes stand for
};

struct RowBytesOutput {
    std::uint8_t* blocks;
    float *scales, *squares, *errors, *lengths;  // no squares but under l2
};

void round_rows(Metric metric, const DenseRows& rows, const RowBytesOutput& output);

}  // namespace vecstore
