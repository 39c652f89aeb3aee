// Queries in the form that one kind of row codes is multiplied with, and the products.
#pragma once

#include <algorithm>
#include <cmath>
#include <optional>
#include <vector>

#include "dense_queries.h"
#include "row_codes.h"

namespace vecstore {

class CodeQueries {
 public:
    CodeQueries(const Ops& ops, const RowCodes& codes, const float* queries, std::size_t nq)
        : ops_(ops),
          codes_(codes),
          tile_(rounded() ? std::max<std::size_t>(1, ops.code_dots.tile / parts()) : ops.query_tile) {
        if (rounded()) {
            round(queries, nq);
        } else {
            scales_.assign(nq, codes.kind == CodeKind::e4m3 ? 256.0f : 1.0f);  // see Lanes::load of E4M3
            floats_.emplace(false, queries, nq, codes.dim, tile_);
            stride_ = padded_dim(codes.dim);
        }
    }

    std::size_t tile() const { return tile_; }
    // Rows of products that one query takes while they are made: of two bytes, one for each.
    std::size_t parts() const { return codes_.fine ? 2 : 1; }
    float scale(std::size_t query) const { return scales_[query]; }

    // Gathers queries that share a pass.
    class Tile {
     public:
        Tile(const CodeQueries& all, const std::uint32_t* queries, std::size_t count) : all_(all), count_(count) {
            if (all.rounded()) {
                const std::size_t parts = all.parts();
                bytes_.resize(count * parts * all.stride_);
                sums_.resize(count * parts);
                for (std::size_t p = 0; p < parts; ++p)
                    for (std::size_t i = 0; i < count; ++i) {
                        const std::size_t from = queries[i] * parts + p, to = p * count + i;
                        std::copy_n(all.bytes_.data() + from * all.stride_, all.stride_,
                                    bytes_.data() + to * all.stride_);
                        sums_[to] = all.sums_[from];
                    }
            } else {
                padded_ = count == 1 ? 1 : all.tile_;
                floats_.resize(padded_ * all.stride_);
                for (std::size_t i = 0; i < count; ++i)
                    std::copy_n(all.floats_->at(queries[i]), all.stride_, floats_.data() + i * all.stride_);
            }
        }

        std::size_t count() const { return count_; }

        // Products with `nblocks` whole blocks from `block` on: out[i * out_stride + row]. `out` has room for the parts
        // of all queries.
        void dots(std::size_t block, std::size_t nblocks, float* out, std::size_t out_stride) const {
            const RowCodes& codes = all_.codes_;
            const std::size_t block_bytes = code_block_bytes(codes.kind, codes.dim);
            const std::uint8_t* const first = codes.blocks + block * block_bytes;
            if (all_.rounded()) {
                const ByteQueries queries{bytes_.data(), all_.stride_, sums_.data(), codes.levels};
                const CodeDots& by = all_.ops_.code_dots;
                (codes.kind == CodeKind::int8 ? by.bytes : by.nibbles)(queries, count_ * all_.parts(), first, nblocks,
                                                                       out, out_stride);
                if (codes.fine) join(nblocks * kBlockRows, out, out_stride);
                return;
            }
            const RowBlock rows{first, block_bytes / kBlockRows, nullptr, nblocks * kBlockRows};
            all_.sums_of()(floats_.data(), padded_, codes.dim, rows, out, out_stride);
        }

     private:
        // 128 times a float is exact, so that this rounds once, fused or not.
        void join(std::size_t rows, float* out, std::size_t out_stride) const {
            for (std::size_t i = 0; i < count_; ++i) {
                float* const high = out + i * out_stride;
                const float* const low = out + (count_ + i) * out_stride;
                for (std::size_t r = 0; r < rows; ++r) high[r] = 128.0f * high[r] + low[r];
            }
        }

        const CodeQueries& all_;
        std::size_t count_;
        std::size_t padded_ = 0;
        std::vector<std::int8_t> bytes_;
        std::vector<std::int32_t> sums_;
        std::vector<float> floats_;
    };

 private:
    bool rounded() const { return codes_.kind == CodeKind::int8 || codes_.kind == CodeKind::nibble; }

    SumsFn sums_of() const {
        const auto& dots = ops_.sums[static_cast<int>(Sum::dot)];
        switch (codes_.kind) {
            case CodeKind::f16:
                return dots[static_cast<int>(Element::f16)];
            case CodeKind::bf16:
                return dots[static_cast<int>(Element::bf16)];
            case CodeKind::e4m3:
                return ops_.float8_dots[0];
            default:
                return ops_.float8_dots[1];
        }
    }

    // To bytes with a scale for each query, padded with zeros to whole groups of 8 dims. For nibbles a group's even
    // dims come first: they are the low halves of a row's four bytes.
    void round(const float* queries, std::size_t nq) {
        const float largest = codes_.fine ? 127.0f * 128 + 63 : 127.0f;
        stride_ = (codes_.dim + 7) / 8 * 8;
        bytes_.assign(nq * parts() * stride_, 0);
        sums_.assign(nq * parts(), 0);
        scales_.assign(nq, 0);
        for (std::size_t q = 0; q < nq; ++q) {
            const float* const query = queries + q * codes_.dim;
            float most = 0;
            for (std::size_t d = 0; d < codes_.dim; ++d) most = std::max(most, std::abs(query[d]));
            scales_[q] = most / largest;
            if (!(scales_[q] > 0)) continue;  // all zero, or too small to divide by
            for (std::size_t d = 0; d < codes_.dim; ++d) {
                // Adding 1.5 * 2^23 leaves no bits for a fraction: rounds to nearest, ties to even.
                const float nearest = (query[d] / scales_[q] + 0x1.8p23f) - 0x1.8p23f;
                const auto steps = static_cast<std::int32_t>(std::clamp(nearest, -largest, largest));
                if (!codes_.fine) {
                    set(q, d, steps);
                    continue;
                }
                const std::int32_t high = (steps + 64) >> 7;  // so that the low part is in -64..63
                set(2 * q, d, high);
                set(2 * q + 1, d, steps - 128 * high);
            }
        }
    }

    void set(std::size_t part, std::size_t d, std::int32_t steps) {
        bytes_[part * stride_ + place(d)] = static_cast<std::int8_t>(steps);
        sums_[part] += steps;
    }

    std::size_t place(std::size_t d) const {
        return codes_.kind == CodeKind::int8 ? d : d / 8 * 8 + d % 2 * 4 + d % 8 / 2;
    }

    const Ops& ops_;
    const RowCodes& codes_;
    std::size_t tile_;
    std::size_t stride_ = 0;
    std::vector<float> scales_;
    std::optional<DenseQueries> floats_;
    std::vector<std::int8_t> bytes_;
    std::vector<std::int32_t> sums_;
};

}  // namespace vecstore
