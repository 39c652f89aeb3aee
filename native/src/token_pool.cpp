#include "token_pool.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "ops_choice.h"
#include "maxsim.h"
#include "pool_ops.h"
#include "scan.h"

namespace vecstore {
namespace {

const PoolOps& current_pool_ops() {
#if defined(__x86_64__)
    if (isa_is("avx512")) return ops_of<avx512_pool_ops>();
    if (isa_is("avx2")) return ops_of<avx2_pool_ops>();
#endif
    return ops_of<baseline_pool_ops>();
}

// One row's clustering; buffers are kept from row to row.
class Ward {
 public:
    explicit Ward(std::size_t dim) : dim_(dim), groups_((dim + 3) / 4) {}

    // Tokens (n, dim) to `clusters` of them.
    void pool(const float* tokens, std::size_t n, std::size_t clusters, float* out) {
        const PoolState state = room_for(n);
        ops_.to_bytes(state, tokens);
        for (std::size_t v = 0; v < state.stride; v += kPoolLanes)
            products_.values({lanes_.data() + v * groups_ * 4, starts_.data() + v, ones_.data(), kPoolLanes},
                             {rows_.data(), std::min(n, v + kPoolLanes), 1, groups_, 0},
                             {ones_.data(), nullptr, nullptr}, state.products + v * state.stride);
        ops_.start(state);
        ops_.merge(state, n - clusters);
        std::int32_t next = 0;
        for (std::size_t t = 0; t < n; ++t) {
            const auto parent = static_cast<std::size_t>(parents_[t]);
            labels_[t] = parent == t ? next++ : labels_[parent];
        }
        means(state, tokens, clusters, out);
    }

 private:
    PoolState room_for(std::size_t n) {
        const std::size_t stride = (n + kPoolLanes - 1) / kPoolLanes * kPoolLanes;
        if (stride > ones_.size()) {
            rows_.resize(stride * 4 * groups_ + kPoolLanes);
            lanes_.resize(stride * 4 * groups_);
            floats_.resize((kRows + 2 * stride) * stride + kPoolLanes);
            ones_.assign(stride, 1.0f);
            for (auto* numbers : {&starts_, &nearest_, &parents_, &labels_, &counts_}) numbers->resize(stride);
            lengths_.resize(stride);
        }
        void* at = floats_.data();
        std::size_t space = floats_.size() * sizeof(float);
        auto* from = static_cast<float*>(std::align(kPoolLanes * sizeof(float), sizeof(float), at, space));
        const auto row = [&](std::size_t i) { return from + i * stride; };
        return {n,
                dim_,
                stride,
                groups_,
                rows_.data(),
                lanes_.data(),
                starts_.data(),
                row(0),
                row(kRows),
                row(kRows + stride),
                row(1),
                row(2),
                row(3),
                row(4),
                nearest_.data(),
                parents_.data()};
    }

    // The direction of the mean of a cluster's directions, at the mean of their lengths; a single token as it is.
    void means(const PoolState& state, const float* tokens, std::size_t clusters, float* out) {
        std::fill_n(lengths_.begin(), clusters, 0.0f);
        std::fill_n(counts_.begin(), clusters, 0);
        for (std::size_t t = 0; t < state.n; ++t) {
            const auto c = static_cast<std::size_t>(labels_[t]);
            if (state.weights[t] > 0) lengths_[c] += 1.0f / state.weights[t];
            ++counts_[c];
        }
        std::fill_n(out, clusters * dim_, 0.0f);
        ops_.add(state, tokens, labels_.data(), out);
        for (std::size_t c = 0; c < clusters; ++c)
            if (counts_[c] > 1) ops_.lengthen(out + c * dim_, dim_, lengths_[c] / static_cast<float>(counts_[c]));
        for (std::size_t t = 0; t < state.n; ++t) {
            const auto c = static_cast<std::size_t>(labels_[t]);
            if (counts_[c] == 1) std::copy_n(tokens + t * dim_, dim_, out + c * dim_);
        }
    }

    static constexpr std::size_t kRows = 5;  // of floats before products and distances

    const PoolOps& ops_ = current_pool_ops();
    const MaxSimOps& products_ = current_maxsim_ops();
    std::size_t dim_, groups_;
    std::vector<std::uint8_t> rows_;
    std::vector<std::int8_t> lanes_;
    std::vector<std::int32_t> starts_, nearest_, parents_, labels_, counts_;
    std::vector<float> ones_, floats_, lengths_;
};

}  // namespace

void pool_tokens(const float* tokens, std::size_t dim, const std::int64_t* offsets, std::size_t n, std::size_t kept,
                 const std::int64_t* out_offsets, float* out) {
    constexpr std::size_t kRows = 16;  // that a thread takes at once
    const std::size_t tasks = (n + kRows - 1) / kRows;
    const std::size_t mean = n == 0 ? 0 : static_cast<std::size_t>(offsets[n]) / n;
    parallel_for(tasks, std::min(workers_for(n * mean * mean * dim), tasks), [&](std::size_t, std::size_t task) {
        Ward ward(dim);
        for (std::size_t row = task * kRows; row < std::min(n, (task + 1) * kRows); ++row) {
            const auto count = static_cast<std::size_t>(offsets[row + 1] - offsets[row]);
            const std::size_t whole = std::min(kept, count);
            const float* from = tokens + static_cast<std::size_t>(offsets[row]) * dim;
            float* to = out + static_cast<std::size_t>(out_offsets[row]) * dim;
            std::copy_n(from, whole * dim, to);
            const auto clusters = static_cast<std::size_t>(out_offsets[row + 1] - out_offsets[row]) - whole;
            const std::size_t rest = count - whole;
            if (rest == clusters) {
                std::copy_n(from + whole * dim, rest * dim, to + whole * dim);
                continue;
            }
            ward.pool(from + whole * dim, rest, clusters, to + whole * dim);
        }
    });
}

}  // namespace vecstore
