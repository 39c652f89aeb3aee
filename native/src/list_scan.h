// The driver of scans over the rows of probed lists: which rows to score, which to refine, which to keep.
//
// A Scorer knows one family of codes. It offers
//   Query, prepare(q, query)               what one query needs over all lists; queries are used again for others
//   has_lower(), score(query, run, est, lower)   first estimates of a run of places, and lower bounds where it has them
//   expect(place), if it wants             prefetches the beginning of the list that comes next
//   kRefines: refine(query, place, add, radius) -> Refined, the full estimate of one place, called for survivors only,
//             and prefetch(place); without it finish(query, place, add, radius) -> Refined, an estimate without
//             rounding
//   place_bytes()                          bytes that scoring one place reads
// Places are rows in list order, each list padded to whole blocks of 32.
#pragma once

#include <cmath>
#include <limits>

#include "list_nearest.h"
#include "scan.h"

namespace vecstore {

inline constexpr std::size_t kBlockRows = 32;

struct ListLayout {
    std::size_t nlist;
    const std::int64_t* offsets;   // (nlist + 1,) in blocks
    const std::int64_t* counts;    // (nlist,) in rows
    const std::uint32_t* rows;     // the row of each place
    const std::uint64_t* allowed;  // by row; null allows all
    std::size_t allowed_words;

    // Row numbers come from a file: one past the bitmap is no row.
    bool allows(std::uint32_t row) const {
        return allowed == nullptr || (row / 64 < allowed_words && (allowed[row / 64] >> row % 64 & 1) != 0);
    }
};

struct ListProbes {
    std::size_t nq;
    std::size_t nprobe;
    const std::int32_t* lists;  // (nq, nprobe)
    const float* add;
    const float* radius;
};

struct ListOutput {
    std::size_t k;
    std::size_t m;
    bool bounded;
    std::int64_t* rows;      // (nq, m)
    float* distances;        // (nq, m)
    std::int64_t* counters;  // (nq, 3)
};

// Consecutive places of one list.
struct ListRun {
    std::size_t place;
    std::size_t count;
    float add;
    float radius;
};

template <class Scorer>
class ListScan {
 public:
    ListScan(const Ops& ops, const Scorer& scorer, const ListLayout& layout, const ListProbes& probes,
             const ListOutput& output)
        : ops_(ops), scorer_(scorer), layout_(layout), probes_(probes), output_(output) {}

    void run() {
        const std::size_t tile = shares_one_list() ? kTileQueries : 1;
        const std::size_t groups = (probes_.nq + tile - 1) / tile;
        const std::size_t workers = workers_for(bytes_touched());
        const std::size_t parts = groups >= workers ? 1 : (workers + groups - 1) / groups;
        std::vector<Worker> state(std::max<std::size_t>(workers, 1));
        std::vector<ListNearest> found(parts == 1 ? 0 : probes_.nq * parts, new_nearest());
        parallel_for(groups * parts, workers, [&](std::size_t w, std::size_t task) {
            Worker& worker = state[w];
            if (worker.queries.empty()) start(worker, tile);
            const std::size_t first = task / parts * tile;
            const std::size_t count = std::min(probes_.nq - first, tile);
            scan(worker, first, count, task % parts, parts);
            for (std::size_t i = 0; i < count; ++i) {
                if (parts == 1)
                    write(first + i, worker.nearest[i]);
                else
                    std::swap(found[(first + i) * parts + task % parts], worker.nearest[i]);
            }
        });
        for (std::size_t q = 0; parts > 1 && q < probes_.nq; ++q) {
            ListNearest& nearest = found[q * parts];
            for (std::size_t part = 1; part < parts; ++part) nearest.merge(found[q * parts + part]);
            write(q, nearest);
        }
    }

 private:
    static constexpr std::size_t kTileQueries = 32;      // share one pass over a flat index
    static constexpr std::size_t kRunBytes = 48 * 1024;  // stays in the second-level cache for all of them

    bool shares_one_list() const {
        for (std::size_t q = 0; q < probes_.nq; ++q)
            if (probes_.nprobe != 1 || probes_.lists[q] != probes_.lists[0]) return false;
        return probes_.nq > 1;
    }

    std::size_t bytes_touched() const {
        std::size_t blocks = 0;
        for (std::size_t i = 0; i < probes_.nq * probes_.nprobe; ++i)
            if (const std::int32_t list = probes_.lists[i]; list >= 0)
                blocks += static_cast<std::size_t>(layout_.offsets[list + 1] - layout_.offsets[list]);
        return blocks * kBlockRows * scorer_.place_bytes();
    }

    // What one thread works with, kept from task to task.
    struct Worker {
        std::vector<typename Scorer::Query> queries;
        std::vector<ListNearest> nearest;
        std::vector<float> est, lower;
        std::vector<std::uint32_t> positions;
    };

    ListNearest new_nearest() const { return ListNearest(output_.k, output_.m, output_.bounded); }

