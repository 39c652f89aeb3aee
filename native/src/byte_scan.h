// Scans of byte codes in lists by look-ups in tables of 256 floats: see ByteCodes in vecstore/kernels/base.py.
#pragma once

#include "list_scan.h"

namespace vecstore {

struct ByteCodes {
    ListLayout layout;
    std::size_t bytes;          // of a row
    const std::uint8_t* codes;  // (places, bytes)
    const float* factors;       // (places, 2): scale, add
    std::size_t width;          // dims of one table
    const std::int32_t* table_dims;
    const float* table_values;  // (bytes, width, 256)
};

// Everything was checked by the caller: lists are in -1..nlist-1, dims in -1..dim-1.
void byte_scan(const ByteCodes& codes, const float* queries, std::size_t dim, const ListProbes& probes,
               const ListOutput& output);

}  // namespace vecstore
