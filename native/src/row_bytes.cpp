#include "row_bytes.h"

#include <cstring>

#include "dispatch.h"
#include "row_rounder.h"

namespace vecstore {

void round_rows(Metric metric, const DenseRows& rows, const RowBytesOutput& output) {
    const Ops& ops = current_ops();
    const std::size_t n = rows.rows.n, width = (rows.dim + 7) / 8 * 8, block_bytes = kByteBlock * width;
    constexpr std::size_t kTaskBlocks = 32;
    const std::size_t nblocks = (n + kByteBlock - 1) / kByteBlock, tasks = (nblocks + kTaskBlocks - 1) / kTaskBlocks;
    parallel_for(tasks, workers_for(n * rows.rows.bytes_read()), [&](std::size_t, std::size_t task) {
        RowRounder rounder(ops, metric, rows);
        StopPoll poll;
        float squares[kByteBlock];
        for (std::size_t b = task * kTaskBlocks; b < std::min(nblocks, (task + 1) * kTaskBlocks); ++b) {
            const std::size_t first = b * kByteBlock, count = std::min(kByteBlock, n - first);
            std::uint8_t* const blocks = output.blocks + b * block_bytes;
            if (count < kByteBlock) std::memset(blocks, 128, block_bytes);
            poll(count * rows.rows.bytes_read());
            const RowBlock block{rows.rows.data + first * rows.rows.row_bytes, rows.rows.row_bytes, nullptr, count,
                                 count};
            const auto bounds = rounder.round(
                block, first, {blocks, output.scales + first, output.squares ? output.squares + first : squares});
            output.errors[b] = bounds.error;
            output.lengths[b] = bounds.length;
        }
    });
}

}  // namespace vecstore
