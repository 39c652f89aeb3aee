// Token vectors in fewer bits, held for search: bytes with a scale for each vector, or residuals of 1, 2 or 4 bits from
// centroids of bytes that all share. TokenCodes in vecstore/kernels/tokens.py says what each array holds.
#pragma once

#include <vector>

#include "maxsim.h"

namespace vecstore {

struct TokenCodes {
    std::size_t n;    // rows
    std::size_t dim;  // of the queries
    const std::int64_t* offsets;
    // Centroids; none where `homes` is null.
    const std::uint16_t* homes;  // (T,)
    std::size_t ncentroids;
    std::size_t centroid_bytes;     // a multiple of 4
    const std::uint8_t* centroids;  // (ncentroids, centroid_bytes)
    const float* centroid_scales;
    float centroid_length;  // of the longest: scale * sqrt(sum of squared bytes)
    // Codes; none where `codes` is null.
    const std::uint8_t* codes;  // (T, code_bytes), a multiple of 4
    std::size_t code_bytes;
    int bits;
    const std::uint8_t* levels;  // (2^bits,) bytes that stand for byte - 128; not for 8 bits
    float step;
    const std::uint8_t* scales;  // (T,)
    bool half_scales;
    const float* scale_values;  // (256,) that scales of bytes stand for, else null
    // Rows that have a token at each centroid, as vecstore/kernels/token_lists.py packs them.
    const std::int64_t* list_starts;  // (ncentroids + 1,)
    const std::uint8_t* lists;

    std::size_t planes() const { return 8 / static_cast<std::size_t>(bits); }
    std::size_t count(std::size_t row) const { return static_cast<std::size_t>(offsets[row + 1] - offsets[row]); }
};

// Calls `take` with each row of the list that begins at `at`. Lists were checked.
template <class Take>
void each_listed(const std::uint8_t* at, const std::uint8_t* end, const Take& take) {
    std::uint32_t next = 0;
    while (at < end) {
        std::uint32_t gap = *at & 127;
        for (int shift = 7; *at++ >= 128; shift += 7) gap |= static_cast<std::uint32_t>(*at & 127) << shift;
        take(next + gap);
        next += gap + 1;
    }
}

// A query's tokens as bytes, in two orders: as centroids hold dimensions, and as the planes of codes do.
class ByteQuery {
 public:
    ByteQuery(const TokenRows& queries, std::size_t query, std::size_t groups, std::size_t planes, float step);

    std::size_t tokens() const { return tokens_; }
    std::size_t width() const { return width_; }
    float length() const { return length_; }  // of the longest token, as bytes
    ByteLanes lanes() const { return {values_.data(), starts_.data(), steps_.data(), width_}; }

 private:
    std::size_t tokens_;
    std::size_t width_;
    float length_ = 0;
    std::vector<std::int8_t> values_;
    std::vector<std::int32_t> starts_;
    std::vector<float> steps_;
};

// What `centroid_length` is.
float longest_centroid(const TokenCodes& codes);

// Products of all centroids with a query's tokens: (ncentroids, width).
void centroid_values(const MaxSimOps& ops, const TokenCodes& codes, const ByteQuery& query, float* out);

// Minus the scores of listed rows by their codes (queries.n, m), +inf for -1 and for rows without tokens. Candidates
// are rows of the codes.
void token_rerank(const TokenCodes& codes, const TokenRows& queries, const std::int64_t* candidates, std::size_t m,
                  float* distances);

// The centroid of the largest product with each of n tokens of bytes, of equal ones the first: tokens (n, dim) float32
// are rounded as a query's are. `codes` needs its centroids only.
void nearest_centroids(const TokenCodes& codes, const float* tokens, std::size_t n, std::uint16_t* homes);

struct CentroidSearch {
    std::size_t lists;             // of centroids visited for each token of a query; 0: every row is scored
    const std::uint64_t* allowed;  // over the rows, or null
    std::size_t m;                 // rows wanted for each query
    std::int64_t* rows;            // (nq, m), -1 past the end
    float* distances;              // (nq, m)
    std::int64_t* counters;        // (nq, 2): centroids visited, rows scored
};

// The m rows of the largest scores by their tokens' centroids, among those that have a token at a visited one.
void centroid_search(const TokenCodes& codes, const TokenRows& queries, const CentroidSearch& search);

}  // namespace vecstore
