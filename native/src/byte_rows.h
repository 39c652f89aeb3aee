// Rows as signed bytes with a scale each, and their squared distances from integer products.
#pragma once

#include <algorithm>
#include <bit>
#include <cstring>
#include <vector>

#include "dispatch.h"

namespace vecstore {

struct ByteRows {
    const std::int8_t* bytes;  // (n, width), -127..127
    std::size_t n;
    std::size_t width;         // a multiple of 8
    const float* scales;       // (n,)
    const float* squares;      // (n,): (scale * scale) * (sum of squared bytes)
    const std::int32_t* sums;  // (n,): of each row's bytes

    const std::int8_t* row(std::size_t i) const { return bytes + i * width; }

    // From an exact product of bytes. Symmetric to the bit, and exactly zero for equal rows.
    float distance(std::size_t a, std::size_t b, float product) const {
        const float d = (squares[a] + squares[b]) - 2.0f * ((scales[a] * scales[b]) * product);
        return d > 0 ? d : 0.0f;
    }
};

inline constexpr std::size_t kByteBlock = 32;  // rows

// A row's bytes to place i of blocks, in the layout that products read: four bytes of each row side by side.
inline void place_bytes(const std::int8_t* from, std::size_t width, std::size_t i, std::uint8_t* blocks) {
    std::uint8_t* const to = blocks + i / kByteBlock * kByteBlock * width + i % kByteBlock * 4;
    for (std::size_t d = 0; d < width; d += 4) {
        std::uint32_t four;
        std::memcpy(&four, from + d, 4);
        four ^= 0x80808080u;
        std::memcpy(to + d * kByteBlock, &four, 4);
    }
}

// Some rows in the layout that products read.
class ByteBlocks {
 public:
    void pack(const ByteRows& rows, const std::uint32_t* listed, std::size_t count) {
        count_ = count;
        nblocks_ = (count + kByteBlock - 1) / kByteBlock;
        data_.resize(nblocks_ * kByteBlock * rows.width);
        for (std::size_t i = 0; i < nblocks_ * kByteBlock; ++i)
            place_bytes(rows.row(listed[std::min(i, count - 1)]), rows.width, i, data_.data());
    }
    std::size_t columns() const { return nblocks_ * kByteBlock; }
    std::size_t count() const { return count_; }
    const std::uint8_t* data() const { return data_.data(); }
    std::size_t nblocks() const { return nblocks_; }

 private:
    std::size_t count_ = 0, nblocks_ = 0;
    std::vector<std::uint8_t> data_;
};

inline constexpr std::size_t kByteTile = 8;

// out[i * columns + j] = <row listed[i], row j of the blocks>, for up to kByteTile rows. `copy` is scratch.
inline void byte_products(const ByteRows& rows, const std::uint32_t* listed, std::size_t count,
                          const ByteBlocks& blocks, std::vector<std::int8_t>& copy, float* out) {
    const Ops& ops = current_ops();
    std::int32_t sums[kByteTile];
    copy.resize(kByteTile * rows.width);
    for (std::size_t i = 0; i < count; ++i) {
        std::memcpy(copy.data() + i * rows.width, rows.row(listed[i]), rows.width);
        sums[i] = rows.sums[listed[i]];
    }
    for (std::size_t i = 0; i < count; i += ops.code_dots.tile) {
        const ByteQueries queries{copy.data() + i * rows.width, rows.width, sums + i, nullptr};
        ops.code_dots.bytes(queries, std::min(ops.code_dots.tile, count - i), blocks.data(), blocks.nblocks(),
                            out + i * blocks.columns(), blocks.columns());
    }
}

}  // namespace vecstore
