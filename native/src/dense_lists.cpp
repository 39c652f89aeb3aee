#include "dense_lists.h"

#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "allowed.h"
#include "dense_distances.h"
#include "dense_queries.h"
#include "dispatch.h"

namespace vecstore {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr std::size_t kChunk = 256;  // rows scored at once

struct Worker {
    std::int64_t rows[kChunk];
    float distances[kChunk + kOutPadding];
    std::uint32_t positions[kChunk];
    std::size_t count = 0;
    StopPoll poll;
};

class Scan {
 public:
    Scan(Metric metric, const DenseLists& lists)
        : ops_(current_ops()), metric_(metric), lists_(lists), sums_(sums_of(ops_, metric, lists.rows.element)) {}

    std::size_t places(std::int32_t list) const {
        return list < 0 ? 0 : static_cast<std::size_t>(lists_.offsets[list + 1] - lists_.offsets[list]);
    }

    // Scores places begin to end of the probed lists, counted over all of them. Chunks run across lists, which may be
    // short.
    void run(const float* query, const std::int32_t* probes, std::size_t nprobe, std::size_t begin, std::size_t end,
             Worker& worker, TopK& nearest) const {
        const Rows& rows = lists_.rows.rows;
        std::size_t passed = 0;
        for (std::size_t p = 0; p < nprobe && passed < end; ++p) {
            const std::size_t held = places(probes[p]);
            if (held == 0) continue;
            const std::uint32_t* listed = lists_.listed + lists_.offsets[probes[p]];
            const std::size_t to = std::min(held, end - passed);
            for (std::size_t i = begin > passed ? std::min(begin - passed, held) : 0; i < to; ++i) {
                if (listed[i] >= rows.n)
                    throw std::invalid_argument("listed row " + std::to_string(listed[i]) + " is not in 0.." +
                                                std::to_string(rows.n) + " - 1");
                worker.rows[worker.count] = listed[i];
                worker.count += is_allowed(rows.allowed, listed[i]);
                if (worker.count == kChunk) score(query, worker, nearest);
            }
            passed += held;
        }
        if (worker.count != 0) score(query, worker, nearest);
    }

 private:
    void score(const float* query, Worker& worker, TopK& nearest) const {
        const Rows& rows = lists_.rows.rows;
        const std::size_t count = std::exchange(worker.count, 0);
        worker.poll(count * rows.bytes_read());
        const RowBlock block{rows.data, rows.row_bytes, worker.rows, count, 0};
        sums_(query, 1, lists_.rows.dim, block, worker.distances, 0);
        finish_distances(metric_, block, lists_.rows.inverse_norms, worker.distances);
        // Lists come in any order: a row as far as the k-th may stand before it.
        std::size_t i = 0;
        for (; i < count && nearest.bound() == kInfinity; ++i) nearest.add(worker.distances[i], worker.rows[i]);
        if (i == count) return;
        const float above = std::nextafter(nearest.bound(), kInfinity);
        const std::size_t found = ops_.below(worker.distances + i, count - i, above, worker.positions);
        for (std::size_t p = 0; p < found; ++p) {
            const std::size_t at = i + worker.positions[p];
            if (worker.distances[at] <= nearest.bound()) nearest.add(worker.distances[at], worker.rows[at]);
        }
    }

    const Ops& ops_;
    Metric metric_;
    const DenseLists& lists_;
    SumsFn sums_;
};

}  // namespace

void dense_list_scan(Metric metric, const float* queries, std::size_t nq, const DenseLists& lists,
                     const std::int32_t* probes, std::size_t nprobe, const TopKOutput& output, std::int64_t* scanned) {
    const Scan scan(metric, lists);
    std::size_t places = 0;
    for (std::size_t q = 0; q < nq; ++q) {
        std::size_t own = 0;
        for (std::size_t p = 0; p < nprobe; ++p) own += scan.places(probes[q * nprobe + p]);
        scanned[q] = static_cast<std::int64_t>(own);
        places += own;
    }
    if (output.k == 0 || nq == 0) return;
    const DenseQueries prepared(metric == Metric::cosine, queries, nq, lists.rows.dim, 1);
    const std::size_t workers = workers_for(places * lists.rows.rows.bytes_read());
    const std::size_t parts = nq >= workers ? 1 : (workers + nq - 1) / nq;
    std::vector<Worker> state(std::max<std::size_t>(workers, 1));
    std::vector<TopK> found(parts == 1 ? state.size() : nq * parts, TopK(output.k));
    const auto write = [&](std::size_t q, TopK& nearest) {
        nearest.finish(output.rows + q * output.k, output.distances + q * output.k, output.k);
    };
    parallel_for(nq * parts, workers, [&](std::size_t w, std::size_t task) {
        const std::size_t q = task / parts, part = task % parts;
        const auto own = static_cast<std::size_t>(scanned[q]);
        TopK& nearest = found[parts == 1 ? w : task];
        nearest.clear();
        scan.run(prepared.at(q), probes + q * nprobe, nprobe, own * part / parts, own * (part + 1) / parts, state[w],
                 nearest);
        if (parts == 1) write(q, nearest);
    });
    for (std::size_t q = 0; parts > 1 && q < nq; ++q) {
        TopK& nearest = found[q * parts];
        for (std::size_t part = 1; part < parts; ++part) nearest.merge(found[q * parts + part]);
        write(q, nearest);
    }
}

}  // namespace vecstore
