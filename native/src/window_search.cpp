#include "window_search.h"

#include <bit>
#include <stdexcept>
#include <string>

#include "sparse_scan.h"
#include "window_plan.h"

namespace vecstore {
namespace {

constexpr std::size_t kBlockRows = 4096;   // rows whose sums stay in the first-level cache for all dense lists
constexpr std::size_t kDensePerCode = 16;  // codes of a dense list that cost as much as a posting
constexpr std::size_t kRowsPerCode = 16;   // rows whose sums are cleared and looked at in that time
constexpr std::size_t kAhead = 4;          // rows fetched before they are scored
constexpr std::size_t kLineEntries = 16;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

struct Scratch {
    std::vector<std::uint16_t> sums = std::vector<std::uint16_t>(kWindowRows);
    std::vector<std::uint16_t> best;
    std::vector<std::uint32_t> rows;
    WindowPlan plan;
};

Scratch& scratch() {
    thread_local Scratch mine;
    return mine;
}

class Search {
 public:
    Search(const Inverted& index, const SparseQuery& query, std::size_t k, std::int64_t* counters)
        : index_(index),
          query_(query),
          k_(k),
          masked_{nullptr, index.rows.n, 0, index.allowed},
          nearest_(k),
          scorer_(index.rows, index.saturation),
          counters_(counters) {}

    void window(const WindowView& window);
    void rows(std::size_t first, std::size_t last);  // one by one; first is a multiple of 64
    const TopK& nearest() const { return nearest_; }

 private:
    std::uint64_t allowed_word(std::size_t word) const {
        if (index_.allowed != nullptr) return masked_.allowed_word(word);
        const std::size_t rest = index_.rows.n - word * 64;
        return rest >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << rest) - 1;
    }

    void add_up(const WindowPlan& plan, std::size_t padded, std::uint16_t* sums);
    std::uint16_t least(const WindowPlan& plan, const std::uint16_t* sums, std::size_t first, std::size_t last);
    void score(std::size_t row);
    void prefetch(std::size_t row) const;

