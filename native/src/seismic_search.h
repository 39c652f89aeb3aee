// The search of blocks of similar rows: estimates of blocks, sums of the rows of the best, exact scores of the best
// rows.
#pragma once

#include <memory>

#include "scan.h"
#include "seismic_index.h"
#include "sparse_query.h"

namespace vecstore {

struct SeismicVisit {
    std::size_t depth;    // rows scored by the stored rows, at least k
    std::size_t first;    // blocks read before any is skipped
    double block_factor;  // a block is read if its estimate times this reaches the k-th largest sum
    std::size_t terms;    // of the query's heaviest that take part
    double share;         // of the query's weight that these reach, the rest left out
    bool all;             // score every row whose sum allows it to be among the k nearest, whatever the depth
    bool bounded;         // with `all`: blocks' codes are bounds, so that blocks may be skipped by them
    bool coded;           // the k largest sums are the answer, and no stored row is read
};

inline constexpr std::size_t kSeismicCounters =
    5;  // blocks read, records read, rows rescored, terms left out, weights refused
inline constexpr std::size_t kSeismicTermsMax = 512;

struct SeismicOutput {
    std::size_t k;
    std::int64_t* rows;      // (nq, k)
    float* distances;        // (nq, k)
    std::int64_t* counters;  // (nq, kSeismicCounters)
};

void seismic_search(const SeismicIndex& index, const SparseView& rows, const SparseView& queries,
                    const SeismicVisit& visit, const std::uint64_t* allowed, const SeismicOutput& output);

}  // namespace vecstore
