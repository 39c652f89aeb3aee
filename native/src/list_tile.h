// Queries that go through lists together: what a run of places tells of each, which of its places are refined, and
// when.
#pragma once

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
};

// Of each place of a run; `lower` is `est` without lower bounds.
struct ListScores {
    float* est;
    float* lower;
};

template <class Scorer>
class ListTile {
 public:
    // At most `queries` at a time, and runs of at most `places`.
    ListTile(const Ops& ops, const Scorer& scorer, const ListLayout& layout, const ListProbes& probes,
             const ListOutput& output, std::size_t queries, std::size_t places)
        : ops_(ops),
          scorer_(scorer),
          layout_(layout),
          probes_(probes),
          queries_(queries),
          nearest_(queries, ListNearest(output.k, output.m, output.bounded)),
          lowest_(queries, KthSmallest(std::max(kFirst, kFirstOfEach * output.k))),
          stride_(places + kOutPadding),
          est_(std::min(queries, Scorer::kTogether) * stride_),
          lower_(est_.size()),
          positions_(stride_) {}

    // Queries first..first + count - 1 come.
    void begin(std::size_t first, std::size_t count) {
        first_ = first;
        count_ = count;
        scanned_ = 0;
        opening_ = Scorer::kRefines && scorer_.has_lower();
        for (std::size_t i = 0; i < count; ++i) {
            scorer_.prepare(first + i, queries_[i]);
            nearest_[i].reset();
            lowest_[i].clear();
        }
    }

    // The places of a run, in the list that each query probes as its p-th.
    void scan(std::size_t p, std::size_t place, std::size_t places) {
        for (std::size_t i = 0; i < count_; i += Scorer::kTogether)
            score(i, std::min(count_ - i, Scorer::kTogether), p, place, places);
        scanned_ += places;
        if (!opening_)
            settle_before();
        else if (scanned_ >= kOpeningPlaces)
            open();
    }

    void finish() {
        if (opening_) open();
        settle_before();
        settle_before();
        if constexpr (!Scorer::kRefines)
            for (std::size_t i = 0; i < count_; ++i)
                nearest_[i].finish([&](std::size_t place, std::size_t p) {
                    const std::size_t probe = (first_ + i) * probes_.nprobe + p;
                    return scorer_.finish(queries_[i], place, probes_.add[probe], probes_.radius[probe]);
                });
    }

    ListNearest& nearest(std::size_t i) { return nearest_[i]; }

 private:
    // Until a query has refined k rows nothing is known to be too far. So of the first places those of the least lower
    // bounds are refined first, and most of the others need not be.
    static constexpr std::size_t kOpeningPlaces = 1024;
    static constexpr std::size_t kFirst = 32;       // of them refined first, at least
    static constexpr std::size_t kFirstOfEach = 2;  // of them refined first, for each row that is wanted

    // A place that may be near enough, not yet refined.
    struct Found {
        std::uint32_t query;  // of the tile
        std::uint32_t probe;
        std::uint32_t place;
        float est;
        float lower;
    };

    void score(std::size_t i, std::size_t n, std::size_t p, std::size_t place, std::size_t places) {
        ListRun runs[Scorer::kTogether];
        ListScores scores[Scorer::kTogether];
        for (std::size_t q = 0; q < n; ++q) {
            const std::size_t probe = (first_ + i + q) * probes_.nprobe + p;
            float* const est = est_.data() + q * stride_;
            runs[q] = {place, places, probes_.add[probe], probes_.radius[probe]};
            scores[q] = {est, scorer_.has_lower() ? lower_.data() + q * stride_ : est};
        }
        scorer_.score(queries_.data() + i, runs, n, scores);
        for (std::size_t q = 0; q < n; ++q) {
            const auto [est, lower] = scores[q];
            nearest_[i + q].scanned += static_cast<std::int64_t>(places);
            const std::size_t found = ops_.below(lower, places, nearest_[i + q].gate(), positions_.data());
            for (std::size_t f = 0; f < found; ++f) {
                const std::size_t at = positions_[f];
                const Found one{static_cast<std::uint32_t>(i + q), static_cast<std::uint32_t>(p),
                                static_cast<std::uint32_t>(place + at), est[at], lower[at]};
                if constexpr (Scorer::kRefines) {
                    found_.push_back(one);
                    if (opening_) lowest_[i + q].add(lower[at]);
                } else {
                    take(one);
                }
            }
        }
    }

    void open() {
        opening_ = false;
        refine_if([&](const Found& one) { return one.lower <= lowest_[one.query].value(); });
        refine_if([&](const Found& one) { return one.lower > lowest_[one.query].value(); });
        found_.clear();
    }

    template <class Wanted>
    void refine_if(const Wanted& wanted) {
        for (const Found& one : found_)
            if (wanted(one) && one.lower < nearest_[one.query].gate()) before_.push_back(one);
        prefetch(before_);
        settle(before_);
    }

    // All together: misses then overlap.
    void prefetch(const std::vector<Found>& found) const {
        if constexpr (Scorer::kRefines)
            for (const Found& one : found) scorer_.prefetch(one.place);
    }

    // Goes on with what was found before the last run: by now the stage-two codes are in the cache.
    void settle_before() {
        prefetch(found_);
        settle(before_);
        std::swap(before_, found_);
    }

    void settle(std::vector<Found>& found) {
        for (const Found& one : found) take(one);
        found.clear();
    }

    // Each query takes its places in the order they were found in, and by its gate of that time.
    void take(const Found& one) {
        ListNearest& nearest = nearest_[one.query];
        if (!(one.lower < nearest.gate())) return;
        const std::uint32_t row = layout_.rows[one.place];
        if (!layout_.allows(row)) return;
        if constexpr (Scorer::kRefines) {
            const std::size_t probe = (first_ + one.query) * probes_.nprobe + one.probe;
            const Refined full =
                scorer_.refine(queries_[one.query], one.place, probes_.add[probe], probes_.radius[probe]);
            ++nearest.refined;
            nearest.add(row, one.place, one.probe, full.distance, full.error);
        } else {
            nearest.add(row, one.place, one.probe, one.est, one.est - one.lower);
        }
    }

    const Ops& ops_;
    const Scorer& scorer_;
    const ListLayout& layout_;
    const ListProbes& probes_;
    std::size_t first_ = 0, count_ = 0, scanned_ = 0;
    bool opening_ = false;
    std::vector<typename Scorer::Query> queries_;
    std::vector<ListNearest> nearest_;
    std::vector<KthSmallest> lowest_;  // of the lower bounds in the opening
    std::size_t stride_;
    std::vector<float> est_, lower_;  // (kTogether, stride)
    std::vector<std::uint32_t> positions_;
    std::vector<Found> found_, before_;  // in this run; what is to be refined next
};

}  // namespace vecstore