    std::size_t run_blocks() const {
        return std::max<std::size_t>(1, kRunBytes / (kBlockRows * std::max<std::size_t>(1, scorer_.place_bytes())));
    }

    void start(Worker& worker, std::size_t tile) const {
        worker.queries.resize(tile);
        worker.nearest.assign(tile, new_nearest());
        worker.est.resize(run_blocks() * kBlockRows + kOutPadding);
        worker.lower.resize(worker.est.size());
        worker.positions.resize(worker.est.size());
    }

    // Part `part` of `parts` of the lists that queries first..first + count - 1 probe.
    void scan(Worker& worker, std::size_t first, std::size_t count, std::size_t part, std::size_t parts) const {
        for (std::size_t i = 0; i < count; ++i) {
            scorer_.prepare(first + i, worker.queries[i]);
            worker.nearest[i].reset();
        }
        const std::size_t step = run_blocks();
        std::size_t total = 0;
        const std::int32_t* lists = probes_.lists + first * probes_.nprobe;
        for (std::size_t p = 0; p < probes_.nprobe; ++p)
            if (lists[p] >= 0)
                total += static_cast<std::size_t>(layout_.offsets[lists[p] + 1] - layout_.offsets[lists[p]]);
        const std::size_t begin = total * part / parts;
        const std::size_t end = total * (part + 1) / parts;
        std::size_t passed = 0;
        for (std::size_t p = 0; p < probes_.nprobe && passed < end; ++p) {
            const std::int32_t list = lists[p];
            if (list < 0) continue;
            const auto list_first = static_cast<std::size_t>(layout_.offsets[list]);
            const auto list_blocks = static_cast<std::size_t>(layout_.offsets[list + 1]) - list_first;
            const std::size_t list_end = list_first * kBlockRows + static_cast<std::size_t>(layout_.counts[list]);
            if constexpr (requires { scorer_.expect(std::size_t{}); })
                if (p + 1 < probes_.nprobe && lists[p + 1] >= 0)
                    scorer_.expect(static_cast<std::size_t>(layout_.offsets[lists[p + 1]]) * kBlockRows);
            const std::size_t from = begin > passed ? std::min(begin - passed, list_blocks) : 0;
            const std::size_t to = std::min(list_blocks, end - passed);
            for (std::size_t b = from; b < to; b += step) {
                const std::size_t place = (list_first + b) * kBlockRows;
                const std::size_t run_end = (list_first + std::min(to, b + step)) * kBlockRows;
                for (std::size_t i = 0; i < count; ++i) {
                    const std::size_t probe = (first + i) * probes_.nprobe + p;
                    const ListRun run{place, std::min(run_end, list_end) - place, probes_.add[probe],
                                      probes_.radius[probe]};
                    take(worker, i, run, p);
                }
            }
            passed += list_blocks;
        }
        if constexpr (!Scorer::kRefines)
            for (std::size_t i = 0; i < count; ++i)
                worker.nearest[i].finish([&](std::size_t place, std::size_t p) {
                    const std::size_t probe = (first + i) * probes_.nprobe + p;
                    return scorer_.finish(worker.queries[i], place, probes_.add[probe], probes_.radius[probe]);
                });
    }

    void take(Worker& worker, std::size_t i, const ListRun& run, std::size_t probe) const {
        typename Scorer::Query& query = worker.queries[i];
        ListNearest& nearest = worker.nearest[i];
        float* const est = worker.est.data();
        float* const lower = scorer_.has_lower() ? worker.lower.data() : est;
        scorer_.score(query, run, est, lower);
        nearest.scanned += static_cast<std::int64_t>(run.count);
        constexpr std::size_t kStep = 256;  // the gate falls quickly at first: do not select far ahead of it
        for (std::size_t start = 0; start < run.count; start += kStep) {
            const std::size_t n = std::min(kStep, run.count - start);
            const std::size_t found = ops_.below(lower + start, n, nearest.gate(), worker.positions.data());
            if constexpr (Scorer::kRefines)
                for (std::size_t f = 0; f < found; ++f) scorer_.prefetch(run.place + start + worker.positions[f]);
            for (std::size_t f = 0; f < found; ++f) {
                const std::size_t at = start + worker.positions[f];
                if (!(lower[at] < nearest.gate())) continue;
                const std::size_t place = run.place + at;
                const std::uint32_t row = layout_.rows[place];
                if (!layout_.allows(row)) continue;
                if constexpr (Scorer::kRefines) {
                    const Refined full = scorer_.refine(query, place, run.add, run.radius);
                    ++nearest.refined;
                    nearest.add(row, place, probe, full.distance, full.error);
                } else {
                    nearest.add(row, place, probe, est[at], est[at] - lower[at]);
                }
            }
        }
    }

    void write(std::size_t q, ListNearest& nearest) const {
        nearest.write(output_.rows + q * output_.m, output_.distances + q * output_.m, output_.counters + q * 3);
    }

    const Ops& ops_;
    const Scorer& scorer_;
    const ListLayout& layout_;
    const ListProbes& probes_;
    const ListOutput& output_;
};

}  // namespace vecstore
