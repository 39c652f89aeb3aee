// The candidates of a walk, nearest first.
#pragma once

#include <cstdint>
#include <vector>

#include "graph_ops.h"
#include "graph_scalar.h"

namespace vecstore {

class GraphPool {
 public:
    static std::uint32_t row(CandidateKey key) { return static_cast<std::uint32_t>(key) >> 1; }

    void reset(std::size_t capacity) {
        capacity_ = capacity;
        keys_.resize(capacity + kKeyPadding);
        size_ = cursor_ = 0;
    }

    std::size_t size() const { return size_; }
    CandidateKey at(std::size_t i) const { return keys_[i]; }

    // Returns how many were taken.
    std::size_t offer(const GraphOps& ops, const float* estimates, const std::uint32_t* rows, std::size_t count) {
        const Offered offered = ops.offer(keys_.data(), &size_, capacity_, estimates, rows, count);
        if (offered.first < cursor_) cursor_ = offered.first;
        return offered.taken;
    }

    void cut(std::size_t size) {
        size_ = size;
        if (cursor_ > size) cursor_ = size;
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
    std::vector<CandidateKey> keys_;
    std::size_t capacity_ = 0, size_ = 0, cursor_ = 0;
};

}  // namespace vecstore
