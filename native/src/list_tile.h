// Queries that go through lists together: what a run of places tells of each, which of its places are refined, and
// when.
#pragma once

#include <bit>
#include <limits>
#include <memory>

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
          soon_(Scorer::kRefines ? queries : 0),
          waiting_(Scorer::kRefines ? queries : 0),
          blocks_(places / kBlockRows + 1),
          hit_blocks_(std::min(queries, Scorer::kTogether) * blocks_),
          near_(hit_blocks_.size()),
          est_(std::make_unique_for_overwrite<float[]>(hit_blocks_.size() * kBlockRows)) {
        if (scorer.has_lower() || Scorer::kRefines)
            lower_ = std::make_unique_for_overwrite<float[]>(hit_blocks_.size() * kBlockRows);
    }

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
        if constexpr (Scorer::kRefines)
            for (std::size_t i = 0; i < count_; ++i) settle(i);
        for (std::size_t i = 0; i < count_; i += Scorer::kTogether)
            score(i, std::min(count_ - i, Scorer::kTogether), p, place, places);
    }

    void finish() {
        for (std::size_t i = 0; i < count_; ++i) {
            if constexpr (Scorer::kRefines) {
                settle(i, 1);
                refine_all(i, waiting_[i]);
            } else {
                nearest_[i].finish([&](std::size_t place, std::size_t p) {
                    const std::size_t probe = (first_ + i) * probes_.nprobe + p;
                    return scorer_.finish(queries_[i], place, probes_.add[probe], probes_.radius[probe]);
                });
            }
        }
    }

    ListNearest& nearest(std::size_t i) { return nearest_[i]; }

 private:
    // Few rows are near enough in the end, but nobody knows yet which. So of what is found only that is refined soon
    // whose estimate itself is near enough, and likely to say how near is; the others wait till the end, when most of
    // them are known to be too far.
    static constexpr std::size_t kTogether = 32;       // refined together, at least, to have a first bound
    static constexpr std::size_t kTogetherOfEach = 2;  // for each row that is wanted
    static constexpr std::size_t kFirst = 4;           // times as many are waited for before
    static constexpr std::size_t kWaiting = 64;        // times as many may wait
    static constexpr float kSure = 0.25F;              // of its bound's width that an estimate has to be within
    static constexpr std::size_t kSoon = 12;           // that many gather: memory gives them together sooner
    static constexpr std::size_t kAhead = 32;          // asked of memory before the first of them is refined

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
            float* const est = est_.get() + q * blocks_ * kBlockRows;
            runs[q] = {place, places, probes_.add[probe], probes_.radius[probe], nearest_[i + q].gate()};
            hits[q] = {0, hit_blocks_.data() + q * blocks_, near_.data() + q * blocks_, est,
                       lower_ ? lower_.get() + q * blocks_ * kBlockRows : est};
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
        const float gate = nearest_[i].gate();
        if constexpr (Scorer::kRefines) {
            const Found one{lower, est, static_cast<std::uint32_t>(p), static_cast<std::uint32_t>(place)};
            const std::size_t probe = (first_ + i) * probes_.nprobe + p;
            const auto near = [&] {
                const float distance = scorer_.estimate(place, probes_.add[probe], est);
                return distance + kSure * (distance - lower) < gate;
            };
            const bool soon = !scorer_.has_lower() || (gate < std::numeric_limits<float>::infinity() && near());
            (soon ? soon_ : waiting_)[i].push_back(one);
        } else if (lower < gate) {
            nearest_[i].add(layout_.rows[place], place, p, est, est - lower);
        }
    }

    // Refines what has gathered to be refined soon, and of what waits as much as a first bound takes.
    void settle(std::size_t i, std::size_t most = kSoon) {
        if (soon_[i].size() >= most) refine_all(i, soon_[i]);
        std::vector<Found>& waiting = waiting_[i];
        while (nearest_[i].gate() == std::numeric_limits<float>::infinity() && waiting.size() >= kFirst * together_)
            refine_least(i, together_);
        if (waiting.size() <= kWaiting * together_) return;
        drop_far(i);
        while (waiting.size() > kWaiting / 2 * together_) refine_least(i, waiting.size() / 8);
    }

    void refine_least(std::size_t i, std::size_t n) {
        std::vector<Found>& waiting = waiting_[i];
        const auto rest = waiting.end() - static_cast<std::ptrdiff_t>(n);
        std::nth_element(waiting.begin(), rest, waiting.end(), [](const Found& a, const Found& b) { return b < a; });
        std::vector<Found> least(rest, waiting.end());
        waiting.erase(rest, waiting.end());
        refine_all(i, least);
        drop_far(i);
    }

    void refine_all(std::size_t i, std::vector<Found>& found) {
        const auto near = [&](const Found& one) { return one.lower < nearest_[i].gate(); };
        std::size_t ahead[kAhead];
        for (std::size_t at = 0; at < found.size();) {
            std::size_t count = 0;
            for (; at < found.size() && count < kAhead; ++at) {
                if (!near(found[at])) continue;
                scorer_.prefetch(found[at].place);
                ahead[count++] = at;
            }
            for (std::size_t f = 0; f < count; ++f)
                if (near(found[ahead[f]])) refine(i, found[ahead[f]]);
        }
        found.clear();
    }

    void drop_far(std::size_t i) {
        std::erase_if(waiting_[i], [gate = nearest_[i].gate()](const Found& one) { return one.lower >= gate; });
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
    std::vector<std::vector<Found>> soon_, waiting_;
    std::size_t blocks_;                            // of a run, and one more
    std::vector<std::uint32_t> hit_blocks_, near_;  // (kTogether, blocks_)
    std::unique_ptr<float[]> est_, lower_;          // (kTogether, blocks_, 32)
};

}  // namespace vecstore
