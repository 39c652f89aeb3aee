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
#include "maxsim_seen.h"
#include "stop.h"
#include "token_codes.h"
#include "token_queries.h"

namespace vecstore {
namespace {

constexpr double kInfinity = Seen::kInfinity;
constexpr std::size_t kTaskTokens = 1 << 13;
constexpr std::size_t kCompared = 64;     // rows that are compared before it is looked at which are still open
constexpr std::int64_t kTileTokens = 64;  // query tokens that share a pass over the rows

// One query among those that share a pass over the rows.
class Asked {
 public:
    Asked(const TokenRows& queries, std::size_t query, const ByteLanes& lanes, std::size_t first_lane, std::size_t k)
        : first_(first_lane), end_(first_lane + queries.count(query)), k_(k), exact_(queries, query, 1) {
        const auto* token = reinterpret_cast<const float*>(queries.at(query));
        for (std::size_t lane = first_; lane < end_; ++lane, token += queries.dim) {
            double square = 0, missed = 0;
            for (std::size_t d = 0; d < queries.dim; ++d) {
                const double stands =
                    static_cast<double>(lanes.steps[lane]) * lanes.values[(d / 4 * lanes.width + lane) * 4 + d % 4];
                square += static_cast<double>(token[d]) * token[d];
                missed += (token[d] - stands) * (token[d] - stands);
            }
            missed_ += std::sqrt(missed);
            length_ += std::sqrt(square);
        }
        rounding_ = 1.2e-7 * static_cast<double>(queries.dim + 16);
    }

    // How far a row's distance by bytes may be off: infinite or no number where nothing is known.
    double slack(double error, double length) const {
        return 1.0001 * (missed_ * length + length_ * error) + rounding_ * length_ * (length + error) + 1e-37;
    }

    float distance(const float* best) const {
        double sum = 0;
        for (std::size_t lane = first_; lane < end_; ++lane) sum += static_cast<double>(best[lane]);
        return static_cast<float>(0 - sum);
    }

    // The nearest of the rows left open, the first by bytes first. Returns how many were compared in full.
    std::size_t compare(const MaxSimOps& ops, const TokenRows& rows, std::vector<Open>& open) {
        std::sort(open.begin(), open.end(),
                  [](const Open& a, const Open& b) { return a.about != b.about ? a.about < b.about : a.row < b.row; });
        const std::size_t first = std::min(open.size(), std::max(k_, kCompared));
        compare(ops, rows, open.data(), first);
        std::sort(open.begin() + static_cast<std::ptrdiff_t>(first), open.end(),
                  [](const Open& a, const Open& b) { return a.least < b.least; });
        std::size_t done = first;
        while (done < open.size() && open[done].least <= bound()) {
            const std::size_t some = std::min(kCompared, open.size() - done);
            compare(ops, rows, open.data() + done, some);
            done += some;
        }
        return done;
    }

    void write(std::int64_t* rows, float* distances, std::size_t places) {
        write_nearest(nearest_, k_, rows, distances, places);
    }

 private:
    // The distance of the k-th nearest that was compared.
    double bound() {
        if (nearest_.size() < k_) return kInfinity;
        const auto kth = nearest_.begin() + static_cast<std::ptrdiff_t>(k_) - 1;
        std::nth_element(nearest_.begin(), kth, nearest_.end());
        nearest_.resize(k_);
        return static_cast<double>(nearest_.back().distance);
    }

    void compare(const MaxSimOps& ops, const TokenRows& rows, const Open* open, std::size_t count) {
        const std::size_t mean = std::max<std::size_t>(1, rows.total() / std::max<std::size_t>(1, rows.n));
        const std::size_t work = count * mean * rows.dim * exact_.width() / 4;
        const std::size_t held = nearest_.size();
        nearest_.resize(held + count);
        parallel_for(count, workers_for(work), [&](std::size_t, std::size_t i) {
            Document document(ops, rows, exact_);
            float distance = exact_.distance(0, document.best(open[i].row));
            if (!(distance <= std::numeric_limits<float>::infinity()))
                distance = std::numeric_limits<float>::infinity();
            nearest_[held + i] = {distance, static_cast<std::int64_t>(open[i].row)};
        });
    }

