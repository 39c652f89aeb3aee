// Rounds stored rows to bytes with a scale each, and tells how far these may be off.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "byte_rows.h"
#include "dense_scan.h"

namespace vecstore {

struct RoundedTo {
    std::uint8_t* blocks;  // place_bytes
    float* scales;         // row r, under cosine over its length, is about scales[r] * its bytes
    float* squares;        // |row|^2
};

class RowRounder {
 public:
    struct Bounds {
        float error;   // the largest |row - what its bytes stand for|; infinite where bytes say nothing of a row
        float length;  // the largest length of what bytes stand for
    };

    RowRounder(const Ops& ops, Metric metric, const DenseRows& rows)
        : rows_(rows),
          unit_(metric == Metric::cosine),
          round_row_(ops.round_row[static_cast<int>(rows.element)]),
          numbers_(rows.dim),
          row_((rows.dim + 7) / 8 * 8) {}

    Bounds round(const RowBlock& block, std::size_t first_row, const RoundedTo& to) {
        Bounds bounds{0, 0};
        for (std::size_t i = 0; i < block.count; ++i) {
            if (i + kAhead < block.count) expect(row_of(block, i + kAhead));
            const std::size_t at = block.offsets ? static_cast<std::size_t>(block.offsets[i]) : i;
            RowRounding rounding;
            round_row_(row_of(block, i), rows_.dim, numbers_.data(), row_.data(), &rounding);
            const float inverse = unit_ ? rows_.inverse_norms[first_row + at] : 1;
            const float missed = std::sqrt(rounding.missed) * inverse;
            const float length = std::sqrt(rounding.square) * inverse + missed;
            const bool known = length + missed < std::numeric_limits<float>::infinity();
            bounds.error = std::max(bounds.error, known ? missed : std::numeric_limits<float>::infinity());
            bounds.length = std::max(bounds.length, known ? length : 0);
            to.scales[i] = rounding.scale * inverse;
            to.squares[i] = rounding.square;
            place_bytes(row_.data(), row_.size(), i, to.blocks);
        }
        return {1.0001f * bounds.error, 1.0001f * bounds.length};
    }

 private:
    static constexpr std::size_t kAhead = 4;  // rows that are asked of memory before they are rounded

    static const std::uint8_t* row_of(const RowBlock& block, std::size_t i) {
        return block.base + (block.offsets ? static_cast<std::size_t>(block.offsets[i]) : i) * block.stride;
    }

    void expect(const std::uint8_t* row) const {
        for (std::size_t byte = 0; byte < rows_.rows.bytes_read(); byte += 64) __builtin_prefetch(row + byte);
    }

    const DenseRows& rows_;
    bool unit_;
    RoundRowFn round_row_;
    std::vector<float> numbers_;
    std::vector<std::int8_t> row_;  // filled up with zeros
};

}  // namespace vecstore
