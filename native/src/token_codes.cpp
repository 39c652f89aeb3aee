#include "token_codes.h"

#include <cmath>
#include <limits>

#include "half.h"
#include "stop.h"

namespace vecstore {
namespace {

constexpr std::size_t kScratchTokens = 128;  // spread at once; their bytes stay in the first-level cache
constexpr std::size_t kRerankRows = 16;      // that a thread takes at once

// To even at halves, for numbers below 2^22: the sum has no bits below the unit. (The library's call is slow here.)
float nearest_integer(float x) { return (x + 12582912.0f) - 12582912.0f; }

// The score of one row at a time, with what one thread needs for it.
class CodedDocument {
 public:
    CodedDocument(const MaxSimOps& ops, const TokenCodes& codes, const ByteQuery& query, const float* bases)
        : ops_(ops), codes_(codes), query_(query), bases_(bases), best_(query.width()), scales_(kScratchTokens) {
        if (codes.bits < 8) scratch_.resize(codes.planes() * kScratchTokens * codes.code_bytes);
    }

    float distance(std::size_t row) {
        std::fill(best_.begin(), best_.end(), -std::numeric_limits<float>::infinity());
        const auto end = static_cast<std::size_t>(codes_.offsets[row + 1]);
        for (auto t = static_cast<std::size_t>(codes_.offsets[row]); t < end; t += kScratchTokens)
            add(t, std::min(kScratchTokens, end - t));
        double sum = 0;
        for (std::size_t lane = 0; lane < query_.tokens(); ++lane) sum += static_cast<double>(best_[lane]);
        return static_cast<float>(0 - sum);
    }

 private:
    void add(std::size_t first, std::size_t n) {
        poll_(n * codes_.dim * query_.width() / 16);  // products of bytes in the time of a byte read
        const std::uint8_t* bytes = codes_.codes + first * codes_.code_bytes;
        const std::size_t stride = n * codes_.code_bytes;
        if (codes_.bits < 8) {
            ops_.spread(bytes, stride, codes_.bits, codes_.levels, scratch_.data(), stride);
            bytes = scratch_.data();
        }
        const float* scales = reinterpret_cast<const float*>(codes_.scales) + first;
        if (codes_.scale_values != nullptr) {
            for (std::size_t i = 0; i < n; ++i) scales_[i] = codes_.scale_values[codes_.scales[first + i]];
            scales = scales_.data();
        } else if (codes_.half_scales) {
            ops_.widen(reinterpret_cast<const std::uint16_t*>(codes_.scales) + first, n, scales_.data());
            scales = scales_.data();
        }
        const std::uint16_t* homes = codes_.homes == nullptr ? nullptr : codes_.homes + first;
        ops_.best_bytes(query_.lanes(), {bytes, n, codes_.planes(), codes_.code_bytes / 4, stride},
                        {scales, bases_, homes}, best_.data());
    }

