// Scores by bytes tell all scores but for what rounding a query's and the rows' tokens may have changed. For each token
// of a query |<q, t> - <q', t'>| <= |q - q'| |t'| + |q| |t - t'| (Cauchy-Schwarz), so that the best product with a row
// is off by no more than the largest of these, and the score by no more than their sum. The k nearest by bytes are
// compared in full, then what may be as near as the farthest of them.
#include "maxsim_bytes.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "allowed.h"
#include "dispatch.h"
#include "maxsim_document.h"
#include "stop.h"
#include "token_codes.h"
#include "token_queries.h"

namespace vecstore {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr std::size_t kTaskTokens = 1 << 13;
constexpr std::size_t kCompared = 64;  // rows that are compared before it is looked at which are still open

// A row that may be among the nearest.
struct Open {
    double least;  // its distance is no smaller
    float about;   // by bytes
    std::uint32_t row;
};

// How far scores by bytes of one query may be off.
class Slack {
 public:
    Slack(const TokenRows& queries, std::size_t query, const ByteQuery& rounded) {
        const auto* token = reinterpret_cast<const float*>(queries.at(query));
        const ByteLanes lanes = rounded.lanes();
        for (std::size_t t = 0; t < rounded.tokens(); ++t, token += queries.dim) {
            double square = 0, missed = 0;
            for (std::size_t d = 0; d < queries.dim; ++d) {
                const double stands =
                    static_cast<double>(lanes.steps[t]) * lanes.values[(d / 4 * lanes.width + t) * 4 + d % 4];
                square += static_cast<double>(token[d]) * token[d];
                missed += (token[d] - stands) * (token[d] - stands);
            }
            missed_ += std::sqrt(missed);
            length_ += std::sqrt(square);
        }
        rounding_ = 1.2e-7 * static_cast<double>(queries.dim + 16);
    }

    // Infinite or no number where nothing is known.
    double of(const TokenRowBytes& bytes, std::size_t row) const {
        const double error = bytes.errors[row], length = bytes.lengths[row];
        return 1.0001 * (missed_ * length + length_ * error) + rounding_ * length_ * (length + error) + 1e-37;
    }

 private:
    double missed_ = 0, length_ = 0, rounding_;  // the first two are sums over the query's tokens
};

// One query.
class Search {
 public:
    Search(const MaxSimOps& ops, const TokenRows& queries, std::size_t query, const TokenRows& rows,
           const TokenRowBytes& bytes, const std::uint64_t* allowed, std::size_t k)
        : ops_(ops),
          rows_(rows),
          bytes_(bytes),
          allowed_(allowed),
          k_(k),
          rounded_(queries, query, bytes.width / 4, 1, 1.0f),
          exact_(queries, query, 1),
          slack_(queries, query, rounded_) {}

    std::size_t run(std::int64_t* out_rows, float* out_distances, std::size_t places) {
        look_at_all();
        // What is no farther than the k-th of the farthest that rows may be.
        const double most = farthest_.size() < k_ ? kInfinity : kth_farthest();
        std::erase_if(open_, [&](const Open& one) { return one.least > most; });
        std::sort(open_.begin(), open_.end(),
                  [](const Open& a, const Open& b) { return a.about != b.about ? a.about < b.about : a.row < b.row; });
        const std::size_t first = std::min(open_.size(), std::max(k_, kCompared));
        compare(0, first);
        std::sort(open_.begin() + static_cast<std::ptrdiff_t>(first), open_.end(),
                  [](const Open& a, const Open& b) { return a.least < b.least; });
        for (std::size_t i = first; i < open_.size() && open_[i].least <= bound(); i += kCompared)
            compare(i, std::min(open_.size(), i + kCompared));
        write_nearest(nearest_, k_, out_rows, out_distances, places);
        return compared_;
    }

 private:
    void look_at_all() {
        const std::size_t mean = std::max<std::size_t>(1, rows_.total() / std::max<std::size_t>(1, rows_.n));
        const std::size_t task_rows = std::max<std::size_t>(16, kTaskTokens / mean);
        const std::size_t tasks = (rows_.n + task_rows - 1) / task_rows;
        const std::size_t work = rows_.total() * rows_.dim * rounded_.width() / 16;
        const std::size_t workers = std::max<std::size_t>(1, std::min(workers_for(work), tasks));
        struct Seen {
            std::vector<Open> open;
            std::vector<double> farthest;
        };
        std::vector<Seen> seen(workers);
        parallel_for(tasks, workers, [&](std::size_t w, std::size_t task) {
            std::vector<float> best(rounded_.width());
            const std::size_t end = std::min(rows_.n, (task + 1) * task_rows);
            for (std::size_t row = task * task_rows; row < end; ++row) {
                if (!is_allowed(allowed_, row) || rows_.count(row) == 0) continue;
                Open one{-kInfinity, -std::numeric_limits<float>::infinity(), static_cast<std::uint32_t>(row)};
                const double slack = row < bytes_.n ? slack_.of(bytes_, row) : kInfinity;
                double most = kInfinity;
                if (slack < kInfinity) {
                    one.about = by_bytes(row, best);
                    one.least = one.about - slack;
                    most = one.about + slack;
                }
                seen[w].open.push_back(one);
                seen[w].farthest.push_back(most);
            }
        });
        for (const Seen& some : seen) {
            open_.insert(open_.end(), some.open.begin(), some.open.end());
            farthest_.insert(farthest_.end(), some.farthest.begin(), some.farthest.end());
        }
    }

