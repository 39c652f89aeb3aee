// The part of a scan that every kind of vector shares: blocks to threads, distances to the k nearest, merge.
#pragma once

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

// nearest_of(k) makes what keeps one query's k nearest of rows that come in ascending order.
// distances(first_query, query_count, block, first_row, out, out_stride) writes the distances of a tile of queries.
// The answer does not depend on the number of threads: pairs are ordered by (distance, row), which is total.
template <class Distances, class NearestOf = MakeTopK>
void scan_rows(const Ops& ops, std::size_t nq, std::size_t query_tile, const Rows& rows, const TopKOutput& output,
               const Distances& distances, const NearestOf& nearest_of = {}) {
    using Nearest = decltype(nearest_of(std::size_t{1}));
    const std::size_t passes = (nq + query_tile - 1) / query_tile;
    const Partition partition(rows, std::max<std::size_t>(passes, 1));
    const std::size_t k = std::min(output.k, partition.count);

    struct Worker {
        std::vector<Nearest> nearest;
        std::vector<std::int64_t> offsets;
        std::vector<float> distances;
        std::vector<std::uint32_t> positions;
        bool started = false;
        StopPoll poll;
    };
    constexpr std::size_t kFirstStep = 32;
    const std::size_t workers = std::min(workers_for(partition.count * rows.bytes_read() * passes), partition.tasks);
    std::vector<Worker> state(k == 0 ? 0 : std::max<std::size_t>(workers, 1));
    const std::size_t out_stride = (partition.block_rows + 15) / 16 * 16 + kOutPadding;

    parallel_for(k == 0 ? 0 : partition.tasks, workers, [&](std::size_t w, std::size_t task) {
        Worker& worker = state[w];
        if (worker.nearest.empty()) {
            worker.nearest.assign(nq, nearest_of(k));
            worker.distances.resize(query_tile * out_stride);
            worker.positions.resize(partition.block_rows);
        }
        for_each_block(rows, partition, task, worker.offsets, [&](const RowBlock& block, std::size_t first_row) {
            const auto row = [&](std::size_t i) {
                return static_cast<std::int64_t>(first_row) +
                       (block.offsets ? block.offsets[i] : static_cast<std::int64_t>(i));
            };
            if (nq > 1) read_in_order(block, rows.bytes_read());
            for (std::size_t q = 0; q < nq; q += query_tile) {
                const std::size_t in_tile = std::min(query_tile, nq - q);
                worker.poll(block.count * rows.bytes_read());
                distances(q, in_tile, block, first_row, worker.distances.data(), out_stride);
                for (std::size_t t = 0; t < in_tile; ++t) {
                    const float* distance = worker.distances.data() + t * out_stride;
                    Nearest& nearest = worker.nearest[q + t];
                    std::size_t i = 0;
                    for (; i < block.count && nearest.takes_all(); ++i) nearest.add(distance[i], row(i));
                    // The bound falls quickly at first: do not select far ahead of it.
                    std::size_t step = worker.started ? block.count : kFirstStep;
                    for (; i < block.count; i += step, step *= 2) {
                        step = std::min(step, block.count - i);
                        const std::size_t found =
                            ops.below(distance + i, step, nearest.bound(), worker.positions.data());
                        for (std::size_t p = 0; p < found; ++p) {
                            const std::size_t at = i + worker.positions[p];
                            if (distance[at] < nearest.bound()) nearest.add(distance[at], row(at));
                        }
                    }
                }
            }
            worker.started = true;
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

}  // namespace vecstore
