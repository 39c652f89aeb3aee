// Sums of looked-up bytes, portable.
#pragma once

namespace vecstore {
namespace {

inline void block_sums(const std::uint8_t* blocks, std::size_t count, std::size_t groups, const std::uint8_t* bytes,
                       std::int32_t* out) {
    for (std::size_t b = 0; b < count; ++b, out += 32) {
        for (int i = 0; i < 32; ++i) out[i] = 0;
        for (std::size_t g = 0; g < groups; ++g, blocks += 128) {
            const std::uint8_t* tables = bytes + g * 128;
            for (int row = 0; row < 32; ++row)
                for (int i = 0; i < 4; ++i)
                    out[row] +=
                        tables[16 * i + (blocks[4 * row + i] & 15)] + tables[64 + 16 * i + (blocks[4 * row + i] >> 4)];
        }
    }
}

}  // namespace
}  // namespace vecstore

#include "table_sums_each.h"  // takes block_sums

namespace vecstore {
namespace {

template <bool kLower, class Found>
inline void near_blocks(const TableRun& run, const TableAsk* asks, std::size_t nq, const Found& found) {
    sums_of_each(run, asks, nq, found);
}

}  // namespace
}  // namespace vecstore
