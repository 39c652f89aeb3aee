#include "sparse_scan.h"

#include <stdexcept>
#include <string>

#include "allowed.h"
#include "stop.h"

namespace vecstore {
namespace {

constexpr std::size_t kBlockEntries = 8 * 1024;  // of rows that all queries of a batch pass over in turn
constexpr std::size_t kTaskEntries = 128 * 1024;
constexpr std::size_t kEntryBytes = 8;

}  // namespace

std::vector<SparseQuery> prepare_queries(const SparseView& queries, const SparseView& rows) {
    std::vector<SparseQuery> prepared;
    prepared.reserve(queries.n);
    for (std::size_t q = 0; q < queries.n; ++q) {
        check_row(queries, q);
        const auto begin = static_cast<std::size_t>(queries.offsets[q]);
        prepared.emplace_back(queries.indices + begin, static_cast<const float*>(queries.values) + begin,
                              static_cast<std::size_t>(queries.offsets[q + 1]) - begin, rows.packed);
    }
    return prepared;
}

void sparse_scan(const SparseView& queries, const SparseView& rows, const Saturation* saturation,
                 const std::uint64_t* allowed, const TopKOutput& output) {
    const std::vector<SparseQuery> prepared = prepare_queries(queries, rows);
    const Rows masked{nullptr, rows.n, 0, allowed};
    const std::size_t count = masked.count_allowed(), k = std::min(output.k, count);
    const std::size_t row_entries = rows.n == 0 ? 1 : rows.nnz / rows.n + 1;
    const std::size_t spread = count == 0 ? 1 : rows.n / count;  // a sparse mask: longer blocks and tasks
    const auto whole_words = [&](std::size_t entries) { return (entries / row_entries * spread + 64) / 64 * 64; };
    const std::size_t block_rows = whole_words(kBlockEntries), task_rows = whole_words(kTaskEntries / queries.n);
    const std::size_t tasks = k == 0 ? 0 : (rows.n + task_rows - 1) / task_rows;
    const std::size_t workers = std::min(workers_for(count * row_entries * kEntryBytes * queries.n), tasks);
    std::vector<std::vector<TopK>> nearest(std::max<std::size_t>(workers, 1));

    parallel_for(tasks, workers, [&](std::size_t w, std::size_t task) {
        if (nearest[w].empty()) nearest[w].assign(queries.n, TopK(k));
        RowScorer scorer(rows, saturation);
        StopPoll poll;
        const std::size_t stop = std::min(rows.n, (task + 1) * task_rows);
        for (std::size_t first = task * task_rows; first < stop; first += block_rows) {
            const std::size_t last = std::min(stop, first + block_rows);
            for (std::size_t q = 0; q < queries.n; ++q) {
                poll(kBlockEntries * kEntryBytes);
                const SparseQuery& query = prepared[q];
                TopK& best = nearest[w][q];
                const auto visit = [&](std::size_t row) {
                    float distance;
                    if (!scorer.distance(query, row, &distance)) return;
                    if (best.takes_all() || distance < best.bound()) best.add(distance, static_cast<std::int64_t>(row));
                };
                if (allowed == nullptr) {
                    for (std::size_t row = first; row < last; ++row) visit(row);
                    continue;
                }
                for (std::size_t word = first / 64; word * 64 < last; ++word)
                    for (std::uint64_t bits = masked.allowed_word(word); bits != 0; bits &= bits - 1)
                        visit(word * 64 + static_cast<std::size_t>(std::countr_zero(bits)));
            }
        }
    });

    for (std::size_t q = 0; q < queries.n; ++q) {
        TopK merged(std::max<std::size_t>(k, 1));
        for (const std::vector<TopK>& mine : nearest)
            if (!mine.empty()) merged.merge(mine[q]);
        merged.finish(output.rows + q * output.k, output.distances + q * output.k, output.k);
    }
}

void sparse_rerank(const SparseView& queries, const SparseView& rows, const Saturation* saturation,
                   const std::int64_t* candidates, std::size_t m, float* distances) {
    for (std::size_t i = 0; i < queries.n * m; ++i)
        if (candidates[i] < -1 || candidates[i] >= static_cast<std::int64_t>(rows.n))
            throw std::invalid_argument("candidate row " + std::to_string(candidates[i]) + " is not in -1.." +
                                        std::to_string(static_cast<std::int64_t>(rows.n) - 1));
    const std::vector<SparseQuery> prepared = prepare_queries(queries, rows);
    const std::size_t row_entries = rows.n == 0 ? 1 : rows.nnz / rows.n + 1;
    constexpr std::size_t kChunk = 256;  // candidates of one task
    const std::size_t chunks = (m + kChunk - 1) / kChunk;
    const std::size_t workers = workers_for(queries.n * m * row_entries * kEntryBytes);
    parallel_for(queries.n * chunks, workers, [&](std::size_t, std::size_t task) {
        const std::size_t q = task / chunks, begin = q * m + task % chunks * kChunk;
        RowScorer scorer(rows, saturation);
        for (std::size_t i = begin; i < std::min((q + 1) * m, begin + kChunk); ++i)
            if (candidates[i] < 0 ||
                !scorer.distance(prepared[q], static_cast<std::size_t>(candidates[i]), distances + i))
                distances[i] = std::numeric_limits<float>::infinity();
    });
}

void add_document_frequency(const std::uint32_t* terms, std::size_t count, const SparseView& rows,
                            const std::uint64_t* allowed, std::size_t first, std::int64_t* counts) {
    const std::vector<float> equal(count, 1);  // ranks are then places
    const SparseQuery query(terms, equal.data(), count, rows.packed);
    std::vector<std::uint32_t> room;
    StopPoll poll;
    for (std::size_t row = first; row < rows.n; ++row) {
        if (!is_allowed(allowed, row)) continue;
        check_row(rows, row);
        poll(static_cast<std::size_t>(rows.offsets[row + 1] - rows.offsets[row]) * kEntryBytes);
        const std::uint32_t* keys = rows.keys(row, room);
        for (std::int64_t i = 0; i < rows.offsets[row + 1] - rows.offsets[row]; ++i) {
            const std::uint32_t rank = query.rank(keys[i]);
            if (rank != SparseQuery::kNone) ++counts[rank];
        }
    }
}

void sparse_document_frequency(const std::uint32_t* terms, std::size_t count, const SparseView& rows,
                               const std::uint64_t* allowed, std::int64_t* counts) {
    std::fill(counts, counts + count, 0);
    add_document_frequency(terms, count, rows, allowed, 0, counts);
}

}  // namespace vecstore
