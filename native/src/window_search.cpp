#include "window_search.h"

#include <stdexcept>
#include <string>

#include "allowed.h"
#include "sparse_scan.h"
#include "stop.h"
#include "window_query.h"

namespace vecstore {
namespace {

constexpr std::size_t kTogether = 32;  // queries of one pass

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
    const std::vector<SparseQuery> prepared = prepare_queries(queries, index.rows);
    const std::size_t end = std::min(windows_end(index), index.rows.n);
    std::fill_n(counters, queries.n * kInvertedCounters, 0);
    const std::size_t k = std::min(output.k, index.rows.n);
    const std::size_t window_bytes = index.rows.nnz / std::max<std::size_t>(index.rows.n, 1) * kWindowRows;  // roughly
    const std::size_t workers = workers_for(index.windows.size() * window_bytes * queries.n / 8);
    // One query is cut into groups of windows; of many, some share a pass over all windows, whose lists they find in
    // the cache.
    const std::size_t count = std::max<std::size_t>(queries.n, 1);
    const std::size_t groups =
        std::clamp<std::size_t>(workers / count, 1, std::max<std::size_t>(index.windows.size(), 1));
    const std::size_t together = std::clamp<std::size_t>(count / std::max<std::size_t>(workers, 1), 1, kTogether);
    const std::size_t passes = k == 0 ? 0 : (queries.n + together - 1) / together;
    std::vector<std::vector<std::int64_t>> counted(groups, std::vector<std::int64_t>(queries.n * kInvertedCounters));
    std::vector<TopK> nearest(queries.n * groups, TopK(std::max<std::size_t>(k, 1)));

    parallel_for(passes * groups, workers, [&](std::size_t, std::size_t task) {
        const std::size_t first = task / groups * together, group = task % groups;
        std::vector<WindowQuery> mine;
        for (std::size_t q = first; q < std::min(queries.n, first + together); ++q)
            mine.emplace_back(index, prepared[q], k, counted[group].data() + q * kInvertedCounters);
        for (std::size_t i = group; i < index.windows.size(); i += groups)
            for (WindowQuery& one : mine) {
                check_stop();
                one.window(index.windows[i]);
            }
        for (std::size_t i = 0; i < mine.size(); ++i) {
            if (group == groups - 1) mine[i].rows(end, index.rows.n);
            nearest[(first + i) * groups + group] = mine[i].nearest();
        }
    });

    for (std::size_t q = 0; q < queries.n; ++q) {
        TopK merged(std::max<std::size_t>(k, 1));
        for (std::size_t group = 0; group < groups; ++group) {
            merged.merge(nearest[q * groups + group]);
            for (std::size_t i = 0; i < kInvertedCounters; ++i)
                counters[q * kInvertedCounters + i] += counted[group][q * kInvertedCounters + i];
        }
        merged.finish(output.rows + q * output.k, output.distances + q * output.k, output.k);
    }
}

void inverted_document_frequency(const std::uint32_t* terms, std::size_t count, const Inverted& index,
                                 std::int64_t* counts) {
    const std::size_t end = std::min(windows_end(index), index.rows.n);
    const auto allowed = [&](std::size_t row) { return is_allowed(index.allowed, row); };
    std::fill(counts, counts + count, 0);
    for (std::size_t i = 0; i < count; ++i) {
        check_stop();
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
