// A sparse query in the form that rows are scored by.
//
// Terms are ordered by descending weight, then ascending index, and a row's score is the float32 sum of its products in
// that order. It does not depend on which form of the rows is read, so scans and inverted lists give the same bits.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "half.h"
#include "packed_rows.h"
#include "posting_ops.h"

namespace vecstore {

enum class ValueKind { single, half, byte };

struct SparseView {
    const std::int64_t* offsets;   // (n + 1,)
    const std::uint32_t* indices;  // null where `packed` has them
    const void* values;
    ValueKind kind;
    std::size_t n;
    std::size_t nnz;
    const PackedView* packed = nullptr;

    float value(std::size_t entry) const {
        if (kind == ValueKind::half) return half_to_float(static_cast<const std::uint16_t*>(values)[entry]);
        if (kind == ValueKind::single) return static_cast<const float*>(values)[entry];
        return static_cast<float>(static_cast<const std::uint8_t*>(values)[entry]) * packed->step;
    }

    // Indices, or where they are packed places, of the entries of a row that was checked. `room` may be used.
    const std::uint32_t* keys(std::size_t row, std::vector<std::uint32_t>& room) const {
        const auto begin = static_cast<std::size_t>(offsets[row]), end = static_cast<std::size_t>(offsets[row + 1]);
        if (packed == nullptr) return indices + begin;
        if (room.size() < end - begin + kUnpackPadding) room.resize(end - begin + kUnpackPadding);
        return packed->places(row, begin, end, room.data());
    }
};

// Asks for a row's entries; where a row stands has to be there.
void prefetch_row(const SparseView& rows, std::size_t row);

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

    // For rows whose keys are indices, or places in `packed`. Throws std::invalid_argument unless indices ascend
    // strictly and weights are finite.
    SparseQuery(const std::uint32_t* indices, const float* weights, std::size_t count, const PackedView* packed);

    std::size_t size() const { return terms_.size(); }
    const std::vector<std::uint32_t>& terms() const { return terms_; }  // by rank
    const std::vector<float>& weights() const { return weights_; }      // by rank

    // The rank of a key, or kNone.
    std::uint32_t rank(std::uint32_t key) const {
        for (std::uint32_t at = key * multiplier_ >> shift_;; at = (at + 1) & mask_) {
            const Slot slot = slots_[at];
            if (slot.rank == kNone || slot.key == key) return slot.rank;
        }
    }

    // Writes the places of keys that may be the query's, a few others among them, and returns how many. `places` has
    // room for `count` and kPlacePadding.
    std::size_t filter(const std::uint32_t* keys, std::size_t count, std::uint32_t* places) const;

 private:
    static constexpr std::size_t kFilterBits = 64;  // for each term, of a query that a small filter cannot hold

    struct Slot {
        std::uint32_t key;
        std::uint32_t rank;  // kNone: empty
    };

    std::size_t fill(std::uint32_t multiplier);

    std::vector<std::uint32_t> terms_;
    std::vector<float> weights_;
    std::vector<Slot> keyed_;  // the terms that rows can have
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
    void products(const SparseQuery& query, std::size_t row, const Value& value);

    SparseView rows_;
    const Saturation* saturation_;     // null: values count as they are
    std::vector<float> products_;      // by rank
    std::vector<std::uint64_t> held_;  // which ranks
    std::vector<std::uint32_t> places_, room_;
};

}  // namespace vecstore
