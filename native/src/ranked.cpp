// Products of bytes tell all distances but for what rounding a query and the rows may have changed, by Cauchy-Schwarz:
// |<q, r> - <q', r'>| <= |q - q'| |r'| + |q| |r - r'|. The k nearest by bytes are compared in full, then what may be as
// near as the farthest of them, and no others can be among the k nearest.
#include "ranked.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "byte_rows.h"
#include "dense_distances.h"
#include "dense_queries.h"
#include "dispatch.h"
#include "distance_key.h"
#include "rounded_queries.h"

namespace vecstore {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

class Ranker {
 public:
    Ranker(const Ops& ops, Metric metric, const DenseRows& rows, const RowBytes& bytes, std::size_t k)
        : ops_(ops),
          metric_(metric),
          rows_(rows),
          bytes_(bytes),
          k_(k),
          sums_(sums_of(ops, metric, Element::f32)),
          stride_((rows.rows.n + kByteBlock - 1) / kByteBlock * kByteBlock),
          queries_(rows.dim, ops.code_dots.tile),
          products_(ops.code_dots.tile * stride_),
          distances_(rows.rows.n + kOutPadding),
          positions_(rows.rows.n),
          offsets_(rows.rows.n) {}

    // At most ops.code_dots.tile queries; `places` of output for each.
    void run(const float* queries, std::size_t count, std::int64_t* out_rows, float* out_distances,
             std::size_t places) {
        queries_.round(ops_, queries, count);
        ops_.code_dots.bytes(queries_.from(0), count, bytes_.blocks, stride_ / kByteBlock, products_.data(), stride_);
        const DenseQueries prepared(false, queries, count, rows_.dim, 1);
        for (std::size_t q = 0; q < count; ++q) {
            poll_(stride_ * bytes_.width);
            nearest_.clear();
            rank(queries_[q], prepared.at(q), products_.data() + q * stride_);
            write(out_rows + q * places, out_distances + q * places, places);
            compared_ += nearest_.size();
        }
    }

    std::size_t compared() const { return compared_; }

 private:
    // `products` become distances, less |q|^2 under l2.
    void rank(const RoundedQueries::Query& query, const float* prepared, float* products) {
        const std::size_t n = rows_.rows.n;
        const bool l2 = metric_ == Metric::l2;
        const float error = byte_slack(metric_, query, bytes_.length, bytes_.error, rows_.dim);
        const float scale = (l2 ? -2 : -1) * query.scale;
        if (!query.known() || !(error < kInfinity)) return compare_all(prepared);
        for (std::size_t r = 0; r < n; ++r)
            products[r] = (l2 ? bytes_.squares[r] : 0) + scale * bytes_.scales[r] * products[r];
        const float first = above_kth(products);
        compare(prepared, ops_.below(products, n, first, positions_.data()));
        if (nearest_.size() < k_) return compare_all(prepared);  // there were numbers that are none
        std::nth_element(nearest_.begin(), nearest_.begin() + static_cast<std::ptrdiff_t>(k_ - 1), nearest_.end());
        const float kth = key_distance(nearest_[k_ - 1]) - (l2 ? query.length * query.length : 0);
        const float most = std::nextafter(kth + error, kInfinity);
        if (!(most < kInfinity)) return compare_all(prepared);
        if (!(most > first)) return;
        const std::size_t found = ops_.below(products, n, most, positions_.data());
        const auto end = std::remove_if(positions_.begin(), positions_.begin() + static_cast<std::ptrdiff_t>(found),
                                        [&](std::uint32_t r) { return products[r] < first; });
        compare(prepared, static_cast<std::size_t>(end - positions_.begin()));
    }

