// From the sums of leaf routines to the distances of one query.
#pragma once

#include "dense_scan.h"

namespace vecstore {

inline SumsFn sums_of(const Ops& ops, Metric metric, Element element) {
    const Sum sum = metric == Metric::l2 ? Sum::l2 : Sum::dot;
    return ops.sums[static_cast<int>(sum)][static_cast<int>(element)];
}

// In place. `inverse_norms` go by the block's places, or where it has offsets by those.
inline void finish_distances(Metric metric, const RowBlock& block, const float* inverse_norms, float* out) {
    if (metric == Metric::dot) {
        for (std::size_t i = 0; i < block.count; ++i) out[i] = -out[i];
    } else if (metric == Metric::cosine && block.offsets == nullptr) {
        for (std::size_t i = 0; i < block.count; ++i) out[i] = 1 - out[i] * inverse_norms[i];
    } else if (metric == Metric::cosine) {
        for (std::size_t i = 0; i < block.count; ++i) out[i] = 1 - out[i] * inverse_norms[block.offsets[i]];
    }
}

}  // namespace vecstore
