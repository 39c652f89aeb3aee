#include "window_search.h"

#include <stdexcept>
#include <string>

#include "sparse_scan.h"
#include "window_query.h"

namespace vecstore {
namespace {

// Rows of the windows together; throws unless they follow each other from row 0.
std::size_t windows_end(const Inverted& index) {
    std::size_t end = 0;
    for (const WindowView& window : index.windows) {
        if (window.first_row != end)
            throw std::invalid_argument("a window begins at row " + std::to_string(window.first_row) + ", not " +
                                        std::to_string(end));
        end += window.n;
        if (window.n % 64 != 0 && end < index.rows.n)
            throw std::invalid_argument("rows of a window that others follow must fill words of 64");
    }
    return end;
}

}  // namespace

void inverted_search(const SparseView& queries, const Inverted& index, const TopKOutput& output,
                     std::int64_t* counters) {
    const std::vector<SparseQuery> prepared = prepare_queries(queries);
    const std::size_t end = std::min(windows_end(index), index.rows.n);
    std::fill_n(counters, queries.n * kInvertedCounters, 0);
    const std::size_t k = std::min(output.k, index.rows.n);
    const std::size_t window_bytes = index.rows.nnz / std::max<std::size_t>(index.rows.n, 1) * kWindowRows;  // roughly
    const std::size_t workers = workers_for(index.windows.size() * window_bytes * queries.n / 8);
    const std::size_t groups = std::clamp<std::size_t>(workers / std::max<std::size_t>(queries.n, 1), 1,
                                                       std::max<std::size_t>(index.windows.size(), 1));
    std::vector<std::vector<std::int64_t>> counted(groups, std::vector<std::int64_t>(queries.n * kInvertedCounters));
    std::vector<TopK> nearest(k == 0 ? 0 : queries.n * groups, TopK(std::max<std::size_t>(k, 1)));

    parallel_for(nearest.size(), workers, [&](std::size_t, std::size_t task) {
        const std::size_t q = task / groups, group = task % groups;
        WindowQuery search(index, prepared[q], k, counted[group].data() + q * kInvertedCounters);
        for (std::size_t i = group; i < index.windows.size(); i += groups) search.window(index.windows[i]);
        if (group == groups - 1) search.rows(end, index.rows.n);
        nearest[task] = search.nearest();
    });

    for (std::size_t q = 0; q < queries.n; ++q) {
        TopK merged(std::max<std::size_t>(k, 1));
        for (std::size_t group = 0; group < groups; ++group) {
            if (k != 0) merged.merge(nearest[q * groups + group]);
            for (std::size_t i = 0; i < kInvertedCounters; ++i)
                counters[q * kInvertedCounters + i] += counted[group][q * kInvertedCounters + i];
        }
        merged.finish(output.rows + q * output.k, output.distances + q * output.k, output.k);
    }
}

void inverted_document_frequency(const std::uint32_t* terms, std::size_t count, const Inverted& index,
                                 std::int64_t* counts) {
    const std::size_t end = std::min(windows_end(index), index.rows.n);
    const auto allowed = [&](std::size_t row) {
        return index.allowed == nullptr || (index.allowed[row / 64] >> (row % 64) & 1) != 0;
    };
    std::fill(counts, counts + count, 0);
    for (std::size_t i = 0; i < count; ++i) {
        for (const WindowView& window : index.windows) {
            const std::size_t n = std::min(window.n, end - std::min(window.first_row, end));
            for_each_list(window, terms[i], [&](const PostingList& list) {
                if (list.ids != nullptr && index.allowed == nullptr && n == window.n) {
                    counts[i] += static_cast<std::int64_t>(list.count);
                } else if (list.ids != nullptr) {
                    for (std::size_t j = 0; j < list.count; ++j)
                        counts[i] += list.ids[j] < n && allowed(window.first_row + list.ids[j]);
                } else {
                    for (std::size_t row = 0; row < n; ++row)
                        counts[i] += list.codes[row] != 0 && allowed(window.first_row + row);
                }
            });
        }
    }
    add_document_frequency(terms, count, index.rows, index.allowed, end, counts);
}

}  // namespace vecstore