    float by_bytes(std::size_t row, std::vector<float>& best) const {
        std::fill(best.begin(), best.end(), -std::numeric_limits<float>::infinity());
        const auto first = static_cast<std::size_t>(rows_.offsets[row]);
        const TokenBytes tokens{bytes_.bytes + first * bytes_.width, rows_.count(row), 1, bytes_.width / 4, 0};
        ops_.best_bytes(rounded_.lanes(), tokens, {bytes_.scales + first, nullptr, nullptr}, best.data());
        double sum = 0;
        for (std::size_t lane = 0; lane < rounded_.tokens(); ++lane) sum += static_cast<double>(best[lane]);
        return static_cast<float>(0 - sum);
    }

    double kth_farthest() {
        const auto kth = farthest_.begin() + static_cast<std::ptrdiff_t>(k_ - 1);
        std::nth_element(farthest_.begin(), kth, farthest_.end());
        return *kth;
    }

    // The distance of the k-th nearest that was compared.
    double bound() {
        if (nearest_.size() < k_) return kInfinity;
        const auto kth = nearest_.begin() + static_cast<std::ptrdiff_t>(k_) - 1;
        std::nth_element(nearest_.begin(), kth, nearest_.end());
        nearest_.resize(k_);
        return static_cast<double>(nearest_.back().distance);
    }

    // In full.
    void compare(std::size_t begin, std::size_t end) {
        const std::size_t mean = std::max<std::size_t>(1, rows_.total() / std::max<std::size_t>(1, rows_.n));
        const std::size_t work = (end - begin) * mean * rows_.dim * exact_.width() / 4;
        const std::size_t held = nearest_.size();
        nearest_.resize(held + end - begin);
        parallel_for(end - begin, workers_for(work), [&](std::size_t, std::size_t i) {
            Document document(ops_, rows_, exact_);
            const std::size_t row = open_[begin + i].row;
            float distance = exact_.distance(0, document.best(row));
            if (!(distance <= std::numeric_limits<float>::infinity()))
                distance = std::numeric_limits<float>::infinity();
            nearest_[held + i] = {distance, static_cast<std::int64_t>(row)};
        });
        compared_ += end - begin;
    }

    const MaxSimOps& ops_;
    const TokenRows& rows_;
    const TokenRowBytes& bytes_;
    const std::uint64_t* allowed_;
    std::size_t k_;
    ByteQuery rounded_;
    TokenQueries exact_;
    Slack slack_;
    std::vector<Open> open_;
    std::vector<double> farthest_;  // that each row seen may be
    std::vector<Neighbour> nearest_;
    std::size_t compared_ = 0;
};

}  // namespace

std::size_t maxsim_scan_by_bytes(const TokenRows& queries, const TokenRows& rows, const TokenRowBytes& bytes,
                                 const std::uint64_t* allowed, const TopKOutput& output) {
    const MaxSimOps& ops = current_maxsim_ops();
    const std::size_t k = std::min(output.k, rows.n);
    std::size_t compared = 0;
    for (std::size_t q = 0; q < queries.n; ++q) {
        Search search(ops, queries, q, rows, bytes, allowed, k);
        compared += search.run(output.rows + q * output.k, output.distances + q * output.k, output.k);
    }
    return compared;
}

void round_tokens(const TokenRows& rows, const TokenRowBytesOutput& output) {
    const Ops& ops = current_ops();
    const RoundRowFn round = ops.round_row[static_cast<int>(rows.half ? Element::f16 : Element::f32)];
    const std::size_t width = (rows.dim + 3) / 4 * 4, token_bytes = rows.dim * (rows.half ? 2 : 4);
    constexpr std::size_t kTaskRows = 64;
    const std::size_t tasks = (rows.n + kTaskRows - 1) / kTaskRows;
    parallel_for(tasks, workers_for(rows.total() * token_bytes), [&](std::size_t, std::size_t task) {
        std::vector<float> numbers(rows.dim);
        std::vector<std::int8_t> bytes(width);
        StopPoll poll;
        for (std::size_t row = task * kTaskRows; row < std::min(rows.n, (task + 1) * kTaskRows); ++row) {
            float error = 0, length = 0;
            poll(rows.count(row) * token_bytes);
            for (std::size_t i = 0; i < rows.count(row); ++i) {
                const std::size_t t = static_cast<std::size_t>(rows.offsets[row]) + i;
                RowRounding rounding;
                round(rows.at(row) + i * token_bytes, rows.dim, numbers.data(), bytes.data(), &rounding);
                const float missed = std::sqrt(rounding.missed), most = std::sqrt(rounding.square) + missed;
                const bool known = most + missed < std::numeric_limits<float>::infinity();
                error = std::max(error, known ? missed : std::numeric_limits<float>::infinity());
                length = std::max(length, known ? most : 0);
                output.scales[t] = rounding.scale;
                for (std::size_t d = 0; d < width; ++d)
                    output.bytes[t * width + d] = static_cast<std::uint8_t>(bytes[d] + 128);
            }
            output.errors[row] = 1.0001f * error;
            output.lengths[row] = 1.0001f * length;
        }
    });
}

}  // namespace vecstore
