// Late interaction: the sum, over a query's tokens, of the largest inner product with a token of the document.
#pragma once

#include "maxsim_ops.h"
#include "scan.h"

namespace vecstore {

struct TokenRows {
    const std::int64_t* offsets;  // (n + 1,)
    std::size_t n;
    const std::uint8_t* tokens;  // (offsets[n], dim)
    std::size_t dim;
    bool half;  // float16, else float32

    std::size_t count(std::size_t row) const { return static_cast<std::size_t>(offsets[row + 1] - offsets[row]); }
    std::size_t total() const { return static_cast<std::size_t>(offsets[n] - offsets[0]); }
    const std::uint8_t* at(std::size_t row) const {
        return tokens + static_cast<std::size_t>(offsets[row]) * dim * (half ? 2 : 4);
    }
};

const MaxSimOps& current_maxsim_ops();

// The k nearest of the allowed rows that have tokens, by minus their score; ties by row. Queries are float32.
void maxsim_scan(const TokenRows& queries, const TokenRows& rows, const std::uint64_t* allowed,
                 const TopKOutput& output);

// Minus the scores of listed rows (queries.n, m), +inf for -1 and for rows without tokens. Rows are checked: throws
// std::out_of_range for a row that does not exist or lies outside the `total` tokens that are there.
void maxsim_rerank(const TokenRows& queries, const TokenRows& rows, std::size_t total, const std::int64_t* candidates,
                   std::size_t m, float* distances);

}  // namespace vecstore
