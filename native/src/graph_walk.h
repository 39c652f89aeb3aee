// One query's walk, in steps between which its next memory is on its way.
#pragma once

#include "graph_pool.h"
#include "graph_rescore.h"
#include "graph_search.h"

namespace vecstore {

struct EntryCodes {
    const std::uint8_t* codes;
    const std::uint32_t* places;  // 0, 1, 2, ...
};

class Walk {
 public:
    void begin(const GraphArrays& graph, const EntryCodes& entries, const CodeQuery& code, const float* query,
               float base, const GraphSearchParams& params, const GraphTuning& tuning, std::size_t number);
    // Takes one step; false once the answer is written.
    bool advance(const GraphOutput& output);

 private:
    enum class Step { expand, score, rescore };

    bool sparse() const;
    void forget();
    void expand();
    void score();
    void finish();
    void rescore(const GraphOutput& output);
    void fetch_neighbours(std::uint32_t row) const;
    bool allowed(std::uint32_t row) const;
    float bound(std::size_t place) const;
    void offer();
    std::size_t take_detours(std::size_t count);

    const GraphArrays* graph_ = nullptr;
    const GraphOps* ops_ = nullptr;
    CodeQuery code_{};
    const float* query_ = nullptr;
    float base_ = 0;
    GraphSearchParams params_{};
    GraphTuning tuning_{};
    std::size_t number_ = 0;
    Step step_ = Step::expand;
    GraphPool pool_, starts_;
    std::vector<std::uint32_t> seen_;     // a bit for each row
    bool all_met_ = false;                // met_ has all rows of the walk before
    std::vector<std::uint32_t> met_;      // rows whose bit is set, in a large graph
    std::vector<std::uint32_t> found_;    // neighbours to score
    std::vector<std::uint32_t> refused_;  // neighbours that are not allowed
    std::size_t nfound_ = 0;
    std::vector<float> estimates_;
    std::vector<std::int64_t> offsets_;  // rows to rescore
    std::vector<Neighbour> answers_;
    std::int64_t hops_ = 0, scored_ = 0, inserted_ = 0;
};

}  // namespace vecstore
