// Rows that a search leaves open while it knows their distances only about.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <vector>

namespace vecstore {

// A row that may be among the nearest.
struct Open {
    double least;  // its distance is no smaller
    float about;   // by bytes
    std::uint32_t row;
};

// What one thread has seen for one query: rows that may be among the k nearest, and the k least of the largest
// distances that rows may have, and some more.
class Seen {
 public:
    static constexpr double kInfinity = std::numeric_limits<double>::infinity();

    explicit Seen(std::size_t k) : k_(k) {}

    void add(std::uint32_t row, float about, double slack) {
        const double least = about - slack, most = about + slack;
        if (least > bound_) return;
        open_.push_back({least, about, row});
        if (!(most < bound_)) return;
        farthest_.push_back(most);
        if (farthest_.size() >= 2 * k_ + kMore) cut();
    }

    // Of which nothing is known.
    void add(std::uint32_t row) { open_.push_back({-kInfinity, -std::numeric_limits<float>::infinity(), row}); }

    void merge(const Seen& other) {
        open_.insert(open_.end(), other.open_.begin(), other.open_.end());
        farthest_.insert(farthest_.end(), other.farthest_.begin(), other.farthest_.end());
    }

    // What is left of all rows.
    std::vector<Open>& rows() {
        cut();
        return open_;
    }

 private:
    static constexpr std::size_t kMore = 64;

    void cut() {
        if (k_ != 0 && farthest_.size() >= k_) {
            const auto kth = farthest_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
            std::nth_element(farthest_.begin(), kth, farthest_.end());
            bound_ = *kth;
            farthest_.resize(k_);
        }
        std::erase_if(open_, [&](const Open& one) { return one.least > bound_; });
    }

    std::size_t k_;
    double bound_ = kInfinity;
    std::vector<Open> open_;
    std::vector<double> farthest_;
};

}  // namespace vecstore
