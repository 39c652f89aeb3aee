// What one query adds up in one window.
#pragma once

#include <cmath>

#include "posting_ops.h"
#include "window.h"

namespace vecstore {

struct WindowPlan {
    struct Part {
        PostingList list;
        PostingWeight weight;
        double units;  // the largest contribution
    };

    std::vector<Part> parts;   // those that contribute most first
    std::size_t postings = 0;  // codes to read
    double most = 0;           // no row of the window scores higher
    double unit = 0;           // of a score, in sums
    std::uint16_t start = 0;   // what a row that is not touched sums to
    double above = 0;          // a sum less `start` is at most spread * true score * unit + above,
    double below = 0;          // and at least true score * unit - below
    double spread = 1;
    double rounding = 0;  // of scores in float32, in units

    // Whether sums can tell rows apart: else the window's rows are to be scored one by one.
    bool make(const WindowView& window, const SparseQuery& query, const Saturation* saturation);
};

}  // namespace vecstore
