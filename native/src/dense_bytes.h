// Scans of rows by many queries: a block's rows are rounded to bytes once for all of them, and only rows that
// products of bytes do not rule out are compared in full. By Cauchy-Schwarz |<q, r> - <q', r'>| is at most
// |q - q'| |r'| + |q| |r - r'|, so that answers are those of all distances, to the last bit.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "byte_rows.h"
#include "dense_distances.h"
#include "dense_queries.h"
#include "rounded_queries.h"

namespace vecstore {

// Blocks for scan_blocks. `Plain` visits them by all distances: the first ones, and while too many rows
// stay open.
template <class Plain>
class ByBytes {
 public:
    ByBytes(const Ops& ops, Metric metric, std::size_t nq, const DenseRows& rows, const DenseQueries& prepared,
            const RoundedQueries& rounded, std::size_t block_rows, Plain plain)
        : ops_(ops),
          metric_(metric),
          nq_(nq),
          rows_(rows),
          prepared_(prepared),
          rounded_(rounded),
          sums_(sums_of(ops, metric, rows.element)),
          round_row_(ops.round_row[static_cast<int>(rows.element)]),
          stride_((block_rows + kByteBlock - 1) / kByteBlock * kByteBlock),
          numbers_(rows.dim),
          row_(rounded.width()),
          bytes_(stride_ * rounded.width()),
          scales_(stride_),
          base_(stride_),
          products_(ops.code_dots.tile * stride_),
          distances_(stride_ + kOutPadding),
          positions_(stride_),
          offsets_(stride_),
          plain_(std::move(plain)) {}

    template <class Nearest>
    void operator()(const RowBlock& block, std::size_t first_row, std::vector<Nearest>& nearest) {
        seen_ += block.count;
        if (seen_ <= again_ || nearest[0].takes_all() || !round(block, first_row))
            return plain_(block, first_row, nearest);
        compared_ = 0;
        const std::size_t tile = ops_.code_dots.tile, nblocks = (block.count + kByteBlock - 1) / kByteBlock;
        for (std::size_t q = 0; q < nq_; q += tile) {
            const std::size_t count = std::min(tile, nq_ - q);
            poll_(block.count * rows_.rows.bytes_read());
            ops_.code_dots.bytes(rounded_.from(q), count, bytes_.data(), nblocks, products_.data(), stride_);
            for (std::size_t t = 0; t < count; ++t)
                take(q + t, products_.data() + t * stride_, block, first_row, nearest[q + t]);
        }
        // The more rows were seen, the fewer stay open of those that come.
        if (compared_ * kMostOpen > block.count * nq_) again_ = 2 * seen_;
    }

 private:
    static constexpr std::size_t kAhead = 4;      // rows that are asked of memory before they are rounded
    static constexpr std::size_t kMostOpen = 10;  // of so many pairs one may stay open: one alone takes as long as six

    static const std::uint8_t* row_of(const RowBlock& block, std::size_t i) {
        return block.base + (block.offsets ? static_cast<std::size_t>(block.offsets[i]) : i) * block.stride;
    }

    void expect(const std::uint8_t* row) const {
        for (std::size_t byte = 0; byte < rows_.rows.bytes_read(); byte += 64) __builtin_prefetch(row + byte);
    }

    // False where bytes say nothing of a row.
    bool round(const RowBlock& block, std::size_t first_row) {
        error_ = length_ = 0;
        for (std::size_t i = 0; i < block.count; ++i) {
            if (i + kAhead < block.count) expect(row_of(block, i + kAhead));
            const std::size_t at = block.offsets ? static_cast<std::size_t>(block.offsets[i]) : i;
            RowRounding rounding;
            round_row_(row_of(block, i), rows_.dim, numbers_.data(), row_.data(), &rounding);
            const float inverse = metric_ == Metric::cosine ? rows_.inverse_norms[first_row + at] : 1;
            const float missed = std::sqrt(rounding.missed) * inverse;
            error_ = std::max(error_, missed);
            length_ = std::max(length_, std::sqrt(rounding.square) * inverse + missed);
            if (!(length_ + missed < std::numeric_limits<float>::infinity())) return false;
            scales_[i] = rounding.scale * (metric_ == Metric::l2 ? 2 : inverse);
            base_[i] = metric_ == Metric::l2 ? rounding.square : metric_ == Metric::cosine ? 1.0f : 0.0f;
            place_bytes(row_.data(), row_.size(), i, bytes_.data());
        }
        error_ *= 1.0001f;
        length_ *= 1.0001f;
        return true;
    }

    template <class Nearest>
    void take(std::size_t q, float* products, const RowBlock& block, std::size_t first_row, Nearest& nearest) {
        const RoundedQueries::Query& query = rounded_[q];
        const float slack = byte_slack(metric_, query, length_, error_, rows_.dim);
        const float square = metric_ == Metric::l2 ? query.length * query.length : 0;
        const float most = std::nextafter(nearest.bound() - square + slack, std::numeric_limits<float>::infinity());
        std::size_t found = block.count;
        if (query.known() && most < std::numeric_limits<float>::infinity()) {
            for (std::size_t i = 0; i < block.count; ++i)
                products[i] = base_[i] - query.scale * scales_[i] * products[i];
            found = ops_.below(products, block.count, most, positions_.data());
        } else {
            for (std::size_t i = 0; i < found; ++i) positions_[i] = static_cast<std::uint32_t>(i);
        }
        if (found == 0) return;
        compared_ += found;
        for (std::size_t i = 0; i < found; ++i)
            offsets_[i] = block.offsets ? block.offsets[positions_[i]] : static_cast<std::int64_t>(positions_[i]);
        const RowBlock open{block.base, block.stride, offsets_.data(), found, 0};
        sums_(prepared_.at(q), 1, rows_.dim, open, distances_.data(), found);
        const float* const norms = rows_.inverse_norms ? rows_.inverse_norms + first_row : nullptr;
        finish_distances(metric_, open, norms, distances_.data());
        for (std::size_t i = 0; i < found; ++i)
            if (distances_[i] < nearest.bound())
                nearest.add(distances_[i], static_cast<std::int64_t>(first_row) + offsets_[i]);
    }

    const Ops& ops_;
    Metric metric_;
    std::size_t nq_;
    const DenseRows& rows_;
    const DenseQueries& prepared_;
    const RoundedQueries& rounded_;
    SumsFn sums_;
    RoundRowFn round_row_;
    std::size_t stride_;
    std::vector<float> numbers_;
    std::vector<std::int8_t> row_;
    std::vector<std::uint8_t> bytes_;
    std::vector<float> scales_, base_;  // a distance is base - (query's scale) * scale * product, but for |q|^2
    float error_ = 0, length_ = 0;
    std::vector<float> products_, distances_;
    std::vector<std::uint32_t> positions_;
    std::vector<std::int64_t> offsets_;
    Plain plain_;
    std::size_t seen_ = 0, again_ = 0;  // rows; up to `again_` all distances are taken
    std::size_t compared_ = 0;          // pairs of a block
    StopPoll poll_;
};

}  // namespace vecstore
