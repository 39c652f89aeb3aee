// A sparse query in the form that rows are scored by.
//
// Terms are ordered by descending weight, then ascending index, and a row's score is the float32 sum of its products in
// that order. It does not depend on which form of the rows is read, so scans and inverted lists give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vecstore {

struct SparseView {
    const std::int64_t* offsets;  // (n + 1,)
    const std::uint32_t* indices;
    const void* values;
    bool half;  // values are float16, not float32
    std::size_t n;
    std::size_t nnz;
};

// Throws std::invalid_argument for offsets of a row that leave the entries.
void check_row(const SparseView& rows, std::size_t row);

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

 private:
    struct Slot {
        std::uint32_t index;
        std::uint32_t rank;  // kNone: empty
    };

    std::size_t fill(std::uint32_t multiplier);

    std::vector<std::uint32_t> terms_;
    std::vector<float> weights_;
    std::vector<Slot> slots_;
    std::uint32_t multiplier_ = 0, shift_ = 0, mask_ = 0;
};

// Scores rows by one query; has room of its own, for one thread.
class RowScorer {
 public:
    RowScorer(const SparseView& rows, const float* norms) : rows_(rows), norms_(norms) {}

    // Whether the row shares an index with the query; then *distance is minus its score, +inf for NaN. Throws
    // std::invalid_argument for offsets that leave the entries.
    bool distance(const SparseQuery& query, std::size_t row, float* distance);

 private:
    template <class Value>
    void products(const SparseQuery& query, std::size_t begin, std::size_t end, const Value& value);

    SparseView rows_;
    const float* norms_;               // (n,): a value v counts as v / (v + norm); null: as it is
    std::vector<float> products_;      // by rank
    std::vector<std::uint64_t> held_;  // which ranks
};

}  // namespace vecstore
