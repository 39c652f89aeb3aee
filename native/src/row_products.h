// Scores of single rows by one query through a table of the query's indices: the same bits as RowScorer gives, sooner
// where the indices are small numbers and the query is short.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "half.h"
#include "sparse_query.h"

namespace vecstore {

class RowProducts {
 public:
    static constexpr std::size_t kTermsMax = 64;
    static constexpr std::uint32_t kIndexMax = 1 << 18;  // the table stays in the second-level cache

    static bool suits(const std::uint32_t* indices, std::size_t count) {
        return count <= kTermsMax && (count == 0 || indices[count - 1] < kIndexMax);
    }

    // Indices ascend, weights are finite (SparseQuery says so or throws).
    void open(const std::uint32_t* indices, const float* weights, std::size_t count) {
        table_.resize(std::size_t{kIndexMax}, 0);
        count_ = count;
        for (std::size_t i = 0; i < count; ++i) terms_[i] = {weights[i], indices[i]};
        std::sort(terms_, terms_ + count, [](const Term& a, const Term& b) {
            const float x = std::abs(a.weight), y = std::abs(b.weight);
            return x != y ? x > y : a.index < b.index;
        });
        for (std::size_t rank = 0; rank < count; ++rank)
            table_[terms_[rank].index] = static_cast<std::uint8_t>(rank + 1);
    }

    void close() {
        for (std::size_t rank = 0; rank < count_; ++rank) table_[terms_[rank].index] = 0;
    }

    // As RowScorer::distance. The row's offsets were checked.
    bool distance(const SparseView& rows, std::size_t row, float* distance) {
        const auto begin = static_cast<std::size_t>(rows.offsets[row]);
        const auto count = static_cast<std::size_t>(rows.offsets[row + 1]) - begin;
        const std::uint32_t* indices = rows.indices + begin;
        shared_.resize(std::max(shared_.size(), count + 1));
        std::size_t found = 0;
        for (std::size_t i = 0; i < count; ++i) {
            shared_[found] = static_cast<std::uint32_t>(i);
            found += indices[i] < kIndexMax && table_[indices[i]] != 0;
        }
        if (found == 0) return false;
        std::uint64_t held = 0;
        for (std::size_t s = 0; s < found; ++s) {
            const std::size_t i = shared_[s], rank = table_[indices[i]] - 1u;
            const float value = rows.half ? half_to_float(static_cast<const std::uint16_t*>(rows.values)[begin + i])
                                          : static_cast<const float*>(rows.values)[begin + i];
            products_[rank] = terms_[rank].weight * value;
            held |= std::uint64_t{1} << rank;
        }
        float sum = 0;
        for (; held != 0; held &= held - 1) sum += products_[std::countr_zero(held)];
        *distance = 0 - sum;  // never -0
        if (!(*distance <= std::numeric_limits<float>::infinity())) *distance = std::numeric_limits<float>::infinity();
        return true;
    }

 private:
    struct Term {
        float weight;
        std::uint32_t index;
    };

    std::vector<std::uint8_t> table_;  // by index: rank + 1
    std::vector<std::uint32_t> shared_;
    std::size_t count_ = 0;
    Term terms_[kTermsMax];  // by rank
    float products_[kTermsMax];
};

}  // namespace vecstore
