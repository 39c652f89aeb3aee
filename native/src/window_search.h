// Exact search through windows of postings: sums of codes bound the scores, the rows that may be among the k nearest
// are scored by themselves.
//
// A query's weights are scaled to integers so that the sums of a window's lists fill 16 bits. For a list whose largest
// contribution is u units, a contribution is at least what the value gives and at most u / 255 + 2 more (rounded codes,
// a rounded weight, and the 1 that is always added), so the k-th largest sum less these errors bounds the sum of any
// row among the k nearest from below. Lists of negative contributions are taken away from a start that leaves room.
#pragma once

#include "scan.h"
#include "window.h"

namespace vecstore {

struct Inverted {
    std::vector<WindowView> windows;  // one after another from row 0; rows behind the last are read as they stand
    SparseView rows;
    const Saturation* saturation;
    const std::uint64_t* allowed;
};

inline constexpr std::size_t kInvertedCounters = 3;  // postings read, rows scored, windows skipped

// counters is (nq, kInvertedCounters). Throws std::invalid_argument.
void inverted_search(const SparseView& queries, const Inverted& index, const TopKOutput& output,
                     std::int64_t* counters);

// How many allowed rows hold each of `count` terms, which ascend.
void inverted_document_frequency(const std::uint32_t* terms, std::size_t count, const Inverted& index,
                                 std::int64_t* counts);

}  // namespace vecstore