    const Inverted& index_;
    const SparseQuery& query_;
    std::size_t k_;
    Rows masked_;
    TopK nearest_;
    RowScorer scorer_;
    std::int64_t* counters_;
};

void Search::score(std::size_t row) {
    float distance;
    if (!scorer_.distance(query_, row, &distance)) return;
    if (nearest_.takes_all() || distance < nearest_.bound()) nearest_.add(distance, static_cast<std::int64_t>(row));
}

void Search::prefetch(std::size_t row) const {
    const std::int64_t begin = index_.rows.offsets[row], end = index_.rows.offsets[row + 1];
    if (begin < 0 || end > static_cast<std::int64_t>(index_.rows.nnz)) return;
    const std::size_t width = index_.rows.half ? 2 : 4;
    for (std::int64_t i = begin; i < end; i += kLineEntries) {
        __builtin_prefetch(index_.rows.indices + i);
        __builtin_prefetch(static_cast<const std::uint8_t*>(index_.rows.values) + i * static_cast<std::int64_t>(width));
    }
}

void Search::rows(std::size_t first, std::size_t last) {
    if (first >= last) return;
    for (std::size_t word = first / 64; word * 64 < last; ++word) {
        std::uint64_t bits = allowed_word(word);
        if (last - word * 64 < 64) bits &= (std::uint64_t{1} << (last - word * 64)) - 1;
        counters_[1] += std::popcount(bits);
        for (; bits != 0; bits &= bits - 1) score(word * 64 + static_cast<std::size_t>(std::countr_zero(bits)));
    }
}

void Search::add_up(const WindowPlan& plan, std::size_t padded, std::uint16_t* sums) {
    const PostingOps& ops = current_posting_ops();
    for (std::size_t begin = 0; begin < padded; begin += kBlockRows) {
        const std::size_t count = std::min(kBlockRows, padded - begin);
        std::fill_n(sums + begin, count, plan.start);
        for (const WindowPlan::Part& part : plan.parts)
            if (part.list.ids == nullptr) ops.add_dense(sums + begin, part.list.codes + begin, count, part.weight);
    }
    for (const WindowPlan::Part& part : plan.parts)
        if (part.list.ids != nullptr) ops.add_list(sums, part.list.ids, part.list.codes, part.list.count, part.weight);
}

// The least sum that a row among the k nearest can have.
std::uint16_t Search::least(const WindowPlan& plan, const std::uint16_t* sums, std::size_t first, std::size_t last) {
    const PostingOps& ops = current_posting_ops();
    std::vector<std::uint16_t>& best = scratch().best;
    best.clear();
    // Above `start` a row was touched for certain; at it, only where contributions were taken away as well.
    std::uint32_t bound = plan.start + 1u;
    const auto keep_k = [&] {
        const auto kth = best.begin() + static_cast<std::ptrdiff_t>(k_) - 1;
        std::nth_element(best.begin(), kth, best.end(), std::greater<>());
        best.resize(k_);
        return std::uint32_t{best[k_ - 1]};
    };
    const std::size_t room = 2 * k_ + 64;
    for (std::size_t word = first / 64; word * 64 < last && bound <= 0xffff; ++word) {
        const std::uint16_t* mine = sums + word * 64 - first;
        std::uint64_t bits = ops.at_least(mine, static_cast<std::uint16_t>(bound)) & allowed_word(word);
        for (; bits != 0; bits &= bits - 1) best.push_back(mine[std::countr_zero(bits)]);
        if (best.size() >= room) bound = std::max(bound, keep_k() + 1);
    }
    double lowest = plan.below > 0 ? 0 : 1;
    if (best.size() >= k_) {
        const double kth = static_cast<double>(keep_k()) - plan.start;
        lowest = std::max(lowest, plan.start + (kth - plan.above) / plan.spread - plan.below - plan.rounding);
    }
    if (!nearest_.takes_all() && nearest_.bound() < kInfinity)
        lowest = std::max(lowest,
                          plan.start - static_cast<double>(nearest_.bound()) * plan.unit - plan.below - plan.rounding);
    return static_cast<std::uint16_t>(std::min(std::floor(lowest), 65535.0));
}

void Search::window(const WindowView& window) {
    const std::size_t first = window.first_row, last = std::min(first + window.n, index_.rows.n);
    if (first >= last) return;
    Scratch& room = scratch();
    WindowPlan& plan = room.plan;
    if (!plan.make(window, query_, index_.saturation)) return rows(first, last);
    nearest_.tighten();
    if (plan.parts.empty() || (!nearest_.takes_all() && -plan.most > static_cast<double>(nearest_.bound()))) {
        ++counters_[2];
        return;
    }
    std::size_t codes = window.padded() / kRowsPerCode;
    for (const WindowPlan::Part& part : plan.parts)
        codes += part.list.ids == nullptr ? part.list.count / kDensePerCode : part.list.count;
    if (index_.allowed != nullptr) {
        std::size_t count = 0;
        for (std::size_t word = first / 64; word * 64 < last; ++word) count += std::popcount(allowed_word(word));
        if (count * (index_.rows.nnz / index_.rows.n + kLineEntries) < codes) return rows(first, last);
    }
    counters_[0] += static_cast<std::int64_t>(plan.postings);
    add_up(plan, window.padded(), room.sums.data());
    const std::uint16_t bound = least(plan, room.sums.data(), first, last);
    room.rows.clear();
    for (std::size_t word = first / 64; word * 64 < last; ++word) {
        std::uint64_t bits = current_posting_ops().at_least(room.sums.data() + word * 64 - first, bound);
        for (bits &= allowed_word(word); bits != 0; bits &= bits - 1)
            room.rows.push_back(static_cast<std::uint32_t>(word * 64) +
                                static_cast<std::uint32_t>(std::countr_zero(bits)));
    }
    counters_[1] += static_cast<std::int64_t>(room.rows.size());
    if (false)
        for (std::size_t i = 0; i < std::min(kAhead, room.rows.size()); ++i) prefetch(room.rows[i]);
    for (std::size_t i = 0; i < room.rows.size(); ++i) {
        if (i + kAhead < room.rows.size()) prefetch(room.rows[i + kAhead]);
        score(room.rows[i]);
    }
}

// Rows of the windows together; throws unless they follow each other from row 0.
std::size_t windows_end(const Inverted& index) {
    std::size_t end = 0;
    for (const WindowView& window : index.windows) {
        if (window.first_row != end)
            throw std::invalid_argument("a window begins at row " + std::to_string(window.first_row) + ", not " +
                                        std::to_string(end));
        end += window.n;
        if (window.n % 64 != 0 && end < index.rows.n)
            throw std::invalid_argument("rows of a window that others follow must fill words of 64");
    }
    return end;
}

}  // namespace

