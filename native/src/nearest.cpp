// A query's bounds of all rows come from one product of short vectors. The row of the least bound is compared first,
// then others by ascending bound, until a bound is above the best distance: no order compares fewer.
#include "nearest.h"

#include <algorithm>
#include <atomic>
#include <limits>
#include <vector>

#include "dense_queries.h"
#include "nearest_ops.h"
#include "ops_choice.h"

namespace vecstore {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kBoundsBytes = 256 * 1024;  // of one task's bounds: they stay in the second-level cache
constexpr std::size_t kMostTiles = 8;

const NearestOps& current_nearest_ops() {
#if defined(__x86_64__)
    if (isa_is("avx512")) return ops_of<avx512_nearest_ops>();
    if (isa_is("avx2")) return ops_of<avx2_nearest_ops>();
#endif
    return ops_of<baseline_nearest_ops>();
}

// Rows (n, width) as panels, the last one filled up with zeros.
std::vector<float> panels_of(const float* rows, std::size_t n, std::size_t width) {
    std::vector<float> panels((n + kPanelRows - 1) / kPanelRows * kPanelRows * width);
    for (std::size_t r = 0; r < n; ++r) {
        float* to = panels.data() + r / kPanelRows * kPanelRows * width + r % kPanelRows;
        for (std::size_t d = 0; d < width; ++d) to[d * kPanelRows] = rows[r * width + d];
    }
    return panels;
}

// One query's search among rows whose bounds, less the query's base, are known.
class Search {
 public:
    Search(const Ops& ops, Metric metric, const DenseRows& rows)
        : ops_(ops),
          rows_(rows),
          sums_(ops.sums[static_cast<int>(metric == Metric::l2 ? Sum::l2 : Sum::dot)][static_cast<int>(Element::f32)]),
          sign_(metric == Metric::l2 ? 1.0f : -1.0f),
          positions_(rows.rows.n) {}

    Neighbour run(const float* query, float base, const float* bounds) {
        const std::size_t n = rows_.rows.n;
        const std::uint32_t first = least(bounds);
        Neighbour best = compared(query, first);
        // The next number up, since `below` leaves out what is equal; and no bound says anything of what is not finite.
        const float most = std::nextafter(best.distance - base, kInfinity);
        if (!(most < kInfinity)) return all(query);
        const std::size_t found = ops_.below(bounds, n, most, positions_.data());
        const auto end = positions_.begin() + static_cast<std::ptrdiff_t>(found);
        std::sort(positions_.begin(), end, [&](std::uint32_t a, std::uint32_t b) {
            return bounds[a] != bounds[b] ? bounds[a] < bounds[b] : a < b;
        });
        for (auto at = positions_.begin(); at != end && base + bounds[*at] <= best.distance; ++at) {
            if (at + 1 != end) expect(at[1]);
            if (*at != first) best = std::min(best, compared(query, *at));
        }
        return best;
    }

    std::size_t count() const { return count_; }

 private:
    std::uint32_t least(const float* bounds) {
        const std::size_t n = rows_.rows.n;
        std::uint32_t at = 0;
        std::size_t step = kPanelRows;
        for (std::size_t i = 1; i < n; i += step, step *= 2) {
            step = std::min(step, n - i);
            const std::size_t found = ops_.below(bounds + i, step, bounds[at], positions_.data());
            for (std::size_t p = 0; p < found; ++p) {
                const auto other = static_cast<std::uint32_t>(i) + positions_[p];
                if (bounds[other] < bounds[at]) at = other;
            }
        }
        return at;
    }

    // One row's distance is too short a read for the CPU to fetch ahead by itself.
    void expect(std::size_t row) const {
        const std::uint8_t* at = rows_.rows.data + row * rows_.rows.row_bytes;
        for (std::size_t byte = 0; byte < rows_.rows.bytes_read(); byte += 64) __builtin_prefetch(at + byte);
    }

    Neighbour compared(const float* query, std::size_t row) {
        ++count_;
        poll_(rows_.rows.bytes_read());
        float out[1 + kOutPadding];
        const RowBlock block{rows_.rows.data + row * rows_.rows.row_bytes, rows_.rows.row_bytes, nullptr, 1, 1};
        sums_(query, 1, rows_.dim, block, out, 1 + kOutPadding);
        const float distance = sign_ * out[0];
        return {distance <= kInfinity ? distance : kInfinity, static_cast<std::int64_t>(row)};
    }

    Neighbour all(const float* query) {
        Neighbour best = compared(query, 0);
        for (std::size_t row = 1; row < rows_.rows.n; ++row) best = std::min(best, compared(query, row));
        return best;
    }

    const Ops& ops_;
    const DenseRows& rows_;
    SumsFn sums_;
    float sign_;
    std::vector<std::uint32_t> positions_;
    std::size_t count_ = 0;
    StopPoll poll_;
};

}  // namespace

std::size_t nearest_rows(Metric metric, const float* queries, std::size_t nq, const DenseRows& rows,
                         const NearestBounds& bounds, std::int64_t* out_rows, float* out_distances) {
    const std::size_t n = rows.rows.n, width = bounds.width;
    const Ops& ops = current_ops();
    const NearestOps& own = current_nearest_ops();
    const std::vector<float> panels = panels_of(bounds.rows, n, width);
    const std::size_t npanels = (n + kPanelRows - 1) / kPanelRows, stride = npanels * kPanelRows;
    const std::size_t tiles =
        std::clamp<std::size_t>(kBoundsBytes / (stride * sizeof(float) * kMostTogether), 1, kMostTiles);
    const std::size_t together = tiles * kMostTogether, tasks = (nq + together - 1) / together;
    const std::size_t workers = std::min(workers_for(nq * n * width * sizeof(float) / kMostTogether), tasks);
    std::atomic<std::size_t> compared{0};
    parallel_for(tasks, workers, [&](std::size_t, std::size_t task) {
        const std::size_t begin = task * together, count = std::min(together, nq - begin);
        const DenseQueries prepared(false, queries + begin * rows.dim, count, rows.dim, 1);
        std::vector<float> products(count * stride);
        own.products(bounds.queries + begin * width, count, width, panels.data(), npanels, products.data(), stride);
        Search search(ops, metric, rows);
        for (std::size_t q = 0; q < count; ++q) {
            const Neighbour best = search.run(prepared.at(q), bounds.base[begin + q], products.data() + q * stride);
            out_rows[begin + q] = best.row;
            out_distances[begin + q] = best.distance;
        }
        compared += search.count();
    });
    return compared;
}

}  // namespace vecstore
