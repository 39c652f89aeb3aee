// The driver of scans over the rows of probed lists: which rows to score, which to refine, which to keep.
//
// A Scorer knows one family of codes. It offers
//   Query                                  what one query needs, made by make_query(q), reused over all lists
//   has_lower(), score(query, run, est, lower)   first estimates of a run of places, and lower bounds where it has them
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
        std::vector<ListNearest> nearest(probes_.nq * parts, ListNearest(output_.k, output_.m, output_.bounded));
        parallel_for(groups * parts, workers, [&](std::size_t, std::size_t task) {
            const std::size_t first = task / parts * tile;
            const std::size_t last = std::min(probes_.nq, first + tile);
            scan(first, last, task % parts, parts, nearest);
            for (std::size_t q = first; parts == 1 && q < last; ++q) write(q, &nearest[q], 1);
        });
        for (std::size_t q = 0; parts > 1 && q < probes_.nq; ++q) write(q, &nearest[q * parts], parts);
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

    void scan(std::size_t first, std::size_t last, std::size_t part, std::size_t parts,
              std::vector<ListNearest>& nearest) {
        std::vector<typename Scorer::Query> queries;
        queries.reserve(last - first);
        for (std::size_t q = first; q < last; ++q) queries.push_back(scorer_.make_query(q));
        const std::size_t run_blocks =
            std::max<std::size_t>(1, kRunBytes / (kBlockRows * std::max<std::size_t>(1, scorer_.place_bytes())));
        Buffers buffers(run_blocks * kBlockRows + kOutPadding);
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
            const std::size_t from = begin > passed ? std::min(begin - passed, list_blocks) : 0;
            const std::size_t to = std::min(list_blocks, end - passed);
            for (std::size_t b = from; b < to; b += run_blocks) {
                const std::size_t place = (list_first + b) * kBlockRows;
                const std::size_t run_end = (list_first + std::min(to, b + run_blocks)) * kBlockRows;
                for (std::size_t q = first; q < last; ++q) {
                    const std::size_t probe = q * probes_.nprobe + p;
                    const ListRun run{place, std::min(run_end, list_end) - place, probes_.add[probe],
                                      probes_.radius[probe]};
                    take(queries[q - first], run, buffers, nearest[q * parts + part]);
                }
            }
            passed += list_blocks;
        }
        if constexpr (!Scorer::kRefines)
            for (std::size_t q = first; q < last; ++q)
                nearest[q * parts + part].finish([&](std::size_t place, float add, float radius) {
                    return scorer_.finish(queries[q - first], place, add, radius);
                });
    }

    struct Buffers {
        explicit Buffers(std::size_t n) : est(n), lower(n), positions(n) {}
        std::vector<float> est, lower;
        std::vector<std::uint32_t> positions;
    };

    void take(typename Scorer::Query& query, const ListRun& run, Buffers& buffers, ListNearest& nearest) const {
        float* const est = buffers.est.data();
        float* const lower = scorer_.has_lower() ? buffers.lower.data() : est;
        scorer_.score(query, run, est, lower);
        nearest.scanned += static_cast<std::int64_t>(run.count);
        constexpr std::size_t kStep = 256;  // the gate falls quickly at first: do not select far ahead of it
        for (std::size_t start = 0; start < run.count; start += kStep) {
            const std::size_t n = std::min(kStep, run.count - start);
            const std::size_t found = ops_.below(lower + start, n, nearest.gate(), buffers.positions.data());
            if constexpr (Scorer::kRefines)
                for (std::size_t i = 0; i < found; ++i) scorer_.prefetch(run.place + start + buffers.positions[i]);
            for (std::size_t i = 0; i < found; ++i) {
                const std::size_t at = start + buffers.positions[i];
                if (!(lower[at] < nearest.gate())) continue;
                const std::size_t place = run.place + at;
                const std::uint32_t row = layout_.rows[place];
                if (!layout_.allows(row)) continue;
                if constexpr (Scorer::kRefines) {
                    const Refined full = scorer_.refine(query, place, run.add, run.radius);
                    ++nearest.refined;
                    nearest.add(row, place, full.distance, full.error, run.add, run.radius);
                } else {
                    nearest.add(row, place, est[at], est[at] - lower[at], run.add, run.radius);
                }
            }
        }
    }

    void write(std::size_t q, ListNearest* parts, std::size_t count) const {
        for (std::size_t p = 1; p < count; ++p) parts[0].merge(parts[p]);
        parts[0].write(output_.rows + q * output_.m, output_.distances + q * output_.m, output_.counters + q * 3);
    }

    const Ops& ops_;
    const Scorer& scorer_;
    const ListLayout& layout_;
    const ListProbes& probes_;
    const ListOutput& output_;
};

}  // namespace vecstore
