// Scans of lists of rows' own codes: halves, bytes and nibbles, by the inner product with a query.
#pragma once

#include "list_scan.h"

namespace vecstore {

enum class CodeKind : std::uint8_t { f16, bf16, e4m3, e5m2, int8, nibble };

struct RowCodes {
    ListLayout layout;
    CodeKind kind;
    std::size_t dim;
    const std::uint8_t* blocks;
    RowFactors factors;
    const std::int8_t* levels;  // (16,), nibbles only
    bool fine;                  // queries of two bytes, int8 only
};

// Bytes of a block of 32 rows.
std::size_t code_block_bytes(CodeKind kind, std::size_t dim);

// The m nearest by list_add + add + scale * <query, code>; see `row_scan` in vecstore/kernels/base.py.
void row_scan(const RowCodes& codes, const float* queries, const ListProbes& probes, const ListOutput& output);

}  // namespace vecstore
