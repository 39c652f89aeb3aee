// Exact late interaction over rows whose tokens have been rounded to bytes before.
#pragma once

#include "maxsim.h"

namespace vecstore {

// Of the first n rows of a scan: token t is about scales[t] * (its bytes - 128).
struct TokenRowBytes {
    std::size_t n;
    const std::uint8_t* bytes;  // (offsets[n], width)
    std::size_t width;          // dims, filled up to a multiple of 4
    const float* scales;        // (offsets[n],)
    const float* errors;        // (n,), of a row's tokens the largest |token - what its bytes stand for|; may be inf
    const float* lengths;       // (n,), of a row's tokens the largest length of what bytes stand for
};

struct TokenRowBytesOutput {
    std::uint8_t* bytes;
    float *scales, *errors, *lengths;
};

void round_tokens(const TokenRows& rows, const TokenRowBytesOutput& output);

// The rows and the bits that maxsim_scan gives. Returns how many rows were compared in full, of all queries.
std::size_t maxsim_scan_by_bytes(const TokenRows& queries, const TokenRows& rows, const TokenRowBytes& bytes,
                                 const std::uint64_t* allowed, const TopKOutput& output);

}  // namespace vecstore
