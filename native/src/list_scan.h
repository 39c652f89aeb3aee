// The driver of scans over the rows of probed lists: which rows to score, which to refine, which to keep.
//
// A Scorer knows one family of codes. It offers
//   Query, prepare(q, query)               what one query needs over all lists; queries are used again for others
//   kTogether, has_lower(), score(queries, runs, n, scores)   first estimates of the same places for n <= kTogether
//                                          queries, lower bounds where it has them, and which are below the gate
//   passes_once(), if it wants             whether a run's codes are read once for all queries
//   expect(place), if it wants             prefetches the beginning of the list that comes next
//   kRefines: refine(query, place, add, radius) -> Refined, the full estimate of one place, called for survivors only,
//             estimate(place, add, sum), the first one, and prefetch(place); without it finish(query, place, add,
//             radius) -> Refined, an estimate without rounding
//   place_bytes()                          bytes that scoring one place reads
// Places are rows in list order, each list padded to whole blocks of 32.
#pragma once

#include <memory>

#include "list_tile.h"
#include "stop.h"

namespace vecstore {

template <class Scorer>
class ListScan {
 public:
    ListScan(const Scorer& scorer, const ListLayout& layout, const ListProbes& probes, const ListOutput& output)
        : scorer_(scorer), layout_(layout), probes_(probes), output_(output) {}

    void run() {
        const std::size_t tile = shares_one_list() ? kTileQueries : 1;
        const std::size_t groups = (probes_.nq + tile - 1) / tile;
        const std::size_t workers = workers_for(bytes_touched());
        const std::size_t parts = groups >= workers ? 1 : (workers + groups - 1) / groups;
        std::vector<std::unique_ptr<ListTile<Scorer>>> tiles(std::max<std::size_t>(workers, 1));
        std::vector<ListNearest> found(parts == 1 ? 0 : probes_.nq * parts,
                                       ListNearest(output_.k, output_.m, output_.bounded, !Scorer::kRefines));
        parallel_for(groups * parts, workers, [&](std::size_t w, std::size_t task) {
            if (!tiles[w]) tiles[w] = new_tile(tile);
            ListTile<Scorer>& queries = *tiles[w];
            const std::size_t first = task / parts * tile;
            const std::size_t count = std::min(probes_.nq - first, tile);
            queries.begin(first, count);
            scan(queries, first, task % parts, parts, count);
            queries.finish();
            for (std::size_t i = 0; i < count; ++i) {
                if (parts == 1)
                    write(first + i, queries.nearest(i));
                else
                    std::swap(found[(first + i) * parts + task % parts], queries.nearest(i));
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

    static constexpr std::size_t kOnceBytes = 192 * 1024;  // where each byte serves all of them at once

    static constexpr std::size_t kFirstBlocks = 4;

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

    std::size_t run_blocks() const {
        std::size_t bytes = kRunBytes;
        if constexpr (requires { scorer_.passes_once(); })
            if (scorer_.passes_once()) bytes = kOnceBytes;
        return std::max<std::size_t>(1, bytes / (kBlockRows * std::max<std::size_t>(1, scorer_.place_bytes())));
    }

    // What one thread works with, kept from task to task.
    std::unique_ptr<ListTile<Scorer>> new_tile(std::size_t queries) const {
        return std::make_unique<ListTile<Scorer>>(scorer_, layout_, probes_, output_, queries,
                                                  run_blocks() * kBlockRows);
    }

    // Part `part` of `parts` of the lists that a tile's first query probes: if there are several, they probe the same.
    void scan(ListTile<Scorer>& tile, std::size_t first, std::size_t part, std::size_t parts,
              std::size_t queries) const {
        // The first runs are short: the sooner there is a bound, the fewer places are found.
        std::size_t step = Scorer::kRefines ? std::min(kFirstBlocks, run_blocks()) : run_blocks();
        StopPoll poll;
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
            for (std::size_t b = from, next = 0; b < to; b = next, step = std::min(2 * step, run_blocks())) {
                next = std::min(to, b + step);
                const std::size_t place = (list_first + b) * kBlockRows;
                const std::size_t run_end = (list_first + next) * kBlockRows;
                const std::size_t count = std::min(run_end, list_end) - place;
                poll(count * scorer_.place_bytes() * queries);
                tile.scan(p, place, count);
            }
            passed += list_blocks;
        }
    }

    void write(std::size_t q, ListNearest& nearest) const {
        nearest.write(output_.rows + q * output_.m, output_.distances + q * output_.m, output_.counters + q * 3);
    }

    const Scorer& scorer_;
    const ListLayout& layout_;
    const ListProbes& probes_;
    const ListOutput& output_;
};

}  // namespace vecstore
