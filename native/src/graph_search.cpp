#include "graph_search.h"

#include <algorithm>
#include <cstring>

#include "dense_queries.h"
#include "dispatch.h"
#include "graph_pool.h"
#include "graph_walk.h"
#include "stop.h"

namespace vecstore {

Graph::Graph(const GraphArrays& arrays) : arrays_(arrays), queries_(arrays_) {
    const std::size_t stride = arrays.lines * kCodeLine;
    entry_storage_.resize((arrays.nentries + 1) * stride);
    const auto address = reinterpret_cast<std::uintptr_t>(entry_storage_.data());
    std::uint8_t* codes = entry_storage_.data() + (kCodeLine - address % kCodeLine) % kCodeLine;
    for (std::size_t e = 0; e < arrays.nentries; ++e) {
        std::memcpy(codes + e * stride, arrays.codes + arrays.entries[e] * stride, stride);
        entry_places_.push_back(static_cast<std::uint32_t>(e));
    }
    entry_codes_ = codes;
}

void Graph::search(const float* queries, std::size_t nq, const GraphSearchParams& params, const GraphTuning& tuning,
                   const GraphOutput& output) const {
    constexpr std::size_t kTask = 64;  // queries
    const std::size_t per_task = std::max<std::size_t>(1, std::min(kTask, (nq + threads() - 1) / threads()));
    const std::size_t tasks = (nq + per_task - 1) / per_task;
    const std::size_t dim = arrays_.rows.dim;
    const EntryCodes entries{entry_codes_, entry_places_.data()};
    parallel_for(tasks, std::min(threads(), tasks), [&](std::size_t, std::size_t task) {
        const std::size_t begin = task * per_task, count = std::min(per_task, nq - begin);
        std::vector<CodeQueries::Prepared> prepared(count);
        queries_.prepare(queries + begin * dim, count, prepared.data());
        const DenseQueries exact(arrays_.metric == Metric::cosine, queries + begin * dim, count, dim, 1);
        thread_local std::vector<Walk> walks;
        walks.resize(std::max(walks.size(), tuning.interleave));
        std::size_t next = 0;
        const auto start = [&](Walk& walk) {
            if (next == count) return false;
            const std::size_t q = next++;
            walk.begin(arrays_, entries, queries_.view(prepared[q]), exact.at(q), prepared[q].base, params, tuning,
                       begin + q);
            return true;
        };
        std::size_t active = 0;
        while (active < std::min(tuning.interleave, count)) start(walks[active++]);
        constexpr std::size_t kStepBytes = 16 * 1024;  // read in the time of a step
        StopPoll poll;
        while (active > 0) {
            poll(active * kStepBytes);
            for (std::size_t w = 0; w < active;) {
                if (walks[w].advance(output) || start(walks[w])) {
                    ++w;
                } else {
                    std::swap(walks[w], walks[--active]);
                }
            }
        }
    });
}

}  // namespace vecstore
