// Which of a few centroids each of many short sparse rows is nearest to.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vecstore {

// Row i has `width` entries; entry j of weight weights[i * width + j] is of term ids[i * width + j]. labels[i], for row
// members[i], is the first centroid of those with the largest inner product. Centroids are (terms, count). Products are
// summed in the entries' order, nothing is fused: every backend gives the same labels.
void sketch_nearest(const std::uint32_t* ids, const float* weights, std::size_t width, const std::int64_t* members,
                    std::size_t nmembers, const float* centroids, std::size_t count, std::int32_t* labels);

}  // namespace vecstore
