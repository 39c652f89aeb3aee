// Scans of nibble codes in lists: see TableCodes in vecstore/kernels/base.py for what they hold.
#pragma once

#include "list_scan.h"

namespace vecstore {

struct TableCodes {
    ListLayout layout;
    std::size_t nibbles;
    std::size_t groups;  // of eight nibbles
    const std::uint8_t* blocks;
    const std::uint8_t* factors;
    bool half_factors;
    int columns;
    std::size_t width;  // dims of one table
    const std::int32_t* table_dims;
    const float* table_values;

    // Stage two; `extra` is null without.
    const std::uint8_t* extra;
    std::size_t extra_bytes;
    const std::uint8_t* extra_factors;
    bool half_extra_factors;
    int extra_columns;
    const std::int32_t* extra_runs;
    std::size_t nruns;
    const std::int32_t* extra_dims;
    const float* extra_steps;
    std::size_t extra_count;
};

// Everything was checked by the caller: lists are in -1..nlist-1, dims in -1..dim-1, rows below allowed's length.
void table_scan(const TableCodes& codes, const float* queries, std::size_t dim, const ListProbes& probes, float eps,
                const ListOutput& output);

}  // namespace vecstore
