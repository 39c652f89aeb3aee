// Multi-index hashing (Norouzi, Punjani and Fleet, "Fast exact search in Hamming space with multi-index hashing",
// 2014).
#pragma once

#include "scan.h"

namespace vecstore {

// A table for each chunk of bits: bucket w of chunk j holds rows[j * n + buckets[w]] to rows[j * n + buckets[w + 1]],
// where `buckets` starts at the chunk's own part. Bit i of a row is bit i % 8 of byte i / 8.
struct MihTables {
    std::size_t chunks;
    const std::int32_t* starts;    // (chunks + 1,) first bit of each chunk, then the row's number of bits
    const std::uint32_t* buckets;  // for each chunk 2^bits + 1
    const std::uint32_t* rows;     // (chunks, n)
};

struct MihOutput {
    TopKOutput top_k;
    std::int64_t* counters;  // (nq, 3): buckets looked up, rows compared, 1 when the answer is proven exact
};

// The k nearest within max_distance. A query that would take more than `budget` look-ups and comparisons is given up.
void mih_search(const std::uint8_t* queries, std::size_t nq, const Rows& rows, const MihTables& tables,
                std::size_t max_distance, std::size_t budget, const MihOutput& output);

}  // namespace vecstore