    // A number that at least k distances are below, and not many more.
    float above_kth(const float* distances) const {
        constexpr int kHalvings = 12;
        const std::size_t n = rows_.rows.n;
        float lows[kLanes], highs[kLanes];  // one number of each would be a chain that no compiler cuts
        std::fill_n(lows, kLanes, kInfinity);
        std::fill_n(highs, kLanes, -kInfinity);
        for (std::size_t r = 0; r < n; r += kLanes) {
            const float* const from = distances + (r + kLanes <= n ? r : n < kLanes ? 0 : n - kLanes);
            for (std::size_t lane = 0; lane < std::min(kLanes, n); ++lane) {
                lows[lane] = from[lane] < lows[lane] ? from[lane] : lows[lane];
                highs[lane] = from[lane] > highs[lane] ? from[lane] : highs[lane];
            }
        }
        float low = *std::min_element(lows, lows + kLanes), high = *std::max_element(highs, highs + kLanes);
        high = std::nextafter(high, kInfinity);
        for (int i = 0; i < kHalvings; ++i) {
            const float middle = low + (high - low) / 2;
            (ops_.count_below(distances, n, middle) < k_ ? low : high) = middle;
        }
        return high;
    }

    void compare_all(const float* prepared) {
        nearest_.clear();
        for (std::size_t r = 0; r < positions_.size(); ++r) positions_[r] = static_cast<std::uint32_t>(r);
        compare(prepared, positions_.size());
    }

    // In full, the rows at positions_[0..count).
    void compare(const float* prepared, std::size_t count) {
        if (count == 0) return;
        for (std::size_t i = 0; i < count; ++i) offsets_[i] = static_cast<std::int64_t>(positions_[i]);
        const RowBlock block{rows_.rows.data, rows_.rows.row_bytes, offsets_.data(), count, 0};
        sums_(prepared, 1, rows_.dim, block, distances_.data(), count);
        finish_distances(metric_, block, nullptr, distances_.data());
        for (std::size_t i = 0; i < count; ++i) {
            const bool number = distances_[i] <= kInfinity;
            nearest_.push_back(distance_key(number ? distances_[i] : kInfinity, positions_[i]));
        }
    }

    void write(std::int64_t* rows, float* distances, std::size_t places) {
        const auto end = nearest_.begin() + static_cast<std::ptrdiff_t>(k_);
        if (k_ < nearest_.size()) std::nth_element(nearest_.begin(), end, nearest_.end());
        std::sort(nearest_.begin(), end);
        for (std::size_t i = 0; i < places; ++i) {
            rows[i] = i < k_ ? static_cast<std::int64_t>(key_row(nearest_[i])) : -1;
            distances[i] = i < k_ ? key_distance(nearest_[i]) : kInfinity;
        }
    }

    const Ops& ops_;
    Metric metric_;
    const DenseRows& rows_;
    const RowBytes& bytes_;
    std::size_t k_;  // at most as many as there are rows
    SumsFn sums_;
    std::size_t stride_;
    RoundedQueries queries_;
    std::vector<float> products_, distances_;
    std::vector<std::uint32_t> positions_;
    std::vector<std::int64_t> offsets_;
    // Keys of what was compared. Sums start at zero, so that there are no zeros of two signs.
    std::vector<std::uint64_t> nearest_;
    std::size_t compared_ = 0;
    StopPoll poll_;
};

}  // namespace

std::size_t rank_rows(Metric metric, const float* queries, std::size_t nq, const DenseRows& rows, const RowBytes& bytes,
                      const TopKOutput& output) {
    const Ops& ops = current_ops();
    const std::size_t tile = ops.code_dots.tile, tasks = (nq + tile - 1) / tile;
    const std::size_t k = std::min(output.k, rows.rows.n);
    const std::size_t workers = std::max<std::size_t>(1, std::min(workers_for(nq * rows.rows.n * bytes.width), tasks));
    std::vector<std::unique_ptr<Ranker>> rankers(workers);
    parallel_for(tasks, workers, [&](std::size_t w, std::size_t task) {
        if (!rankers[w]) rankers[w] = std::make_unique<Ranker>(ops, metric, rows, bytes, k);
        const std::size_t first = task * tile, count = std::min(tile, nq - first);
        rankers[w]->run(queries + first * rows.dim, count, output.rows + first * output.k,
                        output.distances + first * output.k, output.k);
    });
    std::size_t compared = 0;
    for (const auto& ranker : rankers)
        if (ranker) compared += ranker->compared();
    return compared;
}

}  // namespace vecstore
