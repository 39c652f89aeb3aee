#include "maxsim.h"

#include <stdexcept>
#include <string>

#include "allowed.h"
#include "maxsim_document.h"
#include "ops_choice.h"
#include "token_queries.h"

namespace vecstore {
namespace {

constexpr std::size_t kTaskTokens = 1 << 14;
constexpr std::size_t kTileTokens = 512;  // query tokens that share one pass over the documents
constexpr std::size_t kRerankTasks = 16;  // documents that a thread takes at once

// Queries in runs of about kTileTokens tokens, each with the first query after it.
std::vector<std::size_t> tiles_of(const TokenRows& queries) {
    std::vector<std::size_t> ends;
    std::size_t held = 0;
    for (std::size_t q = 0; q < queries.n; ++q) {
        held += queries.count(q);
        if (held >= kTileTokens || q + 1 == queries.n) {
            ends.push_back(q + 1);
            held = 0;
        }
    }
    return ends;
}

void scan_tile(const MaxSimOps& ops, const TokenQueries& queries, const TokenRows& rows, const std::uint64_t* allowed,
               const TopKOutput& output) {
    const std::size_t mean = std::max<std::size_t>(1, rows.total() / std::max<std::size_t>(1, rows.n));
    const std::size_t task_rows = std::max<std::size_t>(64, kTaskTokens / mean);
    const std::size_t tasks = (rows.n + task_rows - 1) / task_rows;
    const std::size_t k = std::min(output.k, rows.n);
    const std::size_t work = rows.total() * rows.dim * queries.width() / 4;
    const std::size_t workers = std::max<std::size_t>(1, std::min(workers_for(work), tasks));
    struct Worker {
        std::vector<TopK> nearest;
        std::vector<Document> document;
    };
    std::vector<Worker> state(workers);
    parallel_for(k == 0 ? 0 : tasks, workers, [&](std::size_t w, std::size_t task) {
        Worker& worker = state[w];
        if (worker.document.empty()) {
            worker.nearest.assign(queries.count(), TopK(k));
            worker.document.emplace_back(ops, rows, queries);
        }
        const std::size_t end = std::min(rows.n, (task + 1) * task_rows);
        for (std::size_t row = task * task_rows; row < end; ++row) {
            if (!is_allowed(allowed, row) || rows.count(row) == 0) continue;
            const float* best = worker.document.front().best(row);
            for (std::size_t q = 0; q < queries.count(); ++q) {
                TopK& nearest = worker.nearest[q];
                const float distance = queries.distance(q, best);
                if (nearest.takes_all() || distance < nearest.bound())
                    nearest.add(distance, static_cast<std::int64_t>(row));
            }
        }
    });
    for (std::size_t q = 0; q < queries.count(); ++q) {
        TopK merged(std::max<std::size_t>(k, 1));
        for (const Worker& worker : state)
            if (!worker.nearest.empty()) merged.merge(worker.nearest[q]);
        merged.finish(output.rows + q * output.k, output.distances + q * output.k, output.k);
    }
}

// The first lines of a row's tokens; the hardware reads on from there.
void prefetch(const TokenRows& rows, std::int64_t row) {
    constexpr std::size_t kMost = 128 * 64;
    if (row < 0 || static_cast<std::size_t>(row) >= rows.n || rows.offsets[row + 1] < rows.offsets[row]) return;
    const std::uint8_t* bytes = rows.at(static_cast<std::size_t>(row));
    const std::size_t held = rows.count(static_cast<std::size_t>(row)) * rows.dim * (rows.half ? 2 : 4);
    for (std::size_t at = 0; at < std::min(held, kMost); at += 64) __builtin_prefetch(bytes + at);
}

std::size_t checked(const TokenRows& rows, std::size_t total, std::int64_t row) {
    if (row < 0 || static_cast<std::size_t>(row) >= rows.n)
        throw std::out_of_range("candidate row " + std::to_string(row) + " is not in -1.." +
                                std::to_string(static_cast<std::int64_t>(rows.n) - 1));
    const std::int64_t begin = rows.offsets[row], end = rows.offsets[row + 1];
    if (begin < 0 || end < begin || static_cast<std::size_t>(end) > total)
        throw std::out_of_range("offsets of row " + std::to_string(row) + " lie outside the tokens");
    return static_cast<std::size_t>(row);
}

}  // namespace

const MaxSimOps& current_maxsim_ops() {
#if defined(__x86_64__)
    static const bool has_vnni = __builtin_cpu_supports("avx512vnni");
    if (isa_is("avx512")) return has_vnni ? ops_of<vnni_maxsim_ops>() : ops_of<avx512_maxsim_ops>();
    if (isa_is("avx2")) return ops_of<avx2_maxsim_ops>();
#endif
    return ops_of<baseline_maxsim_ops>();
}

void maxsim_scan(const TokenRows& queries, const TokenRows& rows, const std::uint64_t* allowed,
                 const TopKOutput& output) {
    const MaxSimOps& ops = current_maxsim_ops();
    std::size_t first = 0;
    for (const std::size_t end : tiles_of(queries)) {
        const TokenQueries tile(queries, first, end - first);
        const TopKOutput part{output.k, output.rows + first * output.k, output.distances + first * output.k};
        scan_tile(ops, tile, rows, allowed, part);
        first = end;
    }
}

void maxsim_rerank(const TokenRows& queries, const TokenRows& rows, std::size_t total, const std::int64_t* candidates,
                   std::size_t m, float* distances) {
    const MaxSimOps& ops = current_maxsim_ops();
    const std::size_t parts = (m + kRerankTasks - 1) / kRerankTasks;
    const std::size_t mean = rows.n == 0 ? 0 : rows.total() / rows.n;
    const std::size_t width = queries.n == 0 ? 0 : queries.total() / queries.n + kTokenLanes;
    const std::size_t work = queries.n * m * mean * rows.dim * width / 4;
    std::vector<TokenQueries> prepared;
    prepared.reserve(queries.n);
    for (std::size_t q = 0; q < queries.n; ++q) prepared.emplace_back(queries, q, 1);
    parallel_for(queries.n * parts, workers_for(work), [&](std::size_t, std::size_t task) {
        const std::size_t q = task / parts, begin = task % parts * kRerankTasks;
        Document document(ops, rows, prepared[q]);
        for (std::size_t i = begin; i < std::min(m, begin + kRerankTasks); ++i) {
            const std::int64_t candidate = candidates[q * m + i];
            float& distance = distances[q * m + i];
            distance = std::numeric_limits<float>::infinity();
            if (candidate == -1) continue;
            const std::size_t row = checked(rows, total, candidate);
            if (i + 1 < m) prefetch(rows, candidates[q * m + i + 1]);
            if (rows.count(row) != 0) distance = prepared[q].distance(0, document.best(row));
        }
    });
}

}  // namespace vecstore
