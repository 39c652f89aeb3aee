// Scores of single rows by one query through a table of the query's keys: the same bits as RowScorer gives, sooner
// where the keys are small numbers and the query is short.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "sparse_query.h"

namespace vecstore {

class RowProducts {
 public:
    static constexpr std::size_t kTermsMax = 64;
    static constexpr std::uint32_t kIndexMax = 1 << 18;  // the table stays in the second-level cache

    static bool suits(const SparseView& rows, const std::uint32_t* indices, std::size_t count) {
        if (count > kTermsMax) return false;
        if (rows.packed != nullptr) return rows.packed->nterms <= kIndexMax;
        return count == 0 || indices[count - 1] < kIndexMax;
    }

    // Indices ascend, weights are finite (SparseQuery says so or throws).
    void open(const SparseView& rows, const std::uint32_t* indices, const float* weights, std::size_t count) {
        table_.resize(std::size_t{kIndexMax}, 0);
        count_ = count;
        for (std::size_t i = 0; i < count; ++i) terms_[i] = {weights[i], indices[i]};
        std::sort(terms_, terms_ + count, [](const Term& a, const Term& b) {
            const float x = std::abs(a.weight), y = std::abs(b.weight);
            return x != y ? x > y : a.index < b.index;
        });
        for (std::size_t rank = 0; rank < count; ++rank) {
            std::size_t key = terms_[rank].index;
            if (rows.packed != nullptr && (key = rows.packed->place_of(terms_[rank].index)) == rows.packed->nterms) {
                keys_[rank] = kIndexMax;  // no row has it
                continue;
            }
            keys_[rank] = static_cast<std::uint32_t>(key);
            table_[key] = static_cast<std::uint8_t>(rank + 1);
        }
    }

    void close() {
        for (std::size_t rank = 0; rank < count_; ++rank)
            if (keys_[rank] < kIndexMax) table_[keys_[rank]] = 0;
    }

    // As RowScorer::distance. The row's offsets were checked.
    bool distance(const SparseView& rows, std::size_t row, float* distance) {
        const auto begin = static_cast<std::size_t>(rows.offsets[row]);
        const auto count = static_cast<std::size_t>(rows.offsets[row + 1]) - begin;
        const std::uint32_t* keys = rows.keys(row, room_);
        shared_.resize(std::max(shared_.size(), count + 1));
        std::size_t found = 0;
        for (std::size_t i = 0; i < count; ++i) {
            shared_[found] = static_cast<std::uint32_t>(i);
            found += keys[i] < kIndexMax && table_[keys[i]] != 0;
        }
        if (found == 0) return false;
        std::uint64_t held = 0;
        for (std::size_t s = 0; s < found; ++s) {
            const std::size_t i = shared_[s], rank = table_[keys[i]] - 1u;
            products_[rank] = terms_[rank].weight * rows.value(begin + i);
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

    std::vector<std::uint8_t> table_;  // by key: rank + 1
    std::vector<std::uint32_t> shared_, room_;
    std::uint32_t keys_[kTermsMax];  // by rank
    std::size_t count_ = 0;
    Term terms_[kTermsMax];  // by rank
    float products_[kTermsMax];
};

}  // namespace vecstore
