#include "token_pool.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <vector>

#include "scan.h"

namespace vecstore {
namespace {

struct Merge {
    double height;
    std::size_t first, second;
};

// One row's clustering; buffers are kept from row to row.
class Ward {
 public:
    explicit Ward(std::size_t dim) : dim_(dim) {}

    // Labels 0..clusters-1 of n tokens, numbered by first token.
    const std::vector<std::size_t>& labels(const float* tokens, std::size_t n, std::size_t clusters) {
        fill_distances(tokens, n);
        chain(n);
        std::stable_sort(merges_.begin(), merges_.end(),
                         [](const Merge& a, const Merge& b) { return a.height < b.height; });
        roots_.resize(n);
        std::iota(roots_.begin(), roots_.end(), std::size_t{0});
        for (std::size_t i = 0; i + clusters < n; ++i) {
            const std::size_t a = root(merges_[i].first), b = root(merges_[i].second);
            roots_[std::max(a, b)] = std::min(a, b);
        }
        labels_.resize(n);
        std::size_t next = 0;
        for (std::size_t t = 0; t < n; ++t) {
            const std::size_t at = root(t);
            labels_[t] = at == t ? next++ : labels_[at];
        }
        return labels_;
    }

 private:
    std::size_t root(std::size_t t) const {
        while (roots_[t] != t) t = roots_[t];
        return t;
    }

    // Squared distances of directions, 2 - 2 cos, from tokens rounded to bytes: exact integers, the same everywhere.
    void fill_distances(const float* tokens, std::size_t n) {
        bytes_.resize(n * dim_);
        lengths_.resize(n);
        for (std::size_t t = 0; t < n; ++t) {
            const float* token = tokens + t * dim_;
            float top = 0;
            for (std::size_t d = 0; d < dim_; ++d) top = std::max(top, std::fabs(token[d]));
            const float inverse = top > 0 ? 127.0f / top : 0.0f;
            std::int64_t squares = 0;
            for (std::size_t d = 0; d < dim_; ++d) {
                const float scaled = token[d] * inverse;
                const auto value = static_cast<std::int16_t>((scaled + 12582912.0f) - 12582912.0f);
                bytes_[t * dim_ + d] = value;
                squares += value * value;
            }
            lengths_[t] = std::sqrt(static_cast<double>(squares));
        }
        distances_.resize(n * n);
        for (std::size_t a = 0; a < n; ++a) {
            for (std::size_t b = 0; b < a; ++b) {
                std::int32_t product = 0;
                for (std::size_t d = 0; d < dim_; ++d) product += bytes_[a * dim_ + d] * bytes_[b * dim_ + d];
                const double norms = lengths_[a] * lengths_[b];
                const double cosine = norms > 0 ? product / norms : 0.0;
                distances_[a * n + b] = distances_[b * n + a] = 2.0 - 2.0 * cosine;
            }
        }
    }

    // Merges by chains of nearest neighbours; of equal ones the one before in the chain, then the lowest.
    void chain(std::size_t n) {
        merges_.clear();
        path_.clear();
        sizes_.assign(n, 1.0);
        active_.resize(n);
        std::iota(active_.begin(), active_.end(), std::size_t{0});
        while (active_.size() > 1) {
            if (path_.empty()) path_.push_back(active_.front());
            for (;;) {
                const std::size_t at = path_.back();
                const std::size_t before = path_.size() > 1 ? path_[path_.size() - 2] : n;
                std::size_t nearest = before;
                double least = before < n ? distances_[at * n + before] : std::numeric_limits<double>::infinity();
                for (const std::size_t other : active_) {
                    if (other != at && distances_[at * n + other] < least) {
                        least = distances_[at * n + other];
                        nearest = other;
                    }
                }
                if (nearest == before) break;
                path_.push_back(nearest);
            }
            const std::size_t a = path_.back(), b = path_[path_.size() - 2];
            path_.resize(path_.size() - 2);
            merge(n, std::min(a, b), std::max(a, b));
        }
    }

    // Lance and Williams' update for Ward, of squared distances.
    void merge(std::size_t n, std::size_t a, std::size_t b) {
        const double height = distances_[a * n + b];
        merges_.push_back({height, a, b});
        active_.erase(std::lower_bound(active_.begin(), active_.end(), b));
        for (const std::size_t other : active_) {
            if (other == a) continue;
            const double size = sizes_[other];
            const double sum = (size + sizes_[a]) * distances_[a * n + other] +
                               (size + sizes_[b]) * distances_[b * n + other] - size * height;
            distances_[a * n + other] = distances_[other * n + a] = sum / (size + sizes_[a] + sizes_[b]);
        }
        sizes_[a] += sizes_[b];
    }

    std::size_t dim_;
    std::vector<std::int16_t> bytes_;
    std::vector<double> lengths_, distances_, sizes_;
    std::vector<std::size_t> active_, path_, roots_, labels_;
    std::vector<Merge> merges_;
};

double length_of(const float* token, std::size_t dim) {
    double squares = 0;
    for (std::size_t d = 0; d < dim; ++d) squares += static_cast<double>(token[d]) * static_cast<double>(token[d]);
    return std::sqrt(squares);
}

void means(const float* tokens, std::size_t dim, const std::vector<std::size_t>& labels, std::size_t clusters,
           float* out) {
    std::vector<double> sums(clusters * dim), lengths(clusters);
    std::vector<std::size_t> counts(clusters), only(clusters);
    for (std::size_t t = 0; t < labels.size(); ++t) {
        const float* token = tokens + t * dim;
        const double length = length_of(token, dim);
        double* sum = sums.data() + labels[t] * dim;
        for (std::size_t d = 0; d < dim; ++d) sum[d] += length > 0 ? static_cast<double>(token[d]) / length : 0.0;
        lengths[labels[t]] += length;
        only[labels[t]] = t;
        ++counts[labels[t]];
    }
    for (std::size_t c = 0; c < clusters; ++c) {
        if (counts[c] == 1) {
            std::copy_n(tokens + only[c] * dim, dim, out + c * dim);
            continue;
        }
        double squares = 0;
        for (std::size_t d = 0; d < dim; ++d) squares += sums[c * dim + d] * sums[c * dim + d];
        const double mean = lengths[c] / static_cast<double>(counts[c]);
        const double scale = squares > 0 ? mean / std::sqrt(squares) : 0.0;
        for (std::size_t d = 0; d < dim; ++d) out[c * dim + d] = static_cast<float>(sums[c * dim + d] * scale);
    }
}

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
            means(from + whole * dim, dim, ward.labels(from + whole * dim, rest, clusters), clusters, to + whole * dim);
        }
    });
}

}  // namespace vecstore
