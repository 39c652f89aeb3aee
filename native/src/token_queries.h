// Queries' tokens side by side: all tokens of a batch one after another, by dimension, each query's beginning a lane.
#pragma once

#include <limits>
#include <vector>

#include "maxsim.h"

namespace vecstore {

class TokenQueries {
 public:
    explicit TokenQueries(const TokenRows& queries, std::size_t first, std::size_t count) : dim_(queries.dim) {
        starts_.reserve(count + 1);
        starts_.push_back(0);
        for (std::size_t q = first; q < first + count; ++q) starts_.push_back(starts_.back() + queries.count(q));
        width_ = (starts_.back() + kTokenLanes - 1) / kTokenLanes * kTokenLanes;
        lanes_.assign(dim_ * width_, 0.0f);
        const auto* tokens = reinterpret_cast<const float*>(queries.at(first));
        for (std::size_t t = 0; t < starts_.back(); ++t)
            for (std::size_t d = 0; d < dim_; ++d) lanes_[d * width_ + t] = tokens[t * dim_ + d];
    }

    std::size_t count() const { return starts_.size() - 1; }
    std::size_t width() const { return width_; }
    std::size_t dim() const { return dim_; }
    const float* lanes() const { return lanes_.data(); }

    // Minus the sum of a query's lanes: in float64 in their order, rounded once.
    float distance(std::size_t query, const float* best) const {
        double sum = 0;
        for (std::size_t lane = starts_[query]; lane < starts_[query + 1]; ++lane)
            sum += static_cast<double>(best[lane]);
        return static_cast<float>(0 - sum);
    }

 private:
    std::size_t dim_;
    std::size_t width_ = 0;
    std::vector<std::size_t> starts_;
    std::vector<float> lanes_;
};

}  // namespace vecstore
