#include "window_query.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <utility>

#include "stop.h"

namespace vecstore {
namespace {

constexpr std::size_t kBlockRows = 4096;  // rows whose sums stay in the first-level cache for all dense lists
// What things cost, in postings added up.
constexpr std::size_t kDensePerPosting = 16;  // codes of a dense list
constexpr std::size_t kRowsPerPosting = 8;    // sums cleared and looked at
constexpr std::size_t kWalked = 3;            // a posting whose sum is looked at by way of its list
constexpr std::size_t kAhead = 8;             // rows fetched before they are scored
constexpr std::size_t kLineEntries = 16;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Scratch {
    std::vector<std::uint16_t> sums = std::vector<std::uint16_t>(kWindowRows);
    bool clear = true;  // all sums are 0
    std::vector<std::uint16_t> best;
    std::vector<std::uint32_t> rows;  // to be scored
    std::vector<std::pair<std::uint32_t, std::uint16_t>> touched;
    WindowPlan plan;
};

Scratch& scratch() {
    thread_local Scratch mine;
    return mine;
}

void keep_largest(std::vector<std::uint16_t>& sums, std::size_t k) {
    const auto kth = sums.begin() + static_cast<std::ptrdiff_t>(k) - 1;
    std::nth_element(sums.begin(), kth, sums.end(), std::greater<>());
    sums.resize(k);
}

}  // namespace

void WindowQuery::score(std::size_t row) {
    float distance;
    if (!scorer_.distance(query_, row, &distance)) return;
    if (nearest_.takes_all() || distance < nearest_.bound()) nearest_.add(distance, static_cast<std::int64_t>(row));
}

void WindowQuery::rows(std::size_t first, std::size_t last) {
    if (first >= last) return;
    StopPoll poll;
    for (std::size_t word = first / 64; word * 64 < last; ++word) {
        std::uint64_t bits = allowed_word(word);
        poll(static_cast<std::size_t>(std::popcount(bits)) * cost_of_row() * sizeof(std::uint64_t));
        if (last - word * 64 < 64) bits &= (std::uint64_t{1} << (last - word * 64)) - 1;
        counters_[1] += std::popcount(bits);
        for (; bits != 0; bits &= bits - 1) score(word * 64 + static_cast<std::size_t>(std::countr_zero(bits)));
    }
}

// Of scoring one row by itself.
std::size_t WindowQuery::cost_of_row() const {
    return index_.rows.nnz / std::max<std::size_t>(index_.rows.n, 1) + kLineEntries;
}

// The least sum by which a row of this window can be nearer than the k-th of those found; 0 where there are fewer.
double WindowQuery::from_nearest(const WindowPlan& plan) const {
    if (nearest_.takes_all() || !(nearest_.bound() < kInfinity)) return 0;
    return plan.start - static_cast<double>(nearest_.bound()) * plan.unit - plan.below - plan.rounding;
}

// The least sum that a row among the k nearest can have. `best` holds sums of rows that are answers, among them the k
// largest.
double WindowQuery::lowest(const WindowPlan& plan, std::vector<std::uint16_t>& best) const {
    double found = std::max(plan.below > 0 ? 0.0 : 1.0, from_nearest(plan));
    if (best.size() >= k_) {
        keep_largest(best, k_);
        const double kth = static_cast<double>(best[k_ - 1]) - plan.start;
        found = std::max(found, plan.start + (kth - plan.above) / plan.spread - plan.below - plan.rounding);
    }
    return std::min(std::floor(found), 65535.0);
}

void WindowQuery::score_candidates() {
    const std::vector<std::uint32_t>& rows = scratch().rows;
    const std::size_t count = rows.size();
    counters_[1] += static_cast<std::int64_t>(count);
    // Where a row stands has to be there before the row can be fetched.
    for (std::size_t i = 0; i < count + 2 * kAhead; ++i) {
        if (i < count) {
            __builtin_prefetch(index_.rows.offsets + rows[i]);
            if (index_.rows.packed != nullptr) __builtin_prefetch(index_.rows.packed->starts + rows[i]);
        }
        if (i >= kAhead && i - kAhead < count) prefetch_row(index_.rows, rows[i - kAhead]);
        if (i >= 2 * kAhead) score(rows[i - 2 * kAhead]);
    }
}

// Adds up the first `essential` lists, none of them dense, and looks at the sums of their rows only. The others'
// largest contributions together are `left_out`.
void WindowQuery::walk(const WindowPlan& plan, std::size_t essential, double left_out, const WindowView& window) {
    const PostingOps& ops = current_posting_ops();
    Scratch& room = scratch();
    if (!room.clear) std::fill(room.sums.begin(), room.sums.end(), std::uint16_t{0});
    room.clear = true;
    for (std::size_t i = 0; i < essential; ++i) {
        const PostingList& list = plan.parts[i].list;
        ops.add_list(room.sums.data(), list.ids, list.codes, list.count, plan.parts[i].weight);
        counters_[0] += static_cast<std::int64_t>(list.count);
    }
    room.best.clear();
    room.rows.clear();
    room.touched.clear();
    for (std::size_t i = 0; i < essential; ++i) {
        const PostingList& list = plan.parts[i].list;
        for (std::size_t j = 0; j < list.count; ++j) {
            const std::uint16_t sum = std::exchange(room.sums[list.ids[j]], std::uint16_t{0});
            const std::size_t row = window.first_row + list.ids[j];
            if (sum == 0 || row >= index_.rows.n || (allowed_word(row / 64) >> (row % 64) & 1) == 0) continue;
            room.touched.push_back({static_cast<std::uint32_t>(row), sum});
            room.best.push_back(sum);
        }
    }
    const double bound = lowest(plan, room.best) - left_out;
    for (const auto& [row, sum] : room.touched)
        if (sum >= bound) room.rows.push_back(row);
    std::sort(room.rows.begin(), room.rows.end());
    score_candidates();
}

void WindowQuery::add_up(const WindowPlan& plan, std::size_t padded) {
    const PostingOps& ops = current_posting_ops();
    std::uint16_t* sums = scratch().sums.data();
    scratch().clear = false;
    for (std::size_t begin = 0; begin < padded; begin += kBlockRows) {
        const std::size_t count = std::min(kBlockRows, padded - begin);
        std::fill_n(sums + begin, count, plan.start);
        for (const WindowPlan::Part& part : plan.parts)
            if (part.list.ids == nullptr) ops.add_dense(sums + begin, part.list.codes + begin, count, part.weight);
    }
    for (const WindowPlan::Part& part : plan.parts) {
        if (part.list.ids != nullptr) ops.add_list(sums, part.list.ids, part.list.codes, part.list.count, part.weight);
        counters_[0] += static_cast<std::int64_t>(part.list.count);
    }
}

void WindowQuery::look_at_all(const WindowPlan& plan, const WindowView& window) {
    const PostingOps& ops = current_posting_ops();
    const std::size_t first = window.first_row, last = std::min(first + window.n, index_.rows.n);
    Scratch& room = scratch();
    add_up(plan, window.padded());
    room.best.clear();
    // Above `start` a row was touched for certain; at it, only where contributions were taken away as well.
    std::uint32_t above = std::max(plan.start + 1u, static_cast<std::uint32_t>(std::max(0.0, from_nearest(plan))));
    for (std::size_t word = first / 64; word * 64 < last && above <= 0xffff; ++word) {
        const std::uint16_t* sums = room.sums.data() + word * 64 - first;
        std::uint64_t bits = ops.at_least(sums, static_cast<std::uint16_t>(above)) & allowed_word(word);
        for (; bits != 0; bits &= bits - 1) room.best.push_back(sums[std::countr_zero(bits)]);
        if (room.best.size() >= 2 * k_ + 64) {
            keep_largest(room.best, k_);
            above = std::max(above, room.best[k_ - 1] + 1u);
        }
    }
    const auto bound = static_cast<std::uint16_t>(lowest(plan, room.best));
    room.rows.clear();
    for (std::size_t word = first / 64; word * 64 < last; ++word) {
        std::uint64_t bits = ops.at_least(room.sums.data() + word * 64 - first, bound) & allowed_word(word);
        for (; bits != 0; bits &= bits - 1)
            room.rows.push_back(static_cast<std::uint32_t>(word * 64) +
                                static_cast<std::uint32_t>(std::countr_zero(bits)));
    }
    score_candidates();
}

void WindowQuery::window(const WindowView& window) {
    const std::size_t first = window.first_row, last = std::min(first + window.n, index_.rows.n);
    if (first >= last) return;
    WindowPlan& plan = scratch().plan;
    if (!plan.make(window, query_, index_.saturation)) return rows(first, last);
    nearest_.tighten();
    if (plan.parts.empty() || (!nearest_.takes_all() && -plan.most > static_cast<double>(nearest_.bound()))) {
        ++counters_[2];
        return;
    }
    std::size_t all = window.padded() / kRowsPerPosting, sparse = 0;
    bool dense = false;
    for (const WindowPlan::Part& part : plan.parts) {
        const bool here = part.list.ids == nullptr;
        dense |= here;
        all += here ? part.list.count / kDensePerPosting : part.list.count;
        if (!here) sparse += part.list.count;
    }
    if (index_.allowed != nullptr) {
        std::size_t count = 0;
        for (std::size_t word = first / 64; word * 64 < last; ++word) count += std::popcount(allowed_word(word));
        if (count * cost_of_row() < all) return rows(first, last);
    }
    if (plan.below > 0) return look_at_all(plan, window);
    if (!dense && sparse * kWalked < all) return walk(plan, plan.parts.size(), 0, window);
    // Rows in none of the essential lists cannot be near enough by the others together (MaxScore: Turtle & Flood 1995).
    const double needed = from_nearest(plan);
    double left_out = 0;
    std::size_t essential = plan.parts.size();
    while (essential > 0 && left_out + plan.parts[essential - 1].units + 2 < needed)
        left_out += plan.parts[--essential].units + 2;
    std::size_t walked = 0;
    for (std::size_t i = 0; i < essential; ++i)
        walked += plan.parts[i].list.ids == nullptr ? all : plan.parts[i].list.count;
    if (walked * (kWalked + cost_of_row()) < all) return walk(plan, essential, left_out, window);
    look_at_all(plan, window);
}

}  // namespace vecstore
