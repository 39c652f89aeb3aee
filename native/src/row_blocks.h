// Cuts rows, or the allowed ones among them, into tasks for threads and blocks for the leaf routines.
#pragma once

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "vecstore/ops.h"

namespace vecstore {

struct Rows {
    const std::uint8_t* data;
    std::size_t n;
    std::size_t row_bytes;
    const std::uint64_t* allowed;  // bit i of word i / 64: row i takes part; null: all do
    std::size_t used_bytes = 0;    // what is read of each row, from its start; 0: all of it

    std::size_t bytes_read() const { return used_bytes != 0 ? used_bytes : row_bytes; }

    // The last word's bits past n are ignored.
    std::uint64_t allowed_word(std::size_t word) const {
        const std::size_t rest = n - word * 64;
        return rest >= 64 ? allowed[word] : allowed[word] & ((std::uint64_t{1} << rest) - 1);
    }

    std::size_t count_allowed() const {
        if (allowed == nullptr) return n;
        std::size_t count = 0;
        for (std::size_t word = 0; word * 64 < n; ++word) count += std::popcount(allowed_word(word));
        return count;
    }
};

// A block's rows stay in the second-level cache while all tiles of queries pass over them.
inline constexpr std::size_t kBlockBytes = 128 * 1024;
// While a block's distances are looked at, no row is read: one pass makes short stops, which the CPU reads ahead over.
inline constexpr std::size_t kSinglePassRows = 128;
inline constexpr std::size_t kBatchRows = 1024;
inline constexpr std::size_t kTaskBytes = 1024 * 1024;

struct Partition {
    std::size_t block_rows;
    std::size_t task_rows;  // a multiple of 64
    std::size_t tasks;
    std::size_t count;  // allowed rows

    // `passes`: how often a row's bytes are used, so that a batch is cut finer than one query.
    Partition(const Rows& rows, std::size_t passes) : count(rows.count_allowed()) {
        const std::size_t bytes = std::max<std::size_t>(rows.bytes_read(), 1);
        block_rows = std::clamp<std::size_t>(kBlockBytes / bytes, 16, passes == 1 ? kSinglePassRows : kBatchRows);
        const std::size_t wanted = std::max(kTaskBytes / bytes / passes, block_rows);  // allowed rows of a task
        const std::size_t spread = rows.n / std::max<std::size_t>(count, 1);           // a sparse mask: longer tasks
        task_rows = (wanted * std::max<std::size_t>(spread, 1) + 63) / 64 * 64;
        tasks = count == 0 ? 0 : (rows.n + task_rows - 1) / task_rows;
    }
};

// Calls visit(block, first_row) for each block of a task; a block's offsets count from first_row.
template <class Visit>
void for_each_block(const Rows& rows, const Partition& partition, std::size_t task, std::vector<std::int64_t>& offsets,
                    const Visit& visit) {
    const std::size_t begin = task * partition.task_rows;
    const std::size_t end = std::min(rows.n, begin + partition.task_rows);
    if (rows.allowed == nullptr) {
        for (std::size_t first = begin; first < end; first += partition.block_rows) {
            const std::size_t count = std::min(partition.block_rows, end - first);
            visit(RowBlock{rows.data + first * rows.row_bytes, rows.row_bytes, nullptr, count, count}, first);
        }
        return;
    }
    const std::uint8_t* base = rows.data + begin * rows.row_bytes;
    offsets.resize(partition.block_rows + 64);
    std::size_t held = 0;
    const auto flush = [&](std::size_t count) {
        const auto span = static_cast<std::size_t>(offsets[count - 1] - offsets[0]) + 1;
        visit(RowBlock{base, rows.row_bytes, offsets.data(), count, span}, begin);
        std::copy(offsets.begin() + static_cast<std::ptrdiff_t>(count),
                  offsets.begin() + static_cast<std::ptrdiff_t>(held), offsets.begin());
        held -= count;
    };
    for (std::size_t word = begin / 64; word * 64 < end; ++word) {
        for (std::uint64_t bits = rows.allowed_word(word); bits != 0; bits &= bits - 1)
            offsets[held++] = static_cast<std::int64_t>(word * 64 - begin) + std::countr_zero(bits);
        while (held >= partition.block_rows) flush(partition.block_rows);
    }
    if (held != 0) flush(held);
}

}  // namespace vecstore
