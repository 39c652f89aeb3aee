// Queries as bytes times a scale each, and what products of them with rows' bytes may be off.
#pragma once

#include <bit>
#include <cmath>
#include <limits>
#include <vector>

#include "dense_scan.h"

namespace vecstore {

// A few queries at a time, as byte products take them.
class RoundedQueries {
 public:
    struct Query {
        float scale, error, length;  // it is about scale * bytes, off by `error`, and so long

        bool known() const { return length < std::numeric_limits<float>::infinity(); }
    };

    RoundedQueries(std::size_t dim, std::size_t most)
        : dim_(dim), width_((dim + 7) / 8 * 8), most_((most + 7) / 8 * 8), bytes_(most_ * width_), numbers_(dim) {}

    // Products take 1, 2, 4 or 8 queries in one pass over the rows: so many are taken, the last of which may be none.
    static std::size_t together(std::size_t count) { return count < 8 ? std::bit_ceil(count) : (count + 7) / 8 * 8; }

    void round(const Ops& ops, const float* queries, std::size_t count) {
        queries_.clear();
        sums_.clear();
        for (std::size_t q = 0; q < count; ++q) {
            std::int8_t* const bytes = bytes_.data() + q * width_;
            RowRounding rounding;
            const auto* const query = reinterpret_cast<const std::uint8_t*>(queries + q * dim_);
            ops.round_row[static_cast<int>(Element::f32)](query, dim_, numbers_.data(), bytes, &rounding);
            queries_.push_back({rounding.scale, std::sqrt(rounding.missed), std::sqrt(rounding.square)});
            std::int32_t sum = 0;
            for (std::size_t d = 0; d < dim_; ++d) sum += bytes[d];
            sums_.push_back(sum);
        }
        sums_.resize(most_);
    }

    std::size_t width() const { return width_; }
    const Query& operator[](std::size_t q) const { return queries_[q]; }
    ByteQueries from(std::size_t q) const { return {bytes_.data() + q * width_, width_, sums_.data() + q, nullptr}; }

 private:
    std::size_t dim_, width_, most_;
    std::vector<std::int8_t> bytes_;  // rows of most_, filled up with zeros
    std::vector<float> numbers_;
    std::vector<std::int32_t> sums_;
    std::vector<Query> queries_;
};

// Products of a query's and rows' bytes, in place: distances, less |q|^2 under l2. Only that takes squares.
inline void to_distances(Metric metric, float query_scale, const float* scales, const float* squares, std::size_t count,
                         float* products) {
    if (metric == Metric::l2) {
        for (std::size_t i = 0; i < count; ++i) products[i] = squares[i] - 2 * query_scale * scales[i] * products[i];
        return;
    }
    const float most = metric == Metric::cosine ? 1 : 0;
    for (std::size_t i = 0; i < count; ++i) products[i] = most - query_scale * scales[i] * products[i];
}

// How far apart a distance by bytes and one in full may be, the roundings of both included: rows' bytes stand for
// vectors of at most `length` that are off by at most `error` (under cosine, both over the row's length).
inline float byte_slack(Metric metric, const RoundedQueries::Query& query, float length, float error, std::size_t dim) {
    const float most = length + error, products = 1.001f * (query.error * length + query.length * error);
    const float rounding = 1.2e-7f * (static_cast<float>(dim) / kLanes + 16);
    switch (metric) {
        case Metric::dot:
            return products + rounding * query.length * most;
        case Metric::cosine:
            return products + rounding * (1 + query.length * most);
        default:
            return 2 * products + rounding * (query.length + most) * (query.length + most);
    }
}

}  // namespace vecstore
