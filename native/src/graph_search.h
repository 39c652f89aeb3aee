// The walk of a graph index and the rerank at its end.
#pragma once

#include <memory>

#include "graph_index.h"

namespace vecstore {

// How a walk treats rows that are not allowed: it passes through them, or looks behind them for allowed ones.
enum class Detour { none, two_hops };

// Candidates fall out, past the first `kept`, that are too far for their place (from 1): beyond t + reach * max(t,
// least) / sqrt(place), where t is the estimate of the near-th candidate, at most kept. A `reach` of 0 keeps all.
struct GraphNarrow {
    float reach = 0, least = 0;
    std::size_t near = 1, kept = 1;
};

struct GraphSearchParams {
    std::size_t k;
    std::size_t ef;        // candidates kept, at least k
    std::size_t rescored;  // of the allowed ones, by the rows; 0: answer with estimates
    Detour detour;
    const std::uint64_t* allowed;           // bit i of word i / 64: row i may be an answer; null: all may
    const std::int64_t* skipped = nullptr;  // (nq,): a row that a query's walk takes for visited, -1 for none
    GraphNarrow narrow = {};
};

// How the walk hides memory's latency; never changes what is found.
struct GraphTuning {
    std::size_t interleave = 4;         // queries walked in turns
    std::size_t code_lines = 2;         // of each code, fetched ahead
    std::size_t heads = 2;              // candidates next in line whose neighbours are fetched ahead
    std::size_t sparse_from = 1 << 21;  // rows from which visited ones are cleared one by one
};

inline constexpr std::size_t kGraphCounters = 4;  // hops, estimates, insertions, rows rescored

struct GraphOutput {
    std::size_t k;
    std::int64_t* rows;      // (nq, k), -1 past the end
    float* distances;        // (nq, k), +inf past the end
    std::int64_t* counters;  // (nq, kGraphCounters)
};

class Graph {
 public:
    explicit Graph(const GraphArrays& arrays);
    // Walks from the entries; finds fewer than k where the walk meets too few allowed rows.
    void search(const float* queries, std::size_t nq, const GraphSearchParams& params, const GraphTuning& tuning,
                const GraphOutput& output) const;
    // Scores every allowed row by its code instead of walking; `ef` is not used.
    void scan(const float* queries, std::size_t nq, const GraphSearchParams& params, const GraphOutput& output) const;
    const GraphArrays& arrays() const { return arrays_; }

 private:
    GraphArrays arrays_;
    CodeQueries queries_;
    std::vector<std::uint8_t> entry_storage_;
    const std::uint8_t* entry_codes_;
    std::vector<std::uint32_t> entry_places_;
};

}  // namespace vecstore