void inverted_search(const SparseView& queries, const Inverted& index, const TopKOutput& output,
                     std::int64_t* counters) {
    const std::vector<SparseQuery> prepared = prepare_queries(queries);
    const std::size_t end = std::min(windows_end(index), index.rows.n);
    std::fill_n(counters, queries.n * kInvertedCounters, 0);
    const std::size_t k = std::min(output.k, index.rows.n);
    const std::size_t window_bytes = index.rows.nnz / std::max<std::size_t>(index.rows.n, 1) * kWindowRows;  // roughly
    const std::size_t workers = workers_for(index.windows.size() * window_bytes * queries.n / 8);
    const std::size_t groups = std::clamp<std::size_t>(workers / std::max<std::size_t>(queries.n, 1), 1,
                                                       std::max<std::size_t>(index.windows.size(), 1));
    std::vector<std::vector<std::int64_t>> counted(groups, std::vector<std::int64_t>(queries.n * kInvertedCounters));
    std::vector<TopK> nearest(k == 0 ? 0 : queries.n * groups, TopK(std::max<std::size_t>(k, 1)));

    parallel_for(nearest.size(), workers, [&](std::size_t, std::size_t task) {
        const std::size_t q = task / groups, group = task % groups;
        Search search(index, prepared[q], k, counted[group].data() + q * kInvertedCounters);
        for (std::size_t i = group; i < index.windows.size(); i += groups) search.window(index.windows[i]);
        if (group == groups - 1) search.rows(end, index.rows.n);
        nearest[task] = search.nearest();
    });

    for (std::size_t q = 0; q < queries.n; ++q) {
        TopK merged(std::max<std::size_t>(k, 1));
        for (std::size_t group = 0; group < groups; ++group) {
            if (k != 0) merged.merge(nearest[q * groups + group]);
            for (std::size_t i = 0; i < kInvertedCounters; ++i)
                counters[q * kInvertedCounters + i] += counted[group][q * kInvertedCounters + i];
        }
        merged.finish(output.rows + q * output.k, output.distances + q * output.k, output.k);
    }
}

void inverted_document_frequency(const std::uint32_t* terms, std::size_t count, const Inverted& index,
                                 std::int64_t* counts) {
    const std::size_t end = std::min(windows_end(index), index.rows.n);
    const auto allowed = [&](std::size_t row) {
        return index.allowed == nullptr || (index.allowed[row / 64] >> (row % 64) & 1) != 0;
    };
    std::fill(counts, counts + count, 0);
    for (std::size_t i = 0; i < count; ++i) {
        for (const WindowView& window : index.windows) {
            const std::size_t n = std::min(window.n, end - std::min(window.first_row, end));
            for_each_list(window, terms[i], [&](const PostingList& list) {
                if (list.ids != nullptr && index.allowed == nullptr && n == window.n) {
                    counts[i] += static_cast<std::int64_t>(list.count);
                } else if (list.ids != nullptr) {
                    for (std::size_t j = 0; j < list.count; ++j)
                        counts[i] += list.ids[j] < n && allowed(window.first_row + list.ids[j]);
                } else {
                    for (std::size_t row = 0; row < n; ++row)
                        counts[i] += list.codes[row] != 0 && allowed(window.first_row + row);
                }
            });
        }
    }
    add_document_frequency(terms, count, index.rows, index.allowed, end, counts);
}

}  // namespace vecstore