    std::size_t first_, end_;  // its lanes
    std::size_t k_;
    TokenQueries exact_;
    double missed_ = 0, length_ = 0;  // of its tokens together: what bytes miss of them, how long they are
    double rounding_;
    std::vector<Neighbour> nearest_;
};

// For each query of a tile what may be among its k nearest rows.
std::vector<Seen> seen_of(const MaxSimOps& ops, const ByteQuery& lanes, const std::vector<Asked>& asked,
                          const TokenRows& rows, const TokenRowBytes& bytes, const std::uint64_t* allowed,
                          std::size_t k) {
    const std::size_t mean = std::max<std::size_t>(1, rows.total() / std::max<std::size_t>(1, rows.n));
    const std::size_t task_rows = std::max<std::size_t>(16, kTaskTokens / mean);
    const std::size_t tasks = (rows.n + task_rows - 1) / task_rows;
    const std::size_t work = rows.total() * rows.dim * lanes.width() / 16;
    const std::size_t workers = std::max<std::size_t>(1, std::min(workers_for(work), tasks));
    std::vector<std::vector<Seen>> seen(workers, std::vector<Seen>(asked.size(), Seen(k)));
    parallel_for(tasks, workers, [&](std::size_t w, std::size_t task) {
        std::vector<float> best(lanes.width());
        StopPoll poll;
        for (std::size_t row = task * task_rows; row < std::min(rows.n, (task + 1) * task_rows); ++row) {
            if (!is_allowed(allowed, row) || rows.count(row) == 0) continue;
            if (row < bytes.n) {
                poll(rows.count(row) * rows.dim * lanes.width() / 16);  // products in the time of a byte read
                std::fill(best.begin(), best.end(), -std::numeric_limits<float>::infinity());
                const auto first = static_cast<std::size_t>(rows.offsets[row]);
                const TokenBytes tokens{bytes.bytes + first * bytes.width, rows.count(row), 1, bytes.width / 4, 0};
                ops.best_bytes(lanes.lanes(), tokens, {bytes.scales + first, nullptr, nullptr}, best.data());
            }
            for (std::size_t q = 0; q < asked.size(); ++q) {
                const auto number = static_cast<std::uint32_t>(row);
                const double slack = row < bytes.n ? asked[q].slack(bytes.errors[row], bytes.lengths[row]) : kInfinity;
                if (slack < kInfinity)
                    seen[w][q].add(number, asked[q].distance(best.data()), slack);
                else
                    seen[w][q].add(number);
            }
        }
    });
    for (std::size_t w = 1; w < workers; ++w)
        for (std::size_t q = 0; q < asked.size(); ++q) seen[0][q].merge(seen[w][q]);
    return std::move(seen[0]);
}

}  // namespace

std::size_t maxsim_scan_by_bytes(const TokenRows& queries, const TokenRows& rows, const TokenRowBytes& bytes,
                                 const std::uint64_t* allowed, const TopKOutput& output) {
    const MaxSimOps& ops = current_maxsim_ops();
    const std::size_t k = std::min(output.k, rows.n);
    std::size_t compared = 0, first = 0;
    while (first < queries.n) {
        std::size_t end = first + 1;
        while (end < queries.n && queries.offsets[end + 1] - queries.offsets[first] <= kTileTokens) ++end;
        const std::int64_t ends[2] = {queries.offsets[first], queries.offsets[end]};
        const TokenRows together{ends, 1, queries.tokens, queries.dim, queries.half};
        const ByteQuery lanes(together, 0, bytes.width / 4, 1, 1.0f);
        std::vector<Asked> asked;
        for (std::size_t q = first; q < end; ++q)
            asked.emplace_back(queries, q, lanes.lanes(), static_cast<std::size_t>(queries.offsets[q] - ends[0]), k);
        std::vector<Seen> seen = seen_of(ops, lanes, asked, rows, bytes, allowed, k);
        for (std::size_t q = first; q < end; ++q) {
            Asked& one = asked[q - first];
            compared += one.compare(ops, rows, seen[q - first].rows());
            one.write(output.rows + q * output.k, output.distances + q * output.k, output.k);
        }
        first = end;
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
