// What one thread scans lists of stored rows with: it gathers allowed rows, and scores them for one query or for
// several.
#pragma once

#include <cmath>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

#include "allowed.h"
#include "dense_distances.h"
#include "dense_lists.h"
#include "dense_queries.h"

namespace vecstore {

class DenseListRows {
 public:
    static constexpr std::size_t kMost = 256;  // rows at once

    DenseListRows(const Ops& ops, Metric metric, const DenseLists& lists, const DenseQueries& queries)
        : ops_(ops),
          metric_(metric),
          rows_(lists.rows),
          queries_(queries),
          sums_(sums_of(ops, metric, lists.rows.element)),
          gathered_(kMost),
          distances_(ops.query_tile * kStride),
          positions_(kMost) {}

    std::size_t count() const { return count_; }
    void clear() { count_ = 0; }

    // Adds allowed rows until there are `most`; returns the first place that was not looked at.
    const std::uint32_t* gather(const std::uint32_t* place, const std::uint32_t* end, std::size_t most) {
        for (; place != end && count_ < most; ++place) {
            if (*place >= rows_.rows.n)
                throw std::invalid_argument("listed row " + std::to_string(*place) + " is not in 0.." +
                                            std::to_string(rows_.rows.n) + " - 1");
            gathered_[count_] = *place;
            count_ += is_allowed(rows_.rows.allowed, *place);
        }
        return place;
    }

    // The rows, of which there must be some, for one query.
    void score(std::size_t query, TopK& nearest) {
        poll_(count_ * rows_.rows.bytes_read());
        sums_(queries_.at(query), 1, rows_.dim, block(), distances_.data(), kStride);
        keep(distances_.data(), nearest);
    }

    // The same for `n` queries, counted from `first`, which have a place each in `nearest`.
    void score(const std::uint32_t* queries, std::size_t n, std::size_t first, std::vector<TopK>& nearest) {
        if (n > 1) read_in_order(block(), rows_.rows.bytes_read());
        while (n > 1) {
            const std::size_t some = std::min(n, ops_.query_tile);
            poll_(some * count_ * rows_.rows.bytes_read());
            sums_(side_by_side(queries, some, first), ops_.query_tile, rows_.dim, block(), distances_.data(), kStride);
            for (std::size_t i = 0; i < some; ++i) keep(distances_.data() + i * kStride, nearest[queries[i]]);
            queries += some;
            n -= some;
        }
        if (n == 1) score(first + *queries, nearest[*queries]);
    }

 private:
    static constexpr std::size_t kStride = kMost + kOutPadding;

    struct alignas(64) Lanes {
        float lanes[kLanes];
    };

    RowBlock block() const { return {rows_.rows.data, rows_.rows.row_bytes, gathered_.data(), count_, 0}; }

    // A whole tile: the last query again where there are fewer.
    const float* side_by_side(const std::uint32_t* queries, std::size_t n, std::size_t first) {
        const std::size_t width = padded_dim(rows_.dim) / kLanes;
        tile_.resize(ops_.query_tile * width);
        for (std::size_t i = 0; i < ops_.query_tile; ++i)
            std::memcpy(tile_.data() + i * width, queries_.at(first + queries[std::min(i, n - 1)]),
                        width * sizeof(Lanes));
        return tile_.data()->lanes;
    }

    void keep(float* distances, TopK& nearest) {
        constexpr float kInfinity = std::numeric_limits<float>::infinity();
        finish_distances(metric_, block(), rows_.inverse_norms, distances);
        // Lists come in any order: a row as far as the k-th may stand before it.
        std::size_t i = 0;
        for (; i < count_ && nearest.bound() == kInfinity; ++i) nearest.add(distances[i], gathered_[i]);
        if (i == count_) return;
        const float above = std::nextafter(nearest.bound(), kInfinity);
        const std::size_t found = ops_.below(distances + i, count_ - i, above, positions_.data());
        for (std::size_t p = 0; p < found; ++p) {
            const std::size_t at = i + positions_[p];
            if (distances[at] <= nearest.bound()) nearest.add(distances[at], gathered_[at]);
        }
    }

    const Ops& ops_;
    Metric metric_;
    const DenseRows& rows_;
    const DenseQueries& queries_;
    SumsFn sums_;
    std::vector<std::int64_t> gathered_;
    std::size_t count_ = 0;
    std::vector<float> distances_;
    std::vector<std::uint32_t> positions_;
    std::vector<Lanes> tile_;
    StopPoll poll_;
};

}  // namespace vecstore
