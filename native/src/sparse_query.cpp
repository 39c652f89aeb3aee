#include "sparse_query.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

namespace vecstore {
namespace {

constexpr std::size_t kSlotsPerTerm = 8;
constexpr std::size_t kSmallTerms = 64;
constexpr std::size_t kLine = 64;
constexpr std::size_t kLongestProbe = 8;  // a multiplier that makes longer ones is not kept if another can be found
constexpr std::uint32_t kMultipliers[] = {0x9e3779b1u, 0x85ebca77u, 0xc2b2ae3du, 0x27d4eb2fu, 0x165667b1u, 0xd3a2646du};

}  // namespace

double exact_value(const SparseView& rows, const Saturation* saturation, std::size_t row, std::size_t entry) {
    const double value = rows.value(entry);
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

void prefetch_row(const SparseView& rows, std::size_t row) {
    const std::int64_t begin = rows.offsets[row], end = rows.offsets[row + 1];
    if (begin < 0 || end > static_cast<std::int64_t>(rows.nnz)) return;
    const auto from = static_cast<std::size_t>(begin), to = static_cast<std::size_t>(end);
    const std::size_t width = rows.kind == ValueKind::single ? 4 : rows.kind == ValueKind::half ? 2 : 1;
    const auto* values = static_cast<const std::uint8_t*>(rows.values);
    for (std::size_t at = from * width; at < to * width; at += kLine) __builtin_prefetch(values + at);
    if (rows.packed != nullptr) return rows.packed->prefetch(row, from, to);
    for (std::size_t i = from; i < to; i += kLine / sizeof(std::uint32_t)) __builtin_prefetch(rows.indices + i);
}

SparseQuery::SparseQuery(const std::uint32_t* indices, const float* weights, std::size_t count,
                         const PackedView* packed) {
    check_query(indices, weights, count);
    std::vector<std::size_t> order(count);
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::stable_sort(order.begin(), order.end(),
                     [&](std::size_t a, std::size_t b) { return std::abs(weights[a]) > std::abs(weights[b]); });
    for (const std::size_t i : order) {
        const auto rank = static_cast<std::uint32_t>(terms_.size());
        terms_.push_back(indices[i]);
        weights_.push_back(weights[i]);
        const std::size_t place = packed == nullptr ? indices[i] : packed->place_of(indices[i]);
        if (packed == nullptr || place < packed->nterms) keyed_.push_back({static_cast<std::uint32_t>(place), rank});
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
        for (const Slot& each : keyed_) small_.words[small_.bit(each.key) / 32] |= 1u << (small_.bit(each.key) % 32);
        return;
    }
    const std::size_t bits = std::bit_ceil(count * kFilterBits);
    filter_shift_ = static_cast<std::uint32_t>(32 - std::countr_zero(bits));
    filter_.assign(bits / 64, 0);
    for (const Slot& each : keyed_) {
        const std::uint32_t bit = each.key * multiplier_ >> filter_shift_;
        filter_[bit / 64] |= std::uint64_t{1} << (bit % 64);
    }
}

std::size_t SparseQuery::filter(const std::uint32_t* keys, std::size_t count, std::uint32_t* places) const {
    if (filter_.empty()) return current_posting_ops().filter(small_, keys, count, places);
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; ++i) {  // without a branch: what a row shares cannot be foretold
        const std::uint32_t bit = keys[i] * multiplier_ >> filter_shift_;
        places[found] = static_cast<std::uint32_t>(i);
        found += filter_[bit / 64] >> (bit % 64) & 1;
    }
    return found;
}

// Returns the longest way from a key to its slot.
std::size_t SparseQuery::fill(std::uint32_t multiplier) {
    multiplier_ = multiplier;
    slots_.assign(std::size_t{mask_} + 1, Slot{0, kNone});
    std::size_t longest = 0;
    for (const Slot& each : keyed_) {
        std::uint32_t at = each.key * multiplier >> shift_;
        std::size_t steps = 0;
        for (; slots_[at].rank != kNone; at = (at + 1) & mask_) ++steps;
        slots_[at] = each;
        longest = std::max(longest, steps);
    }
    return longest;
}

template <class Value>
void RowScorer::products(const SparseQuery& query, std::size_t row, const Value& value) {
    const auto begin = static_cast<std::size_t>(rows_.offsets[row]);
    const auto entries = static_cast<std::size_t>(rows_.offsets[row + 1]) - begin;
    if (places_.size() < entries + kPlacePadding) places_.resize(entries + kPlacePadding);
    const std::uint32_t* keys = rows_.keys(row, room_);
    const std::size_t count = query.filter(keys, entries, places_.data());
    for (std::size_t place = 0; place < count; ++place) {
        const std::uint32_t rank = query.rank(keys[places_[place]]);
        if (rank == SparseQuery::kNone) continue;
        products_[rank] = query.weights()[rank] * value(begin + places_[place]);
        held_[rank / 64] |= std::uint64_t{1} << (rank % 64);
    }
}

bool RowScorer::distance(const SparseQuery& query, std::size_t row, float* distance) {
    check_row(rows_, row);
    if (products_.size() < query.size()) products_.resize(query.size());
    held_.assign((query.size() + 63) / 64, 0);
    if (saturation_ == nullptr) {
        products(query, row, [&](std::size_t i) { return rows_.value(i); });
    } else {
        const float norm = saturation_->norm(row);
        products(query, row, [&](std::size_t i) {
            const float v = rows_.value(i);
            return v / (v + norm);
        });
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
