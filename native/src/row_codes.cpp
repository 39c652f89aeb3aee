#include "row_codes.h"

#include <array>
#include <cmath>
#include <limits>

#include "dispatch.h"
#include "row_codes_queries.h"
#include "stop.h"

namespace vecstore {
namespace {

struct Visit {
    std::uint32_t query;
    std::int32_t list;
    float add;
};

// Consecutive blocks of one list with all visits of that list.
struct Run {
    std::size_t block;
    std::size_t blocks;
    std::size_t first_visit;
    std::size_t last_visit;
};

constexpr std::size_t kFetchBytes = 40 * 1024;
// Stays in the second-level cache while all tiles of queries pass over it. CPUs that multiply many queries at once have
// a large one.
constexpr std::size_t kChunkBytes = 48 * 1024, kManyChunkBytes = 192 * 1024;
constexpr std::size_t kManyQueries = 16;

class RowScan {
 public:
    RowScan(const RowCodes& codes, const float* queries, const ListProbes& probes, const ListOutput& output)
        : ops_(current_ops()),
          codes_(codes),
          output_(output),
          queries_(ops_, codes, queries, probes.nq),
          nq_(probes.nq),
          block_bytes_(std::max<std::size_t>(1, code_block_bytes(codes.kind, codes.dim))),
          chunk_blocks_(std::clamp<std::size_t>(chunk_bytes() / block_bytes_, 1, kMaxChunkBlocks)) {
        list_visits(probes);
        cut_runs();
    }

    void run() {
        std::vector<Worker> workers(std::max<std::size_t>(1, std::min(workers_, runs_.size())));
        parallel_for(runs_.size(), workers.size(), [&](std::size_t w, std::size_t r) {
            if (workers[w].nearest.empty()) workers[w].prepare(*this);
            if (r + 1 < runs_.size()) fetch(runs_[r + 1]);
            scan(runs_[r], workers[w]);
        });
        for (std::size_t q = 0; q < nq_; ++q) {
            TopK merged(output_.m);
            std::int64_t scanned = 0;
            for (const Worker& worker : workers) {
                if (worker.nearest.empty()) continue;
                merged.merge(worker.nearest[q]);
                scanned += worker.scanned[q];
            }
            merged.finish(output_.rows + q * output_.m, output_.distances + q * output_.m, output_.m);
            std::int64_t* const counters = output_.counters + 3 * q;
            counters[0] = scanned;
            counters[1] = 0;
            counters[2] = std::min(scanned, static_cast<std::int64_t>(output_.m));
        }
    }

 private:
    static constexpr std::size_t kMaxChunkBlocks = 32;

    struct Worker {
        std::vector<TopK> nearest;
        std::vector<std::int64_t> scanned;
        std::vector<float> distances;
        std::array<std::uint32_t, kMaxChunkBlocks> masks;
        std::array<std::uint32_t, kMaxChunkBlocks * kBlockRows> positions;
        StopPoll poll;

        void prepare(const RowScan& scan) {
            nearest.assign(scan.nq_, TopK(scan.output_.m));
            scanned.assign(scan.nq_, 0);
            distances.resize(scan.queries_.tile() * scan.queries_.parts() * scan.out_stride());
        }
    };

    std::size_t chunk_bytes() const {
        return std::min(nq_, queries_.tile()) >= kManyQueries ? kManyChunkBytes : kChunkBytes;
    }

    std::size_t out_stride() const { return chunk_blocks_ * kBlockRows + kOutPadding; }

    // One query visits its lists in its order, nearest first; many visit them list by list, so that codes are read
    // once.
    void list_visits(const ListProbes& probes) {
        for (std::size_t i = 0; i < probes.nq * probes.nprobe; ++i)
            if (probes.lists[i] >= 0)
                visits_.push_back({static_cast<std::uint32_t>(i / probes.nprobe), probes.lists[i], probes.add[i]});
        if (probes.nq > 1)
            std::stable_sort(visits_.begin(), visits_.end(),
                             [](const Visit& a, const Visit& b) { return a.list < b.list; });
    }

    void cut_runs() {
        std::size_t touched = 0;
        for (std::size_t first = 0, last = 0; first < visits_.size(); first = last) {
            const std::int32_t list = visits_[first].list;
            while (last < visits_.size() && visits_[last].list == list && (nq_ > 1 || last == first)) ++last;
            const auto begin = static_cast<std::size_t>(codes_.layout.offsets[list]);
            const std::size_t blocks =
                (static_cast<std::size_t>(codes_.layout.counts[list]) + kBlockRows - 1) / kBlockRows;
            touched += blocks * block_bytes_ * (last - first);
            const std::size_t wanted = std::max(kTaskBytes / block_bytes_ / (last - first), chunk_blocks_);
            for (std::size_t b = 0; b < blocks; b += wanted)
                runs_.push_back({begin + b, std::min(wanted, blocks - b), first, last});
        }
        workers_ = workers_for(touched);
    }

    // Which rows of each block take part: bits, the first row lowest.
    std::size_t fill_masks(std::int32_t list, std::size_t block, std::size_t count, std::uint32_t* masks) const {
        const ListLayout& layout = codes_.layout;
        const std::size_t list_end =
            static_cast<std::size_t>(layout.offsets[list]) * kBlockRows + static_cast<std::size_t>(layout.counts[list]);
        std::size_t total = 0;
        for (std::size_t b = 0; b < count; ++b) {
            const std::size_t place = (block + b) * kBlockRows;
            const std::size_t rows = std::min(kBlockRows, list_end - place);
            std::uint32_t mask = rows == kBlockRows ? ~0u : (1u << rows) - 1;
            if (layout.allowed != nullptr) {
                mask = 0;
                for (std::size_t i = 0; i < rows; ++i)
                    mask |= std::uint32_t{layout.allows(layout.rows[place + i])} << i;
            }
            masks[b] = mask;
            total += static_cast<std::size_t>(std::popcount(mask));
        }
        return total;
    }

