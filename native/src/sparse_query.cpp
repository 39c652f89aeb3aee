#include "sparse_query.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

#include "half.h"

namespace vecstore {
namespace {

constexpr std::size_t kSlotsPerTerm = 8;
constexpr std::size_t kSmallTerms = 64;
constexpr std::size_t kLongestProbe = 8;  // a multiplier that makes longer ones is not kept if another can be found
constexpr std::uint32_t kMultipliers[] = {0x9e3779b1u, 0x85ebca77u, 0xc2b2ae3du, 0x27d4eb2fu, 0x165667b1u, 0xd3a2646du};

}  // namespace

double exact_value(const SparseView& rows, const Saturation* saturation, std::size_t row, std::size_t entry) {
    const double value = rows.half ? half_to_float(static_cast<const std::uint16_t*>(rows.values)[entry])
                                   : static_cast<const float*>(rows.values)[entry];
    if (saturation == nullptr) return value;
    const double norm = static_cast<double>(saturation->base) +
                        static_cast<double>(saturation->slope) * static_cast<double>(saturation->lengths[row]);
    return value / (value + norm);
}

void check_row(const SparseView& rows, std::size_t row) {
    const std::int64_t begin = rows.offsets[row], end = rows.offsets[row + 1];
    if (begin < 0 || begin > end || end > static_cast<std::int64_t>(rows.nnz))
        throw std::invalid_argument("offsets of row " + std::to_string(row) + " are " + std::to_string(begin) +
                                    " and " + std::to_string(end) + ", there are " + std::to_string(rows.nnz) +
                                    " entries");
}

void check_query(const std::uint32_t* indices, const float* weights, std::size_t count) {
    for (std::size_t i = 0; i < count; ++i) {
        if (i > 0 && indices[i] <= indices[i - 1])
            throw std::invalid_argument("a query's indices must ascend: " + std::to_string(indices[i]) + " follows " +
                                        std::to_string(indices[i - 1]));
        if (!std::isfinite(weights[i])) throw std::invalid_argument("a query's weights must be finite");
    }
}

SparseQuery::SparseQuery(const std::uint32_t* indices, const float* weights, std::size_t count) {
    check_query(indices, weights, count);
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return std::abs(weights[a]) > std::abs(weights[b]); });
    for (const std::size_t i : order) {
        terms_.push_back(indices[i]);
        weights_.push_back(weights[i]);
    }
    const std::size_t slots = std::bit_ceil(std::max<std::size_t>(count * kSlotsPerTerm, 64));
    mask_ = static_cast<std::uint32_t>(slots - 1);
    shift_ = static_cast<std::uint32_t>(32 - std::countr_zero(slots));
    std::uint32_t best = kMultipliers[0];
    std::size_t shortest = std::numeric_limits<std::size_t>::max();
    for (const std::uint32_t multiplier : kMultipliers) {
        const std::size_t longest = fill(multiplier);
        if (longest < shortest) {
            shortest = longest;
            best = multiplier;
        }
        if (shortest <= kLongestProbe) break;
    }
    if (multiplier_ != best) fill(best);
    small_.multiplier = multiplier_;
    if (count <= kSmallTerms) {
        for (const std::uint32_t term : terms_) small_.words[small_.bit(term) / 32] |= 1u << (small_.bit(term) % 32);
        return;
    }
    const std::size_t bits = std::bit_ceil(count * kFilterBits);
    filter_shift_ = static_cast<std::uint32_t>(32 - std::countr_zero(bits));
    filter_.assign(bits / 64, 0);
    for (const std::uint32_t term : terms_) {
        const std::uint32_t bit = term * multiplier_ >> filter_shift_;
        filter_[bit / 64] |= std::uint64_t{1} << (bit % 64);
    }
}

std::size_t SparseQuery::filter(const std::uint32_t* indices, std::size_t count, std::uint32_t* places) const {
    if (filter_.empty()) return current_posting_ops().filter(small_, indices, count, places);
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; ++i) {  // without a branch: what a row shares cannot be foretold
        const std::uint32_t bit = indices[i] * multiplier_ >> filter_shift_;
        places[found] = static_cast<std::uint32_t>(i);
        found += filter_[bit / 64] >> (bit % 64) & 1;
    }
    return found;
}

// Returns the longest way from an index to its slot.
std::size_t SparseQuery::fill(std::uint32_t multiplier) {
    multiplier_ = multiplier;
    slots_.assign(std::size_t{mask_} + 1, Slot{0, kNone});
    std::size_t longest = 0;
    for (std::uint32_t rank = 0; rank < terms_.size(); ++rank) {
        std::uint32_t at = terms_[rank] * multiplier >> shift_;
        std::size_t steps = 0;
        for (; slots_[at].rank != kNone; at = (at + 1) & mask_) ++steps;
        slots_[at] = {terms_[rank], rank};
        longest = std::max(longest, steps);
    }
    return longest;
}

template <class Value>
void RowScorer::products(const SparseQuery& query, std::size_t begin, std::size_t end, const Value& value) {
    if (places_.size() < end - begin + kPlacePadding) places_.resize(end - begin + kPlacePadding);
    const std::size_t count = query.filter(rows_.indices + begin, end - begin, places_.data());
    for (std::size_t place = 0; place < count; ++place) {
        const std::size_t i = begin + places_[place];
        const std::uint32_t rank = query.rank(rows_.indices[i]);
        if (rank == SparseQuery::kNone) continue;
        products_[rank] = query.weights()[rank] * value(i);
        held_[rank / 64] |= std::uint64_t{1} << (rank % 64);
    }
}

bool RowScorer::distance(const SparseQuery& query, std::size_t row, float* distance) {
    check_row(rows_, row);
    if (products_.size() < query.size()) products_.resize(query.size());
    held_.assign((query.size() + 63) / 64, 0);
    const auto first = static_cast<std::size_t>(rows_.offsets[row]);
    const auto last = static_cast<std::size_t>(rows_.offsets[row + 1]);
    const auto each = [&](const auto& value) {
        if (saturation_ == nullptr) return products(query, first, last, value);
        const float norm = saturation_->norm(row);
        products(query, first, last, [&](std::size_t i) {
            const float v = value(i);
            return v / (v + norm);
        });
    };
    if (rows_.half) {
        const auto* halves = static_cast<const std::uint16_t*>(rows_.values);
        each([=](std::size_t i) { return half_to_float(halves[i]); });
    } else {
        const auto* floats = static_cast<const float*>(rows_.values);
        each([=](std::size_t i) { return floats[i]; });
    }
    float sum = 0;
    bool matched = false;
    for (std::size_t word = 0; word < held_.size(); ++word) {
        for (std::uint64_t bits = held_[word]; bits != 0; bits &= bits - 1) {
            sum += products_[word * 64 + static_cast<std::size_t>(std::countr_zero(bits))];
            matched = true;
        }
    }
    *distance = 0 - sum;  // never -0
    if (!(*distance <= std::numeric_limits<float>::infinity())) *distance = std::numeric_limits<float>::infinity();
    return matched;
}

}  // namespace vecstore
