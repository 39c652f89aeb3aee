// Exact distances of a graph's candidates.
#pragma once

#include <vector>

#include "graph_index.h"
#include "top_k.h"

namespace vecstore {

// Replaces the estimates of answers, whose rows are `offsets`, by distances of the stored rows. `query` is as
// DenseQueries prepares it.
void rescore_rows(const GraphArrays& graph, const float* query, const std::int64_t* offsets,
                  std::vector<Neighbour>& answers);

}  // namespace vecstore
