// Scans of rows by many queries: a block's rows are rounded to bytes once for all of them, and only rows that
// products of bytes do not rule out are compared in full. By Cauchy-Schwarz |<q, r> - <q', r'>| is at most
// |q - q'| |r'| + |q| |r - r'|, so that answers are those of all distances, to the last bit.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>
#include <vector>

#include "dense_distances.h"
#include "dense_queries.h"
#include "rounded_queries.h"
#include "row_rounder.h"

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
          rounder_(ops, metric, rows),
          stride_((block_rows + kByteBlock - 1) / kByteBlock * kByteBlock),
          bytes_(stride_ * rounded.width()),
          scales_(stride_),
          squares_(stride_),
          products_(ops.code_dots.tile * stride_),
          distances_(stride_ + kOutPadding),
          positions_(stride_),
          offsets_(stride_),
          plain_(std::move(plain)) {}

    template <class Nearest>
    void operator()(const RowBlock& block, std::size_t first_row, std::vector<Nearest>& nearest) {
        seen_ += block.count;
        if (seen_ <= again_ || nearest[0].takes_all()) return plain_(block, first_row, nearest);
        const RowRounder::Bounds bounds =
            rounder_.round(block, first_row, {bytes_.data(), scales_.data(), squares_.data()});
        if (!(bounds.error < std::numeric_limits<float>::infinity())) return plain_(block, first_row, nearest);
        std::size_t compared = 0;
        const std::size_t tile = ops_.code_dots.tile, nblocks = (block.count + kByteBlock - 1) / kByteBlock;
        for (std::size_t q = 0; q < nq_; q += tile) {
            const std::size_t count = std::min(tile, nq_ - q);
            poll_(block.count * rows_.rows.bytes_read());
            ops_.code_dots.bytes(rounded_.from(q), RoundedQueries::together(count), bytes_.data(), nblocks,
                                 products_.data(), stride_);
            for (std::size_t t = 0; t < count; ++t)
                compared += take(q + t, products_.data() + t * stride_, bounds, block, first_row, nearest[q + t]);
        }
        // The more rows were seen, the fewer stay open of those that come.
        if (compared * kMostOpen > block.count * nq_) again_ = 2 * seen_;
    }

 private:
    static constexpr std::size_t kMostOpen = 10;  // of so many pairs one may stay open: one alone takes as long as six

    // Returns how many rows were compared in full.
    template <class Nearest>
    std::size_t take(std::size_t q, float* products, const RowRounder::Bounds& bounds, const RowBlock& block,
                     std::size_t first_row, Nearest& nearest) {
        const RoundedQueries::Query& query = rounded_[q];
        const float slack = byte_slack(metric_, query, bounds.length, bounds.error, rows_.dim);
        const float square = metric_ == Metric::l2 ? query.length * query.length : 0;
        const float most = std::nextafter(nearest.bound() - square + slack, std::numeric_limits<float>::infinity());
        std::size_t found = block.count;
        if (query.known() && most < std::numeric_limits<float>::infinity()) {
            to_distances(metric_, query.scale, scales_.data(), squares_.data(), block.count, products);
            found = ops_.below(products, block.count, most, positions_.data());
        } else {
            for (std::size_t i = 0; i < found; ++i) positions_[i] = static_cast<std::uint32_t>(i);
        }
        if (found == 0) return 0;
        for (std::size_t i = 0; i < found; ++i)
            offsets_[i] = block.offsets ? block.offsets[positions_[i]] : static_cast<std::int64_t>(positions_[i]);
        const RowBlock open{block.base, block.stride, offsets_.data(), found, 0};
        sums_(prepared_.at(q), 1, rows_.dim, open, distances_.data(), found);
        const float* const norms = rows_.inverse_norms ? rows_.inverse_norms + first_row : nullptr;
        finish_distances(metric_, open, norms, distances_.data());
        for (std::size_t i = 0; i < found; ++i)
            if (distances_[i] < nearest.bound())
                nearest.add(distances_[i], static_cast<std::int64_t>(first_row) + offsets_[i]);
        return found;
    }

    const Ops& ops_;
    Metric metric_;
    std::size_t nq_;
    const DenseRows& rows_;
    const DenseQueries& prepared_;
    const RoundedQueries& rounded_;
    SumsFn sums_;
    RowRounder rounder_;
    std::size_t stride_;
    std::vector<std::uint8_t> bytes_;
    std::vector<float> scales_, squares_, products_, distances_;
    std::vector<std::uint32_t> positions_;
    std::vector<std::int64_t> offsets_;
    Plain plain_;
    std::size_t seen_ = 0, again_ = 0;  // rows; up to `again_` all distances are taken
    StopPoll poll_;
};

}  // namespace vecstore
