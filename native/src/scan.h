// The part of a scan that every kind of vector shares: blocks to threads, distances to the k nearest, merge.
#pragma once

#include <optional>
#include <vector>

#include "row_blocks.h"
#include "stop.h"
#include "thread_pool.h"
#include "top_k.h"

namespace vecstore {

struct TopKOutput {
    std::size_t k;
    std::int64_t* rows;  // (nq, k)
    float* distances;    // (nq, k)
};

// A job this small is done before a sleeping thread is awake.
inline constexpr std::size_t kBytesPerWorker = 8 << 20;

inline std::size_t workers_for(std::size_t bytes_touched) {
    return std::min(threads(), 1 + bytes_touched / kBytesPerWorker);
}

// Brings a block's rows into the second-level cache in their order. Tiles walk several rows at once, and memory serves
// that at a third of the rate of a sequential read.
inline void read_in_order(const RowBlock& block, std::size_t row_bytes) {
    constexpr std::size_t kLine = 64;
    for (std::size_t i = 0; i < block.count; ++i) {
        const std::size_t at = block.offsets ? static_cast<std::size_t>(block.offsets[i]) : i;
        const volatile std::uint8_t* row = block.base + at * block.stride;
        for (std::size_t byte = 0; byte < row_bytes; byte += kLine) static_cast<void>(row[byte]);
    }
}

struct MakeTopK {
    TopK operator()(std::size_t k) const { return TopK(k); }
};

// What an answer needs of a run of distances, of rows that row(i) numbers in ascending order. `step` of them are
// looked at together at first: the bound falls quickly then.
template <class Nearest, class Row>
void take_nearest(const Ops& ops, const float* distances, std::size_t count, std::size_t step, Nearest& nearest,
                  const Row& row, std::uint32_t* positions) {
    std::size_t i = 0;
    for (; i < count && nearest.takes_all(); ++i) nearest.add(distances[i], row(i));
    for (; i < count; i += step, step *= 2) {
        step = std::min(step, count - i);
        const std::size_t found = ops.below(distances + i, step, nearest.bound(), positions);
        for (std::size_t p = 0; p < found; ++p) {
            const std::size_t at = i + positions[p];
            if (distances[at] < nearest.bound()) nearest.add(distances[at], row(at));
        }
    }
}

inline constexpr std::size_t kFirstStep = 32;

// nearest_of(k) makes what keeps one query's k nearest of rows that come in ascending order. A thread's
// visitor_of(block_rows) is called with a block, its first row and what all queries keep: (nq,).
// The answer does not depend on the number of threads: pairs are ordered by (distance, row), which is total.
template <class VisitorOf, class NearestOf>
void scan_blocks(std::size_t nq, std::size_t passes, const Rows& rows, const TopKOutput& output,
                 const VisitorOf& visitor_of, const NearestOf& nearest_of) {
    using Nearest = decltype(nearest_of(std::size_t{1}));
    using Visitor = decltype(visitor_of(std::size_t{1}));
    const Partition partition(rows, std::max<std::size_t>(passes, 1));
    const std::size_t k = std::min(output.k, partition.count);

    struct Worker {
        std::vector<Nearest> nearest;
        std::vector<std::int64_t> offsets;
        std::optional<Visitor> visitor;
    };
    const std::size_t workers = std::min(workers_for(partition.count * rows.bytes_read() * passes), partition.tasks);
    std::vector<Worker> state(k == 0 ? 0 : std::max<std::size_t>(workers, 1));

    parallel_for(k == 0 ? 0 : partition.tasks, workers, [&](std::size_t w, std::size_t task) {
        Worker& worker = state[w];
        if (worker.nearest.empty()) {
            worker.nearest.assign(nq, nearest_of(k));
            worker.visitor.emplace(visitor_of(partition.block_rows));
        }
        for_each_block(rows, partition, task, worker.offsets, [&](const RowBlock& block, std::size_t first_row) {
            (*worker.visitor)(block, first_row, worker.nearest);
        });
    });

    parallel_for(nq, workers_for(nq * k * sizeof(Neighbour) * 8), [&](std::size_t, std::size_t q) {
        if (state.size() == 1 && !state[0].nearest.empty()) {
            state[0].nearest[q].finish(output.rows + q * output.k, output.distances + q * output.k, output.k);
            return;
        }
        Nearest merged = nearest_of(std::max<std::size_t>(k, 1));
        for (const Worker& worker : state)
            if (!worker.nearest.empty()) merged.merge(worker.nearest[q]);
        merged.finish(output.rows + q * output.k, output.distances + q * output.k, output.k);
    });
}

// Blocks by all of their distances: distances(first_query, query_count, block, first_row, out, out_stride) writes those
// of a tile of queries.
template <class Distances>
class AllDistances {
 public:
    AllDistances(const Ops& ops, std::size_t nq, std::size_t query_tile, std::size_t row_bytes, std::size_t block_rows,
                 const Distances& distances)
        : ops_(ops),
          nq_(nq),
          query_tile_(query_tile),
          row_bytes_(row_bytes),
          out_stride_((block_rows + 15) / 16 * 16 + kOutPadding),
          distances_(distances),
          out_(query_tile * out_stride_),
          positions_(block_rows) {}

    template <class Nearest>
    void operator()(const RowBlock& block, std::size_t first_row, std::vector<Nearest>& nearest) {
        const auto row = [&](std::size_t i) {
            return static_cast<std::int64_t>(first_row) +
                   (block.offsets ? block.offsets[i] : static_cast<std::int64_t>(i));
        };
        if (nq_ > 1) read_in_order(block, row_bytes_);
        for (std::size_t q = 0; q < nq_; q += query_tile_) {
            const std::size_t in_tile = std::min(query_tile_, nq_ - q);
            poll_(block.count * row_bytes_);
            distances_(q, in_tile, block, first_row, out_.data(), out_stride_);
            for (std::size_t t = 0; t < in_tile; ++t)
                take_nearest(ops_, out_.data() + t * out_stride_, block.count, started_ ? block.count : kFirstStep,
                             nearest[q + t], row, positions_.data());
        }
        started_ = true;
    }

 private:
    const Ops& ops_;
    std::size_t nq_, query_tile_, row_bytes_, out_stride_;
    const Distances& distances_;
    std::vector<float> out_;
    std::vector<std::uint32_t> positions_;
    bool started_ = false;
    StopPoll poll_;
};

template <class Distances, class NearestOf = MakeTopK>
void scan_rows(const Ops& ops, std::size_t nq, std::size_t query_tile, const Rows& rows, const TopKOutput& output,
               const Distances& distances, const NearestOf& nearest_of = {}) {
    scan_blocks(
        nq, (nq + query_tile - 1) / query_tile, rows, output,
        [&](std::size_t block_rows) {
            return AllDistances<Distances>(ops, nq, query_tile, rows.bytes_read(), block_rows, distances);
        },
        nearest_of);
}

}  // namespace vecstore
