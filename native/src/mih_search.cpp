#include "mih_search.h"

#include <cstring>

#include "counting_top_k.h"
#include "dispatch.h"
#include "stop.h"

namespace vecstore {
namespace {

constexpr std::size_t kVerified = 256;  // rows compared at once
// A look-up is a miss of the cache: it costs about as much as reading a few lines in order.
constexpr std::size_t kBytesPerLookup = 256;

// Bits begin..end of a row, at most 24.
std::uint32_t chunk_of(const std::uint8_t* row, std::size_t begin, std::size_t end) {
    std::uint32_t word = 0;
    for (std::size_t byte = begin / 8; byte * 8 < end; ++byte)
        word |= static_cast<std::uint32_t>(row[byte]) << (byte - begin / 8) * 8;
    return word >> begin % 8 & ((std::uint32_t{1} << (end - begin)) - 1);
}

// One query's search; a worker's buffers are used again for its next.
class Search {
 public:
    Search(const Ops& ops, const Rows& rows, const MihTables& tables)
        : ops_(ops),
          rows_(rows),
          tables_(tables),
          query_(hamming_query_stride(rows.row_bytes)),
          seen_((rows.n + 63) / 64),
          pending_(kVerified),
          distances_(kVerified + kOutPadding) {}

    void run(const std::uint8_t* query, std::size_t max_distance, std::size_t budget, const TopKOutput& output,
             std::int64_t* counters) {
        std::memcpy(query_.data(), query, rows_.row_bytes);
        max_distance_ = static_cast<float>(max_distance);
        budget_ = budget;
        probes_ = compared_ = held_ = 0;
        CountingTopK nearest(output.k, rows_.row_bytes * 8, false);
        const bool exact = search(nearest, max_distance);
        for (const std::int64_t row : touched_) seen_[static_cast<std::size_t>(row) / 64] = 0;
        touched_.clear();
        nearest.finish(output.rows, output.distances, output.k);
        counters[0] = static_cast<std::int64_t>(probes_);
        counters[1] = static_cast<std::int64_t>(compared_);
        counters[2] = exact ? 1 : 0;
    }

 private:
    // Rows not seen once chunks 0..j are done with radius r differ in more than r bits in each of these and in at
    // least r bits in each other chunk: their distance is more than chunks * r + j.
    bool search(CountingTopK& nearest, std::size_t max_distance) {
        std::size_t widest = 0;
        for (std::size_t j = 0; j < tables_.chunks; ++j) widest = std::max(widest, bits(j));
        for (std::size_t radius = 0; radius <= widest; ++radius) {
            const std::uint32_t* buckets = tables_.buckets;
            for (std::size_t j = 0; j < tables_.chunks; ++j) {
                if (radius <= bits(j) && !probe(j, radius, buckets, nearest)) return false;
                buckets += (std::size_t{1} << bits(j)) + 1;
                compare(nearest);
                const std::size_t needed = nearest.full() ? std::min(nearest.kth(), max_distance) : max_distance;
                if (needed <= tables_.chunks * radius + j) return true;
            }
        }
        return true;
    }

    std::size_t bits(std::size_t chunk) const {
        return static_cast<std::size_t>(tables_.starts[chunk + 1] - tables_.starts[chunk]);
    }

    // All buckets at `radius` bits from the query's. False when that takes more work than the budget.
    bool probe(std::size_t chunk, std::size_t radius, const std::uint32_t* buckets, CountingTopK& nearest) {
        if (probes_ + touched_.size() + words_at(bits(chunk), radius) > budget_) return false;
        const std::uint32_t own = chunk_of(query_.data(), static_cast<std::size_t>(tables_.starts[chunk]),
                                           static_cast<std::size_t>(tables_.starts[chunk + 1]));
        const std::uint32_t* const listed = tables_.rows + chunk * rows_.n;
        const std::uint64_t end = std::uint64_t{1} << bits(chunk);
        for (std::uint64_t flips = (std::uint64_t{1} << radius) - 1; flips < end; flips = next(flips)) {
            const std::uint32_t bucket = own ^ static_cast<std::uint32_t>(flips);
            const std::uint32_t first = buckets[bucket], last = buckets[bucket + 1];
            if (++probes_ + touched_.size() + (last - first) > budget_) return false;
            poll_((1 + last - first) * kBytesPerLookup);
            for (std::uint32_t i = first; i < last; ++i) visit(listed[i], nearest);
            if (flips == 0) break;
        }
        return true;
    }

    // How many words of `bits` bits have `radius` of them set.
    static std::size_t words_at(std::size_t bits, std::size_t radius) {
        std::size_t words = 1;
        for (std::size_t i = 0; i < radius; ++i) words = words * (bits - i) / (i + 1);
        return words;
    }

    // The next larger number with as many bits (Gosper).
    static std::uint64_t next(std::uint64_t x) {
        const std::uint64_t lowest = x & (~x + 1);
        const std::uint64_t ripple = x + lowest;
        return ripple | ((x ^ ripple) >> 2) / lowest;
    }

    void visit(std::uint32_t row, CountingTopK& nearest) {
        const std::uint64_t bit = std::uint64_t{1} << row % 64;
        if (rows_.allowed != nullptr && (rows_.allowed[row / 64] & bit) == 0) return;
        if ((seen_[row / 64] & bit) != 0) return;
        seen_[row / 64] |= bit;
        touched_.push_back(row);
        pending_[held_++] = row;
        if (held_ == kVerified) compare(nearest);
    }

    void compare(CountingTopK& nearest) {
        if (held_ == 0) return;
        const RowBlock block{rows_.data, rows_.row_bytes, pending_.data(), held_};
        ops_.hamming(query_.data(), 1, rows_.row_bytes, block, distances_.data(), 0);
        for (std::size_t i = 0; i < held_; ++i)
            if (distances_[i] <= max_distance_ && distances_[i] < nearest.bound())
                nearest.add(distances_[i], pending_[i]);
        compared_ += held_;
        held_ = 0;
    }

    const Ops& ops_;
    const Rows& rows_;
    const MihTables& tables_;
    std::vector<std::uint8_t> query_;
    std::vector<std::uint64_t> seen_;
    std::vector<std::int64_t> touched_;
    std::vector<std::int64_t> pending_;
    std::vector<float> distances_;
    float max_distance_ = 0;
    StopPoll poll_;
    std::size_t budget_ = 0, probes_ = 0, compared_ = 0, held_ = 0;
};

}  // namespace

void mih_search(const std::uint8_t* queries, std::size_t nq, const Rows& rows, const MihTables& tables,
                std::size_t max_distance, std::size_t budget, const MihOutput& output) {
    const Ops& ops = current_ops();
    const std::size_t workers = std::min(workers_for(nq * std::min(budget, rows.n) * kBytesPerLookup), nq);
    std::vector<Search> state(std::max<std::size_t>(workers, 1), Search(ops, rows, tables));
    parallel_for(nq, workers, [&](std::size_t w, std::size_t q) {
        const std::size_t k = output.top_k.k;
        const TopKOutput places{k, output.top_k.rows + q * k, output.top_k.distances + q * k};
        state[w].run(queries + q * rows.row_bytes, max_distance, budget, places, output.counters + q * 3);
    });
}

}  // namespace vecstore
