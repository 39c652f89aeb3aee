// The leaf routine of the search for one nearest row (nearest.h), one for each instruction set.
#pragma once

#include <cstddef>

namespace vecstore {

inline constexpr std::size_t kPanelRows = 16;     // rows side by side: one line of floats for each dimension
inline constexpr std::size_t kMostTogether = 12;  // every instruction set's queries of one tile divide this

struct NearestOps {
    // out[q, row] = -<queries[q], row>, of queries (nq, width) with panels (npanels, width, kPanelRows).
    void (*products)(const float* queries, std::size_t nq, std::size_t width, const float* panels, std::size_t npanels,
                     float* out, std::size_t out_stride);
};

NearestOps baseline_nearest_ops();  // what every CPU of the target has
NearestOps avx2_nearest_ops();
NearestOps avx512_nearest_ops();

}  // namespace vecstore
