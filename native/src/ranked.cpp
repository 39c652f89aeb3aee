// Products of bytes tell all distances but for what rounding a query and the rows may have changed, by Cauchy-Schwarz:
// |<q, r> - <q', r'>| <= |q - q'| |r'| + |q| |r - r'|. Of the first rows the k nearest by bytes are compared in full;
// from then on, whatever may be as near as the farthest of the k nearest so far. No others can be among them.
#include "ranked.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <memory>
#include <vector>

#include "allowed.h"
#include "byte_rows.h"
#include "dense_distances.h"
#include "dispatch.h"
#include "distance_key.h"
#include "rounded_queries.h"

namespace vecstore {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
// Rows whose distances by bytes are held at once: more of them tell sooner what is near; where many queries come
// together or after each other, fewer stay in the cache.
constexpr std::size_t kChunk = 16384, kSharedChunk = 4096;
constexpr std::size_t kFewQueries = 8;
constexpr std::size_t kGroupTiles = 32;  // tiles of queries
constexpr std::size_t kCompared = 256;   // rows that are compared at once

using Keys = std::vector<std::uint64_t>;  // of distances in full; all k nearest of the rows seen are among them

// The k nearest keys, in any order.
void keep_nearest(Keys& keys, std::size_t k) {
    if (keys.size() <= k) return;
    std::nth_element(keys.begin(), keys.begin() + static_cast<std::ptrdiff_t>(k), keys.end());
    keys.resize(k);
}

void write(Keys& keys, std::size_t k, std::int64_t* rows, float* distances, std::size_t places) {
    keep_nearest(keys, k);
    std::sort(keys.begin(), keys.end());
    for (std::size_t i = 0; i < places; ++i) {
        rows[i] = i < keys.size() ? static_cast<std::int64_t>(key_row(keys[i])) : -1;
        distances[i] = i < keys.size() ? key_distance(keys[i]) : kInfinity;
    }
}

class Ranker {
 public:
    Ranker(const Ops& ops, Metric metric, const DenseRows& rows, const RowBytes& bytes, std::size_t k, std::size_t tile,
           std::size_t most, std::size_t chunk)
        : ops_(ops),
          metric_(metric),
          rows_(rows),
          bytes_(bytes),
          k_(k),
          tile_(tile),
          sums_(sums_of(ops, metric, rows.element)),
          stride_((std::min(chunk, rows.rows.n) + kByteBlock - 1) / kByteBlock * kByteBlock),
          queries_(rows.dim, most),
          products_(std::make_unique_for_overwrite<float[]>(tile * stride_)),
          positions_(std::make_unique_for_overwrite<std::uint32_t[]>(stride_)) {}

    // The nearest of rows begin..end, where `begin` is a multiple of 32, for `count` queries from `first` on.
    void run(const float* unit, const DenseQueries& prepared, std::size_t first, std::size_t count, std::size_t begin,
             std::size_t end, Keys* nearest) {
        queries_.round(ops_, unit + first * rows_.dim, count);
        const auto take = [&](std::size_t q) {
            prepared_ = prepared.at(first + q);
            nearest_ = &nearest[q];
        };
        const std::size_t known = std::clamp(bytes_.n, begin, end);
        for (std::size_t low = begin; low < known; low += stride_) {
            const std::size_t n = std::min(stride_, known - low), nblocks = (n + kByteBlock - 1) / kByteBlock;
            const std::size_t block = low / kByteBlock;
            const std::uint8_t* const blocks = bytes_.blocks + block * kByteBlock * bytes_.width;
            const float error = *std::max_element(bytes_.errors + block, bytes_.errors + block + nblocks);
            const float length = *std::max_element(bytes_.lengths + block, bytes_.lengths + block + nblocks);
            for (std::size_t q = 0; q < count; ++q) {
                float* const products = products_.get() + q % tile_ * stride_;
                if (q % tile_ == 0) {
                    poll_(n * bytes_.width);
                    const std::size_t together = RoundedQueries::together(std::min(tile_, count - q));
                    ops_.code_dots.bytes(queries_.from(q), together, blocks, nblocks, products, stride_);
                }
                take(q);
                rank(queries_[q], byte_slack(metric_, queries_[q], length, error, rows_.dim), low, n, products);
            }
        }
        for (std::size_t q = 0; q < count && known < end; ++q) {
            take(q);
            compare_all(known, end);
        }
    }

