// A sparse query in the form that rows are scored by.
//
// Terms are ordered by descending weight, then ascending index, and a row's score is the float32 sum of its products in
// that order. It does not depend on which form of the rows is read, so scans and inverted lists give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "posting_ops.h"

namespace vecstore {

struct SparseView {
    const std::int64_t* offsets;  // (n + 1,)
    const std::uint32_t* indices;
    const void* values;
    bool half;  // values are float16, not float32
    std::size_t n;
    std::size_t nnz;
};

// A value v of row i counts as v / (v + (base + slope * lengths[i])): BM25, with k1 + 1 in the weights.
struct Saturation {
    const float* lengths;  // (n,)
    float base;
    float slope;

    float norm(std::size_t row) const { return base + slope * lengths[row]; }
};

// What an entry counts as, unrounded.
double exact_value(const SparseView& rows, const Saturation* saturation, std::size_t row, std::size_t entry);

// Throws std::invalid_argument for offsets of a row that leave the entries.
void check_row(const SparseView& rows, std::size_t row);

// Throws std::invalid_argument unless indices ascend strictly and weights are finite.
void check_query(const std::uint32_t* indices, const float* weights, std::size_t count);

class SparseQuery {
 public:
    static constexpr std::uint32_t kNone = 0xffffffffu;

    // Throws std::invalid_argument unless indices ascend strictly and weights are finite.
    SparseQuery(const std::uint32_t* indices, const float* weights, std::size_t count);

    std::size_t size() const { return terms_.size(); }
    const std::vector<std::uint32_t>& terms() const { return terms_; }  // by rank
    const std::vector<float>& weights() const { return weights_; }      // by rank

    // The rank of an index, or kNone.
    std::uint32_t rank(std::uint32_t index) const {
        for (std::uint32_t at = index * multiplier_ >> shift_;; at = (at + 1) & mask_) {
            const Slot slot = slots_[at];
            if (slot.rank == kNone || slot.index == index) return slot.rank;
        }
    }

    // Writes the places of indices that may be the query's, a few others among them, and returns how many. `places` has
    // room for `count` and kPlacePadding.
    std::size_t filter(const std::uint32_t* indices, std::size_t count, std::uint32_t* places) const;

 private:
    static constexpr std::size_t kFilterBits = 64;  // for each term, of a query that a small filter cannot hold

    struct Slot {
        std::uint32_t index;
        std::uint32_t rank;  // kNone: empty
    };

    std::size_t fill(std::uint32_t multiplier);

    std::vector<std::uint32_t> terms_;
    std::vector<float> weights_;
    std::vector<Slot> slots_;
    IndexFilter small_{};
    std::vector<std::uint64_t> filter_;  // instead of the small one
    std::uint32_t multiplier_ = 0, shift_ = 0, mask_ = 0, filter_shift_ = 0;
};

// Scores rows by one query; has room of its own, for one thread.
class RowScorer {
 public:
    RowScorer(const SparseView& rows, const Saturation* saturation) : rows_(rows), saturation_(saturation) {}

    // Whether the row shares an index with the query; then *distance is minus its score, +inf for NaN. Throws
    // std::invalid_argument for offsets that leave the entries.
    bool distance(const SparseQuery& query, std::size_t row, float* distance);

 private:
    template <class Value>
    void products(const SparseQuery& query, std::size_t begin, std::size_t end, const Value& value);

    SparseView rows_;
    const Saturation* saturation_;     // null: values count as they are
    std::vector<float> products_;      // by rank
    std::vector<std::uint64_t> held_;  // which ranks
    std::vector<std::uint32_t> places_;
};

}  // namespace vecstore
