// One query's search through windows, on one thread.
#pragma once

#include "window_plan.h"
#include "window_search.h"

namespace vecstore {

class WindowQuery {
 public:
    WindowQuery(const Inverted& index, const SparseQuery& query, std::size_t k, std::int64_t* counters)
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
    // Of a word that begins before the last row.
    std::uint64_t allowed_word(std::size_t word) const {
        if (index_.allowed != nullptr) return masked_.allowed_word(word);
        const std::size_t rest = index_.rows.n - word * 64;
        return rest >= 64 ? ~std::uint64_t{0} : (std::uint64_t{1} << rest) - 1;
    }

    std::size_t cost_of_row() const;
    double from_nearest(const WindowPlan& plan) const;
    void add_up(const WindowPlan& plan, std::size_t padded);
    void walk(const WindowPlan& plan, std::size_t essential, double left_out, const WindowView& window);
    void look_at_all(const WindowPlan& plan, const WindowView& window);
    double lowest(const WindowPlan& plan, std::vector<std::uint16_t>& best) const;
    void score_candidates();
    void score(std::size_t row);

    const Inverted& index_;
    const SparseQuery& query_;
    std::size_t k_;
    Rows masked_;
    TopK nearest_;
    RowScorer scorer_;
    std::int64_t* counters_;
};

}  // namespace vecstore