    std::size_t compared() const { return compared_; }

 private:
    // `products` become distances, less |q|^2 under l2.
    void rank(const RoundedQueries::Query& query, float slack, std::size_t low, std::size_t n, float* products) {
        if (!query.known() || !(slack < kInfinity)) return compare_all(low, low + n);
        const float* const squares = bytes_.squares == nullptr ? nullptr : bytes_.squares + low;
        to_distances(metric_, query.scale, bytes_.scales + low, squares, n, products);
        if (rows_.rows.allowed != nullptr) leave_out(low, n, products);
        float first = -kInfinity;  // what is below has been compared
        if (nearest_->size() < k_) {
            first = above_kth(products, n);
            compare(low, ops_.below(products, n, first, positions_.get()));
            // Too few rows, or numbers that are none.
            if (nearest_->size() < k_) return compare_all(low, low + n, products, first);
        }
        const float square = metric_ == Metric::l2 ? query.length * query.length : 0;
        const float most = std::nextafter(farthest() - square + slack, kInfinity);
        if (!(most < kInfinity)) return compare_all(low, low + n, products, first);
        if (!(most > first)) return;
        const std::size_t found = ops_.below(products, n, most, positions_.get());
        compare(low, static_cast<std::size_t>(std::remove_if(positions_.get(), positions_.get() + found,
                                                             [&](std::uint32_t r) { return products[r] < first; }) -
                                              positions_.get()));
    }

    // Rows that are not allowed are infinitely far. `low` is a multiple of 64.
    void leave_out(std::size_t low, std::size_t n, float* distances) const {
        for (std::size_t r = 0; r < n; r += 64)
            for (std::uint64_t out = ~rows_.rows.allowed[(low + r) / 64]; out != 0; out &= out - 1) {
                const std::size_t at = r + static_cast<std::size_t>(std::countr_zero(out));
                if (at >= n) break;
                distances[at] = kInfinity;
            }
    }

    // Of the k nearest so far; there are k.
    float farthest() const { return key_distance(*std::max_element(nearest_->begin(), nearest_->end())); }