    // Lists lie far apart: memory answers for the next one while this one is scored.
    void fetch(const Run& run) const {
        const auto lines = [](const void* first, std::size_t bytes) {
            for (std::size_t b = 0; b < bytes; b += 64)
                __builtin_prefetch(static_cast<const std::uint8_t*>(first) + b, 0, 2);
        };
        const std::size_t column_bytes = kBlockRows * (codes_.factors.half ? 2 : 4);
        const std::size_t factor_bytes = column_bytes * static_cast<std::size_t>(codes_.factors.columns);
        lines(codes_.blocks + run.block * block_bytes_, std::min(kFetchBytes, run.blocks * block_bytes_));
        lines(codes_.factors.data + run.block * factor_bytes, std::min(kFetchBytes / 8, run.blocks * factor_bytes));
        lines(codes_.layout.rows + run.block * kBlockRows, std::min(kFetchBytes / 8, run.blocks * kBlockRows * 4));
    }

    std::vector<CodeQueries::Tile> tiles_of(const Run& run) const {
        std::vector<CodeQueries::Tile> tiles;
        std::vector<std::uint32_t> numbers(queries_.tile());
        for (std::size_t v = run.first_visit; v < run.last_visit; v += numbers.size()) {
            const std::size_t count = std::min(numbers.size(), run.last_visit - v);
            for (std::size_t t = 0; t < count; ++t) numbers[t] = visits_[v + t].query;
            tiles.emplace_back(queries_, numbers.data(), count);
        }
        return tiles;
    }

    void scan(const Run& run, Worker& worker) const {
        const std::vector<CodeQueries::Tile> tiles = tiles_of(run);
        for (std::size_t at = 0; at < run.blocks; at += chunk_blocks_) {
            const std::size_t block = run.block + at;
            const std::size_t count = std::min(chunk_blocks_, run.blocks - at);
            std::uint32_t* const masks = worker.masks.data();
            const std::size_t rows = fill_masks(visits_[run.first_visit].list, block, count, masks);
            worker.poll(count * block_bytes_ * (run.last_visit - run.first_visit));
            for (std::size_t v = run.first_visit; v < run.last_visit; ++v)
                worker.scanned[visits_[v].query] += static_cast<std::int64_t>(rows);
            // Blocks without allowed rows are not read.
            for (std::size_t first = 0, last = 0; first < count; first = last + 1) {
                for (last = first; last < count && masks[last] != 0;) ++last;
                if (last > first) score(run, tiles, block + first, last - first, masks + first, worker);
            }
        }
    }

    void score(const Run& run, const std::vector<CodeQueries::Tile>& tiles, std::size_t block, std::size_t count,
               const std::uint32_t* masks, Worker& worker) const {
        RowFactors factors = codes_.factors;
        factors.data += block * factors.columns * kBlockRows * (factors.half ? 2 : 4);
        const Visit* visit = visits_.data() + run.first_visit;
        for (const CodeQueries::Tile& tile : tiles) {
            tile.dots(block, count, worker.distances.data(), out_stride());
            for (std::size_t t = 0; t < tile.count(); ++t, ++visit) {
                float* const distances = worker.distances.data() + t * out_stride();
                ops_.finish(distances, count, factors, queries_.scale(visit->query), visit->add);
                select(distances, block, count, masks, worker, worker.nearest[visit->query]);
            }
        }
    }

    void select(const float* distances, std::size_t block, std::size_t count, const std::uint32_t* masks,
                Worker& worker, TopK& nearest) const {
        const std::uint32_t* const rows = codes_.layout.rows + block * kBlockRows;
        const std::size_t n = count * kBlockRows;
        const auto allowed = [masks](std::size_t i) { return (masks[i / kBlockRows] >> i % kBlockRows & 1) != 0; };
        std::size_t i = 0;
        for (; i < n && nearest.takes_all(); ++i)
            if (allowed(i)) nearest.add(distances[i], rows[i]);
        if (i == n) return;
        // Rows come in no order across lists: one at the bound may still win by its number.
        const float gate = std::nextafter(nearest.bound(), std::numeric_limits<float>::infinity());
        const std::size_t found = ops_.below(distances + i, n - i, gate, worker.positions.data());
        for (std::size_t p = 0; p < found; ++p) {
            const std::size_t at = i + worker.positions[p];
            if (distances[at] <= nearest.bound() && allowed(at)) nearest.add(distances[at], rows[at]);
        }
    }

    const Ops& ops_;
    const RowCodes& codes_;
    const ListOutput& output_;
    const CodeQueries queries_;
    std::size_t nq_;
    std::size_t block_bytes_;
    std::size_t chunk_blocks_;
    std::size_t workers_ = 1;
    std::vector<Visit> visits_;
    std::vector<Run> runs_;
};

}  // namespace

std::size_t code_block_bytes(CodeKind kind, std::size_t dim) {
    switch (kind) {
        case CodeKind::f16:
        case CodeKind::bf16:
            return kBlockRows * dim * 2;
        case CodeKind::e4m3:
        case CodeKind::e5m2:
            return kBlockRows * dim;
        case CodeKind::int8:
            return kBlockRows * ((dim + 7) / 8 * 8);
        default:
            return kBlockRows * ((dim + 7) / 8 * 4);
    }
}

void row_scan(const RowCodes& codes, const float* queries, const ListProbes& probes, const ListOutput& output) {
    RowScan(codes, queries, probes, output).run();
}

}  // namespace vecstore
