#include "dense_scan.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <string>

#include "dense_bytes.h"
#include "dense_distances.h"
#include "dense_queries.h"
#include "dispatch.h"
#include "ranked.h"

namespace vecstore {
namespace {

constexpr float kInfinity = std::numeric_limits<float>::infinity();

float inverse_of_square(double square) {
    if (!(square > 0)) return 0;
    return static_cast<float>(std::min<double>(1 / std::sqrt(square), std::numeric_limits<float>::max()));
}

double element_at(const std::uint8_t* row, Element element, std::size_t d) {
    if (element == Element::f32) {
        float value;
        std::memcpy(&value, row + d * 4, 4);
        return value;
    }
    std::uint16_t bits;
    std::memcpy(&bits, row + d * 2, 2);
    if (element == Element::bf16) return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
    const int exponent = (bits >> 10) & 31;
    const double fraction = bits & 1023;
    return exponent == 0 ? std::ldexp(fraction, -24) : std::ldexp(fraction + 1024, exponent - 25);
}

// From so many queries on, rounding rows for them pays.
constexpr std::size_t kBytesQueries = 24, kBytesDim = 64, kBytesRows = 2048;

bool pays_by_bytes(const Ops& ops, std::size_t nq, const DenseRows& rows, std::size_t k) {
    return ops.code_dots.pay && nq >= kBytesQueries && rows.dim >= kBytesDim &&
           rows.rows.n >= std::max(kBytesRows, 16 * k);
}

// Of bytes that are there already all are read, where not too few rows are allowed.
constexpr std::size_t kAllowedShare = 8;

bool pays_by_stored(const DenseRows& rows, const RowBytes& bytes) {
    return bytes.n != 0 && rows.rows.n <= 0xffffffffu && rows.rows.count_allowed() * kAllowedShare >= rows.rows.n;
}

// As the kernels take them: under cosine of unit length.
std::vector<float> in_rows(const DenseQueries& prepared, std::size_t nq, std::size_t dim) {
    std::vector<float> queries(nq * dim);
    const std::size_t whole = dim / kLanes * kLanes, rest = dim - whole;
    for (std::size_t q = 0; q < nq; ++q) {
        std::memcpy(queries.data() + q * dim, prepared.at(q), whole * sizeof(float));
        std::memcpy(queries.data() + q * dim + whole, prepared.at(q) + padded_dim(dim) - rest, rest * sizeof(float));
    }
    return queries;
}

}  // namespace

std::size_t dense_scan(Metric metric, const float* queries, std::size_t nq, const DenseRows& rows,
                       const TopKOutput& output, const RowBytes* bytes) {
    const Ops& ops = current_ops();
    const std::size_t tile = nq == 1 ? 1 : ops.query_tile;
    const SumsFn sums = sums_of(ops, metric, rows.element);
    const DenseQueries prepared(metric == Metric::cosine, queries, nq, rows.dim, tile);
    const auto distances = [&](std::size_t q, std::size_t count, const RowBlock& block, std::size_t first, float* out,
                               std::size_t out_stride) {
        sums(prepared.at(q), tile, rows.dim, block, out, out_stride);
        const float* inverse_norms = rows.inverse_norms ? rows.inverse_norms + first : nullptr;
        for (std::size_t t = 0; t < count; ++t) finish_distances(metric, block, inverse_norms, out + t * out_stride);
    };
    const bool stored = bytes != nullptr && pays_by_stored(rows, *bytes);
    if (!stored && !pays_by_bytes(ops, nq, rows, output.k)) {
        scan_rows(ops, nq, tile, rows.rows, output, distances);
        return 0;
    }
    const std::vector<float> unit = in_rows(prepared, nq, rows.dim);
    if (stored) return rank_rows(metric, unit.data(), prepared, nq, rows, *bytes, output);
    RoundedQueries rounded(rows.dim, nq);
    rounded.round(ops, unit.data(), nq);
    using All = AllDistances<decltype(distances)>;
    scan_blocks(
        nq, (nq + tile - 1) / tile, rows.rows, output,
        [&](std::size_t block_rows) {
            return ByBytes<All>(ops, metric, nq, rows, prepared, rounded, block_rows,
                                All(ops, nq, tile, rows.rows.bytes_read(), block_rows, distances));
        },
        MakeTopK{});
    return 0;
}

void dense_rerank(Metric metric, const float* queries, std::size_t nq, const DenseRows& rows,
                  const std::int64_t* candidates, std::size_t m, float* distances) {
    const auto n = static_cast<std::int64_t>(rows.rows.n);
    for (std::size_t i = 0; i < nq * m; ++i)
        if (candidates[i] < -1 || candidates[i] >= n)
            throw std::invalid_argument("candidate row " + std::to_string(candidates[i]) + " is not in -1.." +
                                        std::to_string(n - 1));
    const Ops& ops = current_ops();
    const SumsFn sums = sums_of(ops, metric, rows.element);
    const DenseQueries prepared(metric == Metric::cosine, queries, nq, rows.dim, 1);
    constexpr std::size_t kChunk = 256;  // candidates of one task
    const std::size_t chunks = (m + kChunk - 1) / kChunk;
    const std::size_t workers = workers_for(nq * m * rows.rows.bytes_read());
    parallel_for(nq * chunks, workers, [&](std::size_t, std::size_t task) {
        const std::size_t query = task / chunks;
        const std::size_t begin = query * m + task % chunks * kChunk;
        const std::size_t end = std::min((query + 1) * m, begin + kChunk);
        std::int64_t offsets[kChunk];
        float sums_out[kChunk + kOutPadding];
        std::size_t count = 0;
        for (std::size_t i = begin; i < end; ++i)
            if (candidates[i] >= 0) offsets[count++] = candidates[i];
        const RowBlock block{rows.rows.data, rows.rows.row_bytes, offsets, count, 0};
        if (count != 0) {
            sums(prepared.at(query), 1, rows.dim, block, sums_out, kChunk);
            finish_distances(metric, block, rows.inverse_norms, sums_out);
        }
        const float* next = sums_out;
        for (std::size_t i = begin; i < end; ++i) {
            distances[i] = candidates[i] >= 0 ? *next++ : kInfinity;
            if (!(distances[i] <= kInfinity)) distances[i] = kInfinity;  // NaN
        }
    });
}

void dense_inverse_norms(const DenseRows& rows, float* out) {
    const Ops& ops = current_ops();
    const Partition partition(rows.rows, 1);
    const std::size_t workers = workers_for(rows.rows.n * rows.rows.bytes_read());
    parallel_for(partition.tasks, workers, [&](std::size_t, std::size_t task) {
        std::vector<std::int64_t> offsets;
        for_each_block(rows.rows, partition, task, offsets, [&](const RowBlock& block, std::size_t first) {
            float* squares = out + first;
            ops.squares[static_cast<int>(rows.element)](rows.dim, block, squares);
            for (std::size_t i = 0; i < block.count; ++i) {
                double square = squares[i];
                if (!(square > 1e-30 && square < 1e30)) {  // float32 may have overflowed or lost small squares
                    square = 0;
                    const std::uint8_t* row = block.base + i * block.stride;
                    for (std::size_t d = 0; d < rows.dim; ++d) {
                        const double value = element_at(row, rows.element, d);
                        square += value * value;
                    }
                }
                squares[i] = inverse_of_square(square);
            }
        });
    });
}

}  // namespace vecstore
