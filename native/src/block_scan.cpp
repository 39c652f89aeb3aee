#include "block_scan.h"

#include <cmath>
#include <vector>

#include "dense_queries.h"
#include "dispatch.h"

namespace vecstore {
namespace {

constexpr std::size_t kBlockRowsMax = 1024;  // what Partition cuts at most

// The kept parts of a query, one after the other; of unit length where the metric is cosine.
std::vector<float> kept_parts(const float* query, const std::vector<std::size_t>& kept, std::size_t width, bool unit) {
    std::vector<float> parts;
    double square = 0;
    for (const std::size_t block : kept)
        for (std::size_t d = 0; d < width; ++d) {
            parts.push_back(query[block * width + d]);
            square += static_cast<double>(parts.back()) * parts.back();
        }
    if (unit) {
        const double scale = square > 0 ? 1 / std::sqrt(square) : 0;
        for (float& value : parts) value = static_cast<float>(value * scale);
    }
    return parts;
}

}  // namespace

void block_scan(const float* queries, std::size_t nq, const DimensionBlocks& blocks, const std::int32_t* kept,
                std::size_t nkept, const TopKOutput& output) {
    const Ops& ops = current_ops();
    const SumsFn sums = ops.sums[static_cast<int>(Sum::dot)][static_cast<int>(blocks.element)];
    const std::size_t stride = blocks.width * (blocks.element == Element::f32 ? 4 : 2);
    for (std::size_t q = 0; q < nq; ++q) {
        std::vector<std::size_t> mine;
        for (std::size_t i = 0; i < nkept; ++i)
            if (kept[q * nkept + i] >= 0) mine.push_back(static_cast<std::size_t>(kept[q * nkept + i]));
        const std::vector<float> parts = kept_parts(queries + q * blocks.nblocks * blocks.width, mine, blocks.width,
                                                    blocks.inverse_norms != nullptr);
        const DenseQueries prepared(false, parts.data(), mine.size(), blocks.width, 1);
        // Rows are cut by one block's bytes, not by all that are kept: long runs in each are worth more than the cache.
        const Rows rows{blocks.data, blocks.n, stride, blocks.allowed};
        const TopKOutput mine_out{output.k, output.rows + q * output.k, output.distances + q * output.k};
        scan_rows(ops, 1, 1, rows, mine_out,
                  [&](std::size_t, std::size_t, const RowBlock& block, std::size_t first, float* out, std::size_t) {
                      float part[kBlockRowsMax + kOutPadding];
                      for (std::size_t i = 0; i < block.count; ++i) out[i] = 0;
                      // One block of dimensions after the other: each is read in sequence.
                      for (std::size_t p = 0; p < mine.size(); ++p) {
                          RowBlock dimensions = block;
                          dimensions.base += mine[p] * blocks.n * stride;
                          sums(prepared.at(p), 1, blocks.width, dimensions, part, kBlockRowsMax);
                          for (std::size_t i = 0; i < block.count; ++i) out[i] += part[i];
                      }
                      if (blocks.inverse_norms == nullptr) {
                          for (std::size_t i = 0; i < block.count; ++i) out[i] = -out[i];
                          return;
                      }
                      const float* norms = blocks.inverse_norms + first;
                      for (std::size_t i = 0; i < block.count; ++i)
                          out[i] = 1 - out[i] * norms[block.offsets ? block.offsets[i] : static_cast<std::int64_t>(i)];
                  });
    }
}

}  // namespace vecstore