    // A number that at least k distances are below, and not many more; where there are k.
    float above_kth(const float* distances, std::size_t n) const {
        constexpr int kHalvings = 12;
        float lows[kLanes], highs[kLanes];  // one number of each would be a chain that no compiler cuts
        std::fill_n(lows, kLanes, kInfinity);
        std::fill_n(highs, kLanes, -kInfinity);
        for (std::size_t r = 0; r < n; r += kLanes) {
            const float* const from = distances + (r + kLanes <= n ? r : n < kLanes ? 0 : n - kLanes);
            for (std::size_t lane = 0; lane < std::min(kLanes, n); ++lane) {
                lows[lane] = from[lane] < lows[lane] ? from[lane] : lows[lane];
                const float finite = from[lane] < kInfinity ? from[lane] : -kInfinity;
                highs[lane] = finite > highs[lane] ? finite : highs[lane];
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

    // Allowed rows, but for those whose distances by bytes are below `compared`.
    void compare_all(std::size_t begin, std::size_t end, const float* distances = nullptr, float compared = 0) {
        std::size_t count = 0;
        for (std::size_t row = begin; row < end; ++row) {
            positions_[count] = static_cast<std::uint32_t>(row - begin);
            count +=
                is_allowed(rows_.rows.allowed, row) && !(distances != nullptr && distances[row - begin] < compared);
            if (count == stride_ || row + 1 == end) {
                compare(begin, count);
                count = 0;
            }
        }
    }

    // In full, the rows at positions_[0..count), which count from `low`.
    void compare(std::size_t low, std::size_t count) {
        for (std::size_t done = 0; done < count; done += kCompared) {
            const std::size_t some = std::min(kCompared, count - done);
            for (std::size_t i = 0; i < some; ++i) offsets_[i] = static_cast<std::int64_t>(low) + positions_[done + i];
            const RowBlock block{rows_.rows.data, rows_.rows.row_bytes, offsets_, some, 0};
            poll_(some * rows_.rows.bytes_read());
            sums_(prepared_, 1, rows_.dim, block, distances_, some);
            finish_distances(metric_, block, rows_.inverse_norms, distances_);
            for (std::size_t i = 0; i < some; ++i) {
                const bool number = distances_[i] <= kInfinity;
                nearest_->push_back(
                    distance_key(number ? distances_[i] : kInfinity, static_cast<std::uint32_t>(offsets_[i])));
            }
        }
        compared_ += count;
        keep_nearest(*nearest_, k_);
    }

    const Ops& ops_;
    Metric metric_;
    const DenseRows& rows_;
    const RowBytes& bytes_;
    std::size_t k_, tile_;
    SumsFn sums_;
    std::size_t stride_;
    RoundedQueries queries_;
    std::unique_ptr<float[]> products_;
    std::unique_ptr<std::uint32_t[]> positions_;
    std::int64_t offsets_[kCompared];
    float distances_[kCompared + kOutPadding];
    const float* prepared_ = nullptr;
    Keys* nearest_ = nullptr;
    std::size_t compared_ = 0;
    StopPoll poll_;
};

}  // namespace

std::size_t rank_rows(Metric metric, const float* unit, const DenseQueries& prepared, std::size_t nq,
                      const DenseRows& rows, const RowBytes& bytes, const TopKOutput& output) {
    const Ops& ops = current_ops();
    const std::size_t n = rows.rows.n, k = std::min(output.k, n);
    const std::size_t tile = RoundedQueries::together(std::min(ops.code_dots.tile, nq));
    const std::size_t tiles = (nq + tile - 1) / tile;
    const std::size_t threads = std::max<std::size_t>(1, workers_for(tiles * n * bytes.width));
    // Tasks are groups of queries, and where these are too few for all threads, parts of the rows.
    const std::size_t group = tile * std::min(kGroupTiles, (tiles + threads - 1) / threads);
    const std::size_t groups = (nq + group - 1) / group, chunk = group > kFewQueries ? kSharedChunk : kChunk;
    const std::size_t chunks = (n + chunk - 1) / chunk, wanted = (threads + groups - 1) / groups;
    const std::size_t part_rows = (chunks + wanted - 1) / wanted * chunk, parts = (n + part_rows - 1) / part_rows;
    const std::size_t workers = std::min(threads, groups * parts);
    std::vector<std::unique_ptr<Ranker>> rankers(workers);
    std::vector<Keys> nearest(groups * parts * group);  // a group's queries of one part side by side
    parallel_for(groups * parts, workers, [&](std::size_t w, std::size_t task) {
        if (!rankers[w]) rankers[w] = std::make_unique<Ranker>(ops, metric, rows, bytes, k, tile, group, chunk);
        const std::size_t first = task / parts * group, begin = task % parts * part_rows;
        rankers[w]->run(unit, prepared, first, std::min(group, nq - first), begin, std::min(n, begin + part_rows),
                        &nearest[task * group]);
    });
    for (std::size_t q = 0; q < nq; ++q) {
        Keys* const own = &nearest[q / group * parts * group + q % group];
        for (std::size_t part = 1; part < parts; ++part)
            own->insert(own->end(), own[part * group].begin(), own[part * group].end());
        write(*own, k, output.rows + q * output.k, output.distances + q * output.k, output.k);
    }
    std::size_t compared = 0;
    for (const auto& ranker : rankers)
        if (ranker) compared += ranker->compared();
    return compared;
}

}  // namespace vecstore
