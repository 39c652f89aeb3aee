// The candidates of a walk, nearest first. A candidate is one number: the estimate's bits, made to sort as integers,
// above the row, above a bit that says whether its neighbours were looked at.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

namespace vecstore {

class GraphPool {
 public:
    using Key = std::uint64_t;

    static Key key(float estimate, std::uint32_t row) {
        std::uint32_t bits = std::bit_cast<std::uint32_t>(estimate + 0.0f);
        bits ^= (bits >> 31) != 0 ? 0xffffffffu : 0x80000000u;
        return static_cast<Key>(bits) << 32 | row << 1;
    }
    static std::uint32_t row(Key key) { return static_cast<std::uint32_t>(key) >> 1; }
    static float estimate(Key key) {
        std::uint32_t bits = static_cast<std::uint32_t>(key >> 32);
        bits ^= (bits >> 31) != 0 ? 0x80000000u : 0xffffffffu;
        return std::bit_cast<float>(bits);
    }

    void reset(std::size_t capacity) {
        capacity_ = capacity;
        keys_.resize(capacity + 1);
        size_ = cursor_ = 0;
        bound_ = std::numeric_limits<float>::infinity();
    }

    // Estimates from here on are refused.
    float bound() const { return bound_; }
    std::size_t size() const { return size_; }
    Key at(std::size_t i) const { return keys_[i]; }

    void insert(Key key) {
        std::size_t place = 0;
        for (std::size_t length = size_; length > 0;) {  // without branches to mispredict
            const std::size_t half = length / 2;
            const bool later = keys_[place + half] < key;
            place = later ? place + half + 1 : place;
            length = later ? length - half - 1 : half;
        }
        if (place == capacity_) return;
        size_ += size_ < capacity_;
        std::memmove(keys_.data() + place + 1, keys_.data() + place, (size_ - 1 - place) * sizeof(Key));
        keys_[place] = key;
        if (place < cursor_) cursor_ = place;
        if (size_ == capacity_) bound_ = estimate(keys_[size_ - 1]);
    }

    // The place of the nearest candidate that was not expanded, or size().
    std::size_t head() {
        while (cursor_ < size_ && (keys_[cursor_] & 1) != 0) ++cursor_;
        return cursor_;
    }
    std::uint32_t expand(std::size_t place) {
        keys_[place] |= 1;
        return row(keys_[place]);
    }

 private:
    std::vector<Key> keys_;
    std::size_t capacity_ = 0, size_ = 0, cursor_ = 0;
    float bound_ = 0;
};

}  // namespace vecstore
