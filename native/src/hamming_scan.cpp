#include "hamming_scan.h"

#include <cstring>

#include "counting_top_k.h"
#include "dispatch.h"

namespace vecstore {

void hamming_scan(const std::uint8_t* queries, std::size_t nq, const Rows& rows, const TopKOutput& output) {
    const Ops& ops = current_ops();
    constexpr std::size_t kQueryTile = 4;
    const std::size_t stride = hamming_query_stride(rows.row_bytes);
    std::vector<std::uint8_t> padded(nq * stride);
    for (std::size_t q = 0; q < nq; ++q)
        std::memcpy(padded.data() + q * stride, queries + q * rows.row_bytes, rows.row_bytes);
    const auto distances = [&](std::size_t q, std::size_t count, const RowBlock& block, std::size_t, float* out,
                               std::size_t out_stride) {
        ops.hamming(padded.data() + q * stride, count, rows.row_bytes, block, out, out_stride);
    };
    // A count of each distance for each query must not outgrow the rows.
    constexpr std::size_t kCountedBits = 16384;
    if (rows.row_bytes * 8 > kCountedBits) return scan_rows(ops, nq, kQueryTile, rows, output, distances);
    scan_rows(ops, nq, kQueryTile, rows, output, distances,
              [&](std::size_t k) { return CountingTopK(k, rows.row_bytes * 8, true); });
}

}  // namespace vecstore