    const MaxSimOps& ops_;
    const TokenCodes& codes_;
    const ByteQuery& query_;
    const float* bases_;
    std::vector<float> best_;
    std::vector<float> scales_;
    std::vector<std::uint8_t> scratch_;
    StopPoll poll_;
};

}  // namespace

ByteQuery::ByteQuery(const TokenRows& queries, std::size_t query, std::size_t groups, std::size_t planes, float step)
    : tokens_(queries.count(query)), width_((tokens_ + kTokenLanes - 1) / kTokenLanes * kTokenLanes) {
    const std::size_t dims = groups * planes * 4;
    values_.assign(dims * width_, 0);
    starts_.assign(width_, 0);
    steps_.assign(width_, 0.0f);
    const auto* tokens = reinterpret_cast<const float*>(queries.at(query));
    for (std::size_t t = 0; t < tokens_; ++t) {
        const float* token = tokens + t * queries.dim;
        float top = 0;
        for (std::size_t d = 0; d < queries.dim; ++d) top = std::max(top, std::fabs(token[d]));
        const float inverse = top > 0 ? 127.0f / top : 0.0f;
        std::int32_t sum = 0, squares = 0;
        for (std::size_t d = 0; d < queries.dim; ++d) {
            const auto value = static_cast<std::int32_t>(nearest_integer(token[d] * inverse));
            values_[(d / 4 * width_ + t) * 4 + d % 4] = static_cast<std::int8_t>(value);
            sum += value;
            squares += value * value;
        }
        starts_[t] = -128 * sum;
        steps_[t] = top / 127.0f * step;
        length_ = std::max(length_, static_cast<float>(std::sqrt(static_cast<double>(squares))) * (top / 127.0f));
    }
}

float longest_centroid(const TokenCodes& codes) {
    float longest = 0;
    for (std::size_t c = 0; c < codes.ncentroids; ++c) {
        std::int32_t squares = 0;
        for (std::size_t d = 0; d < codes.dim; ++d) {
            const std::int32_t value = codes.centroids[c * codes.centroid_bytes + d] - 128;
            squares += value * value;
        }
        const float length = static_cast<float>(std::sqrt(static_cast<double>(squares))) * codes.centroid_scales[c];
        longest = std::max(longest, length);
    }
    return longest;
}

void centroid_values(const MaxSimOps& ops, const TokenCodes& codes, const ByteQuery& query, float* out) {
    const TokenBytes centroids{codes.centroids, codes.ncentroids, 1, codes.centroid_bytes / 4, 0};
    ops.values(query.lanes(), centroids, {codes.centroid_scales, nullptr, nullptr}, out);
}

void token_rerank(const TokenCodes& codes, const TokenRows& queries, const std::int64_t* candidates, std::size_t m,
                  float* distances) {
    const MaxSimOps& ops = current_maxsim_ops();
    const std::size_t parts = (m + kRerankRows - 1) / kRerankRows;
    const std::size_t mean = codes.n == 0 ? 0 : static_cast<std::size_t>(codes.offsets[codes.n]) / codes.n;
    std::vector<ByteQuery> prepared;
    static thread_local std::vector<float> bases;  // kept: the system would take so much memory back and clear it again
    std::vector<std::size_t> starts(queries.n);
    std::size_t held = 0;
    prepared.reserve(queries.n);
    for (std::size_t q = 0; q < queries.n; ++q) {
        prepared.emplace_back(queries, q, codes.code_bytes / 4, codes.planes(), codes.step);
        if (codes.homes == nullptr) continue;
        const ByteQuery plain(queries, q, codes.centroid_bytes / 4, 1, 1.0f);
        starts[q] = held;
        held += codes.ncentroids * plain.width();
        if (bases.size() < held) bases.resize(held);
        centroid_values(ops, codes, plain, bases.data() + starts[q]);
    }
    const float* values = bases.data();
    const std::size_t work = queries.total() * m * mean * codes.dim / 4;
    parallel_for(queries.n * parts, workers_for(work), [&](std::size_t, std::size_t task) {
        const std::size_t q = task / parts, begin = task % parts * kRerankRows;
        CodedDocument document(ops, codes, prepared[q], values + starts[q]);
        for (std::size_t i = begin; i < std::min(m, begin + kRerankRows); ++i) {
            const std::int64_t row = candidates[q * m + i];
            const bool there = row >= 0 && codes.count(static_cast<std::size_t>(row)) != 0;
            distances[q * m + i] =
                there ? document.distance(static_cast<std::size_t>(row)) : std::numeric_limits<float>::infinity();
        }
    });
}

void nearest_centroids(const TokenCodes& codes, const float* tokens, std::size_t n, std::uint16_t* homes) {
    constexpr std::size_t kLanes = 256;      // tokens together, so that a block of centroids is read for all of them
    constexpr std::size_t kCentroids = 256;  // their bytes stay in the first-level cache for all lanes
    const MaxSimOps& ops = current_maxsim_ops();
    const std::size_t tasks = (n + kLanes - 1) / kLanes;
    const std::size_t work = n * codes.ncentroids * codes.centroid_bytes / 4;
    parallel_for(tasks, workers_for(work), [&](std::size_t, std::size_t task) {
        const std::size_t begin = task * kLanes, count = std::min(kLanes, n - begin);
        const std::int64_t offsets[2] = {0, static_cast<std::int64_t>(count)};
        const TokenRows rows{offsets, 1, reinterpret_cast<const std::uint8_t*>(tokens + begin * codes.dim), codes.dim,
                             false};
        const ByteQuery query(rows, 0, codes.centroid_bytes / 4, 1, 1.0f);
        std::vector<float> best(query.width(), -std::numeric_limits<float>::infinity());
        std::vector<std::int32_t> numbers(query.width(), 0);
        for (std::size_t c = 0; c < codes.ncentroids; c += kCentroids) {
            const std::size_t some = std::min(kCentroids, codes.ncentroids - c);
            const TokenBytes block{codes.centroids + c * codes.centroid_bytes, some, 1, codes.centroid_bytes / 4, 0};
            ops.nearest(query.lanes(), block, {codes.centroid_scales + c, nullptr, nullptr},
                        static_cast<std::int32_t>(c), best.data(), numbers.data());
        }
        for (std::size_t t = 0; t < count; ++t) homes[begin + t] = static_cast<std::uint16_t>(numbers[t]);
    });
}

}  // namespace vecstore
