#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "dispatch.h"
#include "graph_index.h"

namespace vecstore {
namespace {

constexpr std::size_t kBlockRows = 32;
constexpr float kByteTop = 127.0f;

double square_of(const float* v, std::size_t dim) {
    double sum = 0;
    for (std::size_t d = 0; d < dim; ++d) sum += static_cast<double>(v[d]) * v[d];
    return sum;
}

// Rounds to bytes of which the largest is 127; returns what one unit stands for.
float to_bytes(const float* values, std::size_t count, std::int8_t* bytes) {
    float top = 0;
    for (std::size_t i = 0; i < count; ++i) top = std::max(top, std::fabs(values[i]));
    const float inverse = kByteTop / top;
    if (!(inverse > 0 && inverse <= std::numeric_limits<float>::max())) {  // all zero, or too small to divide by
        std::memset(bytes, 0, count);
        return 0;
    }
    // Adding 1.5 * 2^23 leaves the nearest integer, ties to even, in the low bits of the sum.
    for (std::size_t i = 0; i < count; ++i)
        bytes[i] = static_cast<std::int8_t>(std::bit_cast<std::uint32_t>(values[i] * inverse + 12582912.0f));
    return top / kByteTop;
}

}  // namespace

CodeQueries::CodeQueries(const GraphArrays& graph) : graph_(graph) {
    const std::size_t dim = graph.rows.dim;
    groups_ = (dim + 7) / 8 * 2;
    const std::size_t nblocks = (graph.ndirections + kBlockRows - 1) / kBlockRows;
    rotation_.assign(nblocks * groups_ * kBlockRows * 4, 128);
    for (std::size_t j = 0; j < graph.ndirections; ++j)
        for (std::size_t d = 0; d < dim; ++d)
            rotation_[((j / kBlockRows * groups_ + d / 4) * kBlockRows + j % kBlockRows) * 4 + d % 4] =
                static_cast<std::uint8_t>(graph.directions[j * dim + d] + 128);

    masks_.assign(graph.lines * kCodeLine, 0);
    passes_.assign(graph.lines, 0);
    for (std::size_t f = 0; f < graph.nfields; ++f) {
        const CodeField& field = graph.fields[f];
        masks_[field.byte] = static_cast<std::uint8_t>((1 << field.width) - 1);
        std::uint8_t& passes = passes_[field.byte / kCodeLine];
        passes = std::max(passes, static_cast<std::uint8_t>(8 / field.width));
    }
    std::vector<std::size_t> first(graph.lines);
    nweights_ = 0;
    for (std::size_t line = 0; line < graph.lines; ++line) {
        first[line] = nweights_;
        nweights_ += passes_[line] * kCodeLine;
    }
    places_.resize(graph.nfields);
    for (std::size_t f = 0; f < graph.nfields; ++f) {
        const CodeField& field = graph.fields[f];
        const std::size_t line = field.byte / kCodeLine, pass = field.shift * passes_[line] / 8;
        places_[f] = first[line] + pass * kCodeLine + field.byte % kCodeLine;
    }
    mean_square_ = static_cast<float>(square_of(graph.mean, dim));
}

void CodeQueries::prepare(const float* queries, std::size_t nq, Prepared* out) const {
    constexpr std::size_t kTile = 8;
    const Ops& ops = current_ops();
    const std::size_t dim = graph_.rows.dim, stride = groups_ * 4;
    const std::size_t nblocks = rotation_.size() / (groups_ * kBlockRows * 4), columns = nblocks * kBlockRows;
    std::vector<float> centred(dim), products(kTile * (columns + kOutPadding));
    std::vector<std::int8_t> bytes(kTile * stride);
    for (std::size_t begin = 0; begin < nq; begin += kTile) {
        const std::size_t count = std::min(kTile, nq - begin);
        std::int32_t sums[kTile];
        float units[kTile];
        for (std::size_t q = 0; q < count; ++q) {
            const float* query = queries + (begin + q) * dim;
            Prepared& prepared = out[begin + q];
            double along = 0;
            for (std::size_t d = 0; d < dim; ++d) along += static_cast<double>(query[d]) * graph_.mean[d];
            const double square = square_of(query, dim);
            double scale = 1;  // beyond a float's range for the shortest queries
            if (graph_.metric == Metric::l2) {
                for (std::size_t d = 0; d < dim; ++d) centred[d] = query[d] - graph_.mean[d];
                prepared.base = static_cast<float>(square - 2 * along + mean_square_);
            } else {
                if (graph_.metric == Metric::cosine) scale = square > 0 ? 1 / std::sqrt(square) : 0;
                for (std::size_t d = 0; d < dim; ++d) centred[d] = static_cast<float>(query[d] * scale);
                prepared.base = static_cast<float>(-along * scale) + (graph_.metric == Metric::cosine ? 1.0f : 0.0f);
            }
            std::int8_t* to = bytes.data() + q * stride;
            std::memset(to + dim, 0, stride - dim);
            units[q] = to_bytes(centred.data(), dim, to);
            sums[q] = 0;
            for (std::size_t d = 0; d < dim; ++d) sums[q] += to[d];
        }
        const ByteQueries rounded{bytes.data(), stride, sums, nullptr};
        const std::size_t tile = ops.code_dots.tile;
        for (std::size_t q = 0; q < count; q += tile) {
            const ByteQueries part{rounded.values + q * stride, stride, rounded.sums + q, nullptr};
            ops.code_dots.bytes(part, std::min(tile, count - q), rotation_.data(), nblocks,
                                products.data() + q * columns, columns);
        }
        for (std::size_t q = 0; q < count; ++q) {
            float* rotated = products.data() + q * columns;
            for (std::size_t j = 0; j < graph_.ndirections; ++j) rotated[j] *= units[q] * graph_.direction_scales[j];
            round(rotated, out[begin + q]);
        }
    }
}

void CodeQueries::round(const float* rotated, Prepared& out) const {
    std::vector<float> weights(graph_.nfields);
    std::vector<std::int8_t> bytes(graph_.nfields);
    for (std::size_t f = 0; f < graph_.nfields; ++f)
        weights[f] = graph_.field_weights[f] * rotated[graph_.fields[f].direction];
    const float unit = to_bytes(weights.data(), graph_.nfields, bytes.data());
    out.weights.assign(nweights_, 0);
    std::int64_t doubled = 0;  // a field of w bits has the mean (2^w - 1) / 2
    for (std::size_t f = 0; f < graph_.nfields; ++f) {
        out.weights[places_[f]] = bytes[f];
        doubled += static_cast<std::int64_t>(bytes[f]) * ((1 << graph_.fields[f].width) - 1);
    }
    out.bias = static_cast<float>(doubled) * 0.5f;
    out.query_scale = unit * graph_.scale_unit;
}

CodeQuery CodeQueries::view(const Prepared& prepared) const {
    return {graph_.lines,  masks_.data(),        passes_.data(), prepared.weights.data(),
            prepared.bias, prepared.query_scale, graph_.add_unit};
}

}  // namespace vecstore
