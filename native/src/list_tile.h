// Queries that go through lists together: what a run of places tells of each, which of its places are refined, and
// when.
#pragma once

#include <bit>
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

// Consecutive places of one list, as one query sees them.
struct ListRun {
    std::size_t place;
    std::size_t count;
    float add;
    float radius;
    float gate;
};

template <class Scorer>
class ListTile {
 public:
    // At most `queries` at a time, and runs of at most `places`.
    ListTile(const Scorer& scorer, const ListLayout& layout, const ListProbes& probes, const ListOutput& output,
             std::size_t queries, std::size_t places)
        : scorer_(scorer),
          layout_(layout),
          probes_(probes),
          queries_(queries),
          nearest_(queries, ListNearest(output.k, output.m, output.bounded, !Scorer::kRefines)),
          together_(std::max(kTogether, kTogetherOfEach * output.k)),
          waiting_(Scorer::kRefines ? queries : 0),
          blocks_(places / kBlockRows + 1),
          hit_blocks_(std::min(queries, Scorer::kTogether) * blocks_),
          near_(hit_blocks_.size()),
          est_(hit_blocks_.size() * kBlockRows),
          lower_(scorer.has_lower() || Scorer::kRefines ? est_.size() : 0) {}

    // Queries first..first + count - 1 come.
    void begin(std::size_t first, std::size_t count) {
        first_ = first;
        count_ = count;
        for (std::size_t i = 0; i < count; ++i) {
            scorer_.prepare(first + i, queries_[i]);
            nearest_[i].reset();
        }
    }

    // The places of a run, in the list that each query probes as its p-th.
    void scan(std::size_t p, std::size_t place, std::size_t places) {
        for (std::size_t i = 0; i < count_; i += Scorer::kTogether)
            score(i, std::min(count_ - i, Scorer::kTogether), p, place, places);
        if constexpr (Scorer::kRefines)
            for (std::size_t i = 0; i < count_; ++i) refine_until(i, kWaiting * together_);
    }

    void finish() {
        for (std::size_t i = 0; i < count_; ++i) {
            if constexpr (Scorer::kRefines)
                refine_until(i, 0);
            else
                nearest_[i].finish([&](std::size_t place, std::size_t p) {
                    const std::size_t probe = (first_ + i) * probes_.nprobe + p;
                    return scorer_.finish(queries_[i], place, probes_.add[probe], probes_.radius[probe]);
                });
        }
    }

    ListNearest& nearest(std::size_t i) { return nearest_[i]; }

 private:
    // Few rows are near enough in the end, but nobody knows yet which. So found places wait until there are many, then
    // those of the least lower bounds are refined, which shows most of the others to be too far.
    static constexpr std::size_t kTogether = 32;       // refined together, at least
    static constexpr std::size_t kTogetherOfEach = 2;  // for each row that is wanted
    static constexpr std::size_t kWaiting = 8;         // times as many may wait

    // A place that may be near enough, not yet refined.
    struct Found {
        float lower;
        float sum;
        std::uint32_t probe;
        std::uint32_t place;

        friend bool operator<(const Found& a, const Found& b) { return a.lower < b.lower; }
    };

    void score(std::size_t i, std::size_t n, std::size_t p, std::size_t place, std::size_t places) {
        ListRun runs[Scorer::kTogether];
        BlockHits hits[Scorer::kTogether];
        for (std::size_t q = 0; q < n; ++q) {
            const std::size_t probe = (first_ + i + q) * probes_.nprobe + p;
            float* const est = est_.data() + q * blocks_ * kBlockRows;
            runs[q] = {place, places, probes_.add[probe], probes_.radius[probe], nearest_[i + q].gate()};
            hits[q] = {0, hit_blocks_.data() + q * blocks_, near_.data() + q * blocks_, est,
                       lower_.empty() ? est : lower_.data() + q * blocks_ * kBlockRows};
        }
        scorer_.score(queries_.data() + i, runs, n, hits);
        for (std::size_t q = 0; q < n; ++q) {
            nearest_[i + q].scanned += static_cast<std::int64_t>(places);
            for (std::size_t h = 0; h < hits[q].count; ++h) {
                const std::size_t first = hits[q].blocks[h] * kBlockRows;
                std::uint32_t left = hits[q].near[h];
                if (places - first < kBlockRows) left &= (std::uint32_t{1} << (places - first)) - 1;
                for (; left != 0; left &= left - 1) {
                    const auto row = static_cast<std::size_t>(std::countr_zero(left));
                    const std::size_t at = h * kBlockRows + row;
                    find(i + q, p, place + first + row, hits[q].est[at], hits[q].lower[at]);
                }
            }
        }
    }

    void find(std::size_t i, std::size_t p, std::size_t place, float est, float lower) {
        if (layout_.allowed != nullptr && !layout_.allows(layout_.rows[place])) return;
        if constexpr (Scorer::kRefines)
            waiting_[i].push_back({lower, est, static_cast<std::uint32_t>(p), static_cast<std::uint32_t>(place)});
        else if (lower < nearest_[i].gate())
            nearest_[i].add(layout_.rows[place], place, p, est, est - lower);
    }

    // Refines the nearest of what waits until at most `most` others do.
    void refine_until(std::size_t i, std::size_t most) {
        std::vector<Found>& waiting = waiting_[i];
        while (waiting.size() > most) {
            const std::size_t n = scorer_.has_lower() ? std::min(together_, waiting.size()) : waiting.size();
            const auto rest = waiting.begin() + static_cast<std::ptrdiff_t>(n);
            if (rest != waiting.end()) std::nth_element(waiting.begin(), rest, waiting.end());
            for (auto one = waiting.begin(); one != rest; ++one) scorer_.prefetch(one->place);
            for (auto one = waiting.begin(); one != rest; ++one)
                if (one->lower < nearest_[i].gate()) refine(i, *one);
            const float gate = nearest_[i].gate();
            waiting.erase(std::copy_if(rest, waiting.end(), waiting.begin(),
                                       [gate](const Found& one) { return one.lower < gate; }),
                          waiting.end());
        }
    }

    void refine(std::size_t i, const Found& one) {
        const std::size_t probe = (first_ + i) * probes_.nprobe + one.probe;
        ListNearest& nearest = nearest_[i];
        ++nearest.refined;
        const auto wanted = [&](float distance, float error) { return nearest.wants(distance, error); };
        if (const auto full =
                scorer_.refine(queries_[i], one.place, probes_.add[probe], probes_.radius[probe], one.sum, wanted))
            nearest.add(layout_.rows[one.place], one.place, one.probe, full->distance, full->error);
    }

    const Scorer& scorer_;
    const ListLayout& layout_;
    const ListProbes& probes_;
    std::size_t first_ = 0, count_ = 0;
    std::vector<typename Scorer::Query> queries_;
    std::vector<ListNearest> nearest_;
    std::size_t together_;
    std::vector<std::vector<Found>> waiting_;
    std::size_t blocks_;                            // of a run, and one more
    std::vector<std::uint32_t> hit_blocks_, near_;  // (kTogether, blocks_)
    std::vector<float> est_, lower_;                // (kTogether, blocks_, 32)
};

}  // namespace vecstore
