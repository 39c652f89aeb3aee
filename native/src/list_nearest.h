// The candidates of one query over lists: the m nearest, or with error bounds those that may be among the k nearest.
//
// Rows come in no order, so equal distances are told apart by row throughout.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "distance_key.h"

namespace vecstore {

struct Refined {
    float distance;
    float error;  // how far off it may be; 0 without bounds
};

// The k-th smallest of a stream, up to date after every value.
class KthSmallest {
 public:
    explicit KthSmallest(std::size_t k) : k_(k) {}

    void clear() { heap_.clear(); }

    float value() const { return heap_.size() < k_ ? std::numeric_limits<float>::infinity() : heap_.front(); }

    void add(float x) {
        if (heap_.size() == k_) {
            if (!(x < heap_.front())) return;
            std::pop_heap(heap_.begin(), heap_.end());
            heap_.back() = x;
        } else {
            heap_.push_back(x);
        }
        std::push_heap(heap_.begin(), heap_.end());
    }

 private:
    std::size_t k_;
    std::vector<float> heap_;
};

class ListNearest {
 public:
    // `rough`: distances are estimates that finish() replaces. They may change places, so that more than m are kept.
    ListNearest(std::size_t k, std::size_t m, bool bounded, bool rough)
        : m_(m), keep_(rough ? m + m / 4 + 16 : m), bounded_(bounded), upper_(std::max<std::size_t>(k, 1)) {}

    // A row whose lower bound (or estimate) is not below this cannot matter.
    float gate() const { return gate_; }

    // Whether a row at this distance or farther, give or take the error, may be one of them.
    bool wants(float distance, float error) const {
        return items_.size() < keep_ || !(distance > items_.front().distance()) ||
               (bounded_ && distance + error < upper_.value());
    }

    void reset() {
        items_.clear();
        upper_.clear();
        gate_ = std::numeric_limits<float>::infinity();
        scanned = refined = 0;
    }

    void add(std::uint32_t row, std::size_t place, std::size_t probe, float distance, float error) {
        if (!(distance <= std::numeric_limits<float>::infinity())) distance = std::numeric_limits<float>::infinity();
        const Item item(distance, error, row, static_cast<std::uint32_t>(place), static_cast<std::uint32_t>(probe));
        if (bounded_) {
            upper_.add(distance + error);
            gate_ = just_above(upper_.value());
        }
        keep(item);
        if (!bounded_ && items_.size() == keep_) gate_ = just_above(items_.front().distance());
    }

    // Replaces the estimates of what is left by better ones: better(place, probe) -> Refined.
    template <class Better>
    void finish(const Better& better) {
        if (bounded_) drop_above(upper_.value());
        upper_.clear();
        for (Item& item : items_) {
            const Refined refined = better(item.place, item.probe);
            item = Item(refined.distance, refined.error, item.row(), item.place, item.probe);
            if (bounded_) upper_.add(refined.distance + refined.error);
        }
    }

    void merge(const ListNearest& other) {
        scanned += other.scanned;
        refined += other.refined;
        for (const Item& item : other.items_) {
            items_.push_back(item);
            if (bounded_) upper_.add(item.distance() + item.error);
        }
    }

    void write(std::int64_t* rows, float* distances, std::int64_t* counters) {
        if (bounded_) drop_above(upper_.value());
        counters[0] = scanned;
        counters[1] = refined;
        counters[2] = static_cast<std::int64_t>(items_.size());
        const std::size_t found = std::min(m_, items_.size());
        const auto end = items_.begin() + static_cast<std::ptrdiff_t>(found);
        if (found < items_.size()) std::nth_element(items_.begin(), end, items_.end());
        std::sort(items_.begin(), end);
        for (std::size_t i = 0; i < m_; ++i) {
            rows[i] = i < found ? static_cast<std::int64_t>(items_[i].row()) : -1;
            distances[i] = i < found ? items_[i].distance() : std::numeric_limits<float>::infinity();
        }
    }

    std::int64_t scanned = 0;
    std::int64_t refined = 0;

 private:
    // Ordered by `key`, which a heap of unpredictable values spends its time on.
    struct Item {
        std::uint64_t key;
        float error;
        std::uint32_t place;
        std::uint32_t probe;

        Item(float distance, float error, std::uint32_t row, std::uint32_t place, std::uint32_t probe)
            : key(distance_key(distance + 0.0f, row)), error(error), place(place), probe(probe) {}

        float distance() const { return key_distance(key); }
        std::uint32_t row() const { return key_row(key); }

        friend bool operator<(const Item& a, const Item& b) { return a.key < b.key; }
    };

    static float just_above(float x) {
        return x == std::numeric_limits<float>::infinity() ? x
                                                           : std::nextafter(x, std::numeric_limits<float>::infinity());
    }

    void drop_above(float bound) {
        std::erase_if(items_, [bound](const Item& item) { return item.distance() - item.error > bound; });
    }

    // The best `keep_` in a heap, the worst on top.
    void keep(const Item& item) {
        if (items_.size() < keep_) {
            items_.push_back(item);
            if (items_.size() == keep_) std::make_heap(items_.begin(), items_.end());
        } else if (item < items_.front()) {
            replace_top(item);
        }
    }

    void replace_top(const Item& item) {
        Item* const heap = items_.data();
        const std::size_t n = items_.size();
        std::size_t at = 0;
        std::size_t child = 1;
        for (; child + 1 < n; child = 2 * at + 1) {
            child += static_cast<std::size_t>(heap[child].key < heap[child + 1].key);
            if (heap[child].key <= item.key) break;
            heap[at] = heap[child];
            at = child;
        }
        if (child + 1 == n && item.key < heap[child].key) {
            heap[at] = heap[child];
            at = child;
        }
        heap[at] = item;
    }

    std::size_t m_;
    std::size_t keep_;
    bool bounded_;
    float gate_ = std::numeric_limits<float>::infinity();
    KthSmallest upper_;
    std::vector<Item> items_;
};

}  // namespace vecstore
