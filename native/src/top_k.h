// The k nearest of a stream of (distance, row), for k from 1 to tens of thousands.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace vecstore {

struct Neighbour {
    float distance;
    std::int64_t row;

    friend bool operator<(const Neighbour& a, const Neighbour& b) {
        return a.distance != b.distance ? a.distance < b.distance : a.row < b.row;
    }
};

// Writes the k best of `items` in order to `places` places, filled up with -1 and +inf.
inline void write_nearest(std::vector<Neighbour>& items, std::size_t k, std::int64_t* rows, float* distances,
                          std::size_t places) {
    const std::size_t found = std::min(k, items.size());
    const auto end = items.begin() + static_cast<std::ptrdiff_t>(found);
    if (found < items.size()) std::nth_element(items.begin(), end, items.end());
    std::sort(items.begin(), end);
    for (std::size_t i = 0; i < places; ++i) {
        rows[i] = i < found ? items[i].row : -1;
        distances[i] = i < found ? items[i].distance : std::numeric_limits<float>::infinity();
    }
}

// Keeps a reservoir larger than k and cuts it back to the best k when it fills: O(1) amortised per kept candidate.
// Where rows come in ascending order, one that ties with the k-th distance is behind k others and need not be added;
// where they come in any order it has to be.
class TopK {
 public:
    explicit TopK(std::size_t k) : k_(k), capacity_(k + std::max<std::size_t>(k, 54)) {}

    // For another query.
    void clear() {
        items_.clear();
        bound_ = std::numeric_limits<float>::infinity();
        bounded_ = false;
    }

    // Until k are held every candidate counts, +inf included; then only those below bound().
    bool takes_all() const { return !bounded_; }
    float bound() const { return bound_; }

    void add(float distance, std::int64_t row) {
        // NaN (an overflow of both signs) ranks last, with +inf.
        if (!(distance <= std::numeric_limits<float>::infinity())) distance = std::numeric_limits<float>::infinity();
        items_.push_back({distance, row});
        if (items_.size() == capacity_) cut();
    }

    // Makes bound() the k-th distance so far, where k are held.
    void tighten() {
        if (items_.size() >= k_) cut();
    }

    // Takes over another stream's candidates; rows may come in any order here.
    void merge(const TopK& other) { items_.insert(items_.end(), other.items_.begin(), other.items_.end()); }

    // Writes the k best in order to `places` places, filled up with -1 and +inf.
    void finish(std::int64_t* rows, float* distances, std::size_t places) {
        write_nearest(items_, k_, rows, distances, places);
    }

 private:
    void cut() {
        const auto kth = items_.begin() + static_cast<std::ptrdiff_t>(k_) - 1;
        std::nth_element(items_.begin(), kth, items_.end());
        bound_ = kth->distance;
        bounded_ = true;
        items_.resize(k_);
    }

    std::size_t k_;
    std::size_t capacity_;
    float bound_ = std::numeric_limits<float>::infinity();
    bool bounded_ = false;
    std::vector<Neighbour> items_;
};

}  // namespace vecstore
