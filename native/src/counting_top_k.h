// The k nearest of a stream of (small whole distance, row): a count of each distance keeps the bound exact at all
// times.
#pragma once

#include "top_k.h"

namespace vecstore {

// Rows may come in any order: candidates that tie with the k-th distance are kept, and the lower rows win at the end.
// When `ascending`, a tie that comes after k others has lost already.
class CountingTopK {
 public:
    CountingTopK(std::size_t k, std::size_t max_distance, bool ascending)
        : k_(k), ascending_(ascending), kth_(max_distance), counts_(max_distance + 1) {}

    bool takes_all() const { return !full(); }
    bool full() const { return within_ >= k_; }
    // The k-th distance when full, else the largest there is.
    std::size_t kth() const { return kth_; }
    // Only distances below this can matter.
    float bound() const { return static_cast<float>(ascending_ && full() ? kth_ : kth_ + 1); }

    void add(float distance, std::int64_t row) {
        items_.push_back({distance, row});
        ++counts_[static_cast<std::size_t>(distance)];
        ++within_;
        while (within_ - counts_[kth_] >= k_) within_ -= counts_[kth_--];
        if (items_.size() >= 2 * k_ + 64) cut();
    }

    void merge(const CountingTopK& other) {
        for (const Neighbour& item : other.items_)
            if (item.distance <= static_cast<float>(kth_)) add(item.distance, item.row);
    }

    // Writes the k best in order to `places` places, filled up with -1 and +inf.
    void finish(std::int64_t* rows, float* distances, std::size_t places) {
        write_nearest(items_, k_, rows, distances, places);
    }

 private:
    // Drops what lies behind the k best.
    void cut() {
        if (items_.size() <= k_) return;
        const auto end = items_.begin() + static_cast<std::ptrdiff_t>(k_);
        std::nth_element(items_.begin(), end, items_.end());
        for (auto item = end; item != items_.end(); ++item) {
            const auto distance = static_cast<std::size_t>(item->distance);
            --counts_[distance];
            if (distance <= kth_) --within_;
        }
        items_.resize(k_);
    }

    std::size_t k_;
    bool ascending_;
    std::size_t kth_;
    std::size_t within_ = 0;  // candidates at most kth_ away
    std::vector<std::uint32_t> counts_;
    std::vector<Neighbour> items_;
};

}  // namespace vecstore
