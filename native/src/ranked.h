// The k nearest rows, exactly, without reading most rows whole.
#pragma once

#include "dense_scan.h"

namespace vecstore {

// Rows once more, as bytes in blocks of 32 (row_codes_kernels.h): row r is about scales[r] * (its bytes - 128).
struct RowBytes {
    const std::uint8_t* blocks;  // (nblocks, width / 4, 32, 4)
    std::size_t width;           // dims, filled up to a multiple of 8
    const float* scales;         // (n,)
    const float* squares;        // (n,), |row|^2
    float error;                 // the largest |row - what its bytes stand for|
    float length;                // the largest length of what bytes stand for
};

// Of l2 or dot; the same rows and the same bits of their distances as dense_scan gives. Returns how many pairs were
// compared in full.
std::size_t rank_rows(Metric metric, const float* queries, std::size_t nq, const DenseRows& rows, const RowBytes& bytes,
                      const TopKOutput& output);

}  // namespace vecstore
