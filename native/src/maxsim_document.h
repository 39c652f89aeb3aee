// Late interaction of one document at a time with a tile of queries.
#pragma once

#include <algorithm>
#include <limits>
#include <vector>

#include "stop.h"
#include "token_queries.h"

namespace vecstore {

// The best products of one document with all lanes of a tile of queries.
class Document {
 public:
    Document(const MaxSimOps& ops, const TokenRows& rows, const TokenQueries& queries)
        : ops_(ops), rows_(rows), queries_(queries), best_(queries.width()) {
        if (rows.half) scratch_.resize(kTokens * rows.dim);
    }

    const float* best(std::size_t row) {
        std::fill(best_.begin(), best_.end(), -std::numeric_limits<float>::infinity());
        const std::size_t count = rows_.count(row), dim = rows_.dim;
        const std::uint8_t* tokens = rows_.at(row);
        if (!rows_.half) {
            add(reinterpret_cast<const float*>(tokens), count);
            return best_.data();
        }
        const auto* halves = reinterpret_cast<const std::uint16_t*>(tokens);
        for (std::size_t t = 0; t < count; t += kTokens) {
            const std::size_t n = std::min(kTokens, count - t);
            ops_.widen(halves + t * dim, n * dim, scratch_.data());
            add(scratch_.data(), n);
        }
        return best_.data();
    }

 private:
    static constexpr std::size_t kTokens = 64;  // widened at once; stays in the first-level cache

    void add(const float* tokens, std::size_t n) {
        for (std::size_t t = 0; t < n; t += kTokens) {
            const std::size_t count = std::min(kTokens, n - t);
            poll_(count * rows_.dim * queries_.width() / 4);  // products in the time of a byte read
            ops_.best(queries_.lanes(), queries_.width(), rows_.dim, tokens + t * rows_.dim, count, best_.data());
        }
    }

    const MaxSimOps& ops_;
    const TokenRows& rows_;
    const TokenQueries& queries_;
    std::vector<float> best_;
    std::vector<float> scratch_;
    StopPoll poll_;
};

}  // namespace vecstore
