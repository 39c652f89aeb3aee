// Scores allowed rows by their codes, all of them: cheaper than a walk where few are allowed, and it misses none.
#include <limits>

#include "dense_queries.h"
#include "dispatch.h"
#include "graph_rescore.h"
#include "graph_search.h"
#include "stop.h"

namespace vecstore {
namespace {

constexpr std::size_t kChunk = 256;  // rows whose codes are fetched together

// Calls visit(rows, count) for allowed rows in order.
template <class Visit>
void for_allowed(const Rows& rows, const std::uint64_t* allowed, const Visit& visit) {
    const Rows masked{rows.data, rows.n, rows.row_bytes, allowed};
    std::uint32_t chunk[kChunk + 64];
    std::size_t held = 0;
    for (std::size_t word = 0; word * 64 < rows.n; ++word) {
        std::uint64_t bits = allowed != nullptr ? masked.allowed_word(word) : ~std::uint64_t{0};
        for (; bits != 0; bits &= bits - 1) {
            const std::size_t row = word * 64 + static_cast<std::size_t>(std::countr_zero(bits));
            if (row < rows.n) chunk[held++] = static_cast<std::uint32_t>(row);
        }
        if (held < kChunk) continue;
        visit(chunk, held);
        held = 0;
    }
    if (held != 0) visit(chunk, held);
}

}  // namespace

void rescore_rows(const GraphArrays& graph, const float* query, const std::int64_t* offsets,
                  std::vector<Neighbour>& answers) {
    if (answers.empty()) return;
    const DenseRows& stored = graph.rows;
    thread_local std::vector<float> sums;
    sums.resize(answers.size() + kOutPadding);
    const RowBlock block{stored.rows.data, stored.rows.row_bytes, offsets, answers.size(), 0};
    const Sum sum = graph.metric == Metric::l2 ? Sum::l2 : Sum::dot;
    current_ops().sums[static_cast<int>(sum)][static_cast<int>(stored.element)](query, 1, stored.dim, block,
                                                                                sums.data(), answers.size());
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    for (std::size_t i = 0; i < answers.size(); ++i) {
        float distance = sums[i];
        if (graph.metric == Metric::dot) distance = -distance;
        if (graph.metric == Metric::cosine) distance = 1 - distance * stored.inverse_norms[offsets[i]];
        answers[i].distance = distance <= kInfinity ? distance : kInfinity;  // NaN
    }
}

void Graph::scan(const float* queries, std::size_t nq, const GraphSearchParams& params,
                 const GraphOutput& output) const {
    const std::size_t dim = arrays_.rows.dim;
    std::vector<CodeQueries::Prepared> prepared(nq);
    queries_.prepare(queries, nq, prepared.data());
    const DenseQueries exact(arrays_.metric == Metric::cosine, queries, nq, dim, 1);
    const std::size_t most = params.rescored == 0 ? params.k : params.rescored;
    parallel_for(nq, std::min(threads(), nq), [&](std::size_t, std::size_t q) {
        const GraphOps& ops = current_graph_ops();
        const CodeQuery code = queries_.view(prepared[q]);
        float estimates[kChunk + 64 + kEstimatePadding];
        TopK nearest(most);
        StopPoll poll;
        std::int64_t scored = 0;
        for_allowed(arrays_.rows.rows, params.allowed, [&](const std::uint32_t* rows, std::size_t count) {
            poll(count * arrays_.lines * kCodeLine);
            ops.estimates(code, arrays_.codes, rows, count, estimates);
            scored += static_cast<std::int64_t>(count);
            for (std::size_t i = 0; i < count; ++i)
                if (nearest.takes_all() || estimates[i] < nearest.bound()) nearest.add(estimates[i], rows[i]);
        });
        std::vector<std::int64_t> offsets(most);
        std::vector<float> near(most);
        nearest.finish(offsets.data(), near.data(), most);
        std::vector<Neighbour> answers;
        for (std::size_t i = 0; i < most && offsets[i] >= 0; ++i)
            answers.push_back({prepared[q].base + near[i], offsets[i]});
        std::int64_t* counters = output.counters + q * kGraphCounters;
        counters[0] = counters[2] = 0, counters[1] = scored;
        counters[3] = params.rescored == 0 ? 0 : static_cast<std::int64_t>(answers.size());
        if (params.rescored != 0) rescore_rows(arrays_, exact.at(q), offsets.data(), answers);
        write_nearest(answers, output.k, output.rows + q * output.k, output.distances + q * output.k, output.k);
    });
}

}  // namespace vecstore
