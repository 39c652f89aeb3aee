#include "graph_walk.h"

#include <algorithm>
#include <cmath>

#include "dispatch.h"
#include "top_k.h"

namespace vecstore {
namespace {

constexpr std::size_t kBridgeEvery = 8;
constexpr std::size_t kStarts = 4;  // entries that a walk begins from, the nearest

}  // namespace

inline bool Walk::sparse() const { return graph_->rows.rows.n >= tuning_.sparse_from; }

inline bool Walk::allowed(std::uint32_t row) const {
    return params_.allowed == nullptr || (params_.allowed[row >> 6] >> (row & 63) & 1) != 0;
}

inline void Walk::fetch_neighbours(std::uint32_t row) const {
    const char* ids = reinterpret_cast<const char*>(graph_->neighbours + row * graph_->degree);
    for (std::size_t b = 0; b < graph_->degree * 4; b += kCodeLine) __builtin_prefetch(ids + b);
}

// Clears the bits of the walk before: all, or in a large graph those that were set.
void Walk::forget() {
    const std::size_t words = (graph_->rows.rows.n + 31) / 32;
    if (!all_met_ || seen_.size() != words) {
        seen_.assign(words, 0);
    } else {
        for (const std::uint32_t row : met_) seen_[row >> 5] = 0;
    }
    met_.clear();
    all_met_ = sparse();
}

void Walk::begin(const GraphArrays& graph, const EntryCodes& entries, const CodeQuery& code, const float* query,
                 float base, const GraphSearchParams& params, const GraphTuning& tuning, std::size_t number) {
    graph_ = &graph;
    ops_ = &current_graph_ops();
    code_ = code;
    query_ = query;
    base_ = base;
    params_ = params;
    tuning_ = tuning;
    number_ = number;
    hops_ = inserted_ = 0;
    pool_.reset(params.ef);
    forget();
    found_.resize(std::max(2 * graph.degree, graph.nentries) + kVisitPadding);
    refused_.resize(graph.degree);
    estimates_.resize(std::max(2 * graph.degree, graph.nentries) + kEstimatePadding);
    std::uint32_t row;
    if (params.skipped != nullptr && params.skipped[number] >= 0) {
        row = static_cast<std::uint32_t>(params.skipped[number]);
        ops_->visit(&row, 1, seen_.data(), found_.data());
        met_.push_back(row);
    }
    ops_->estimates(code_, entries.codes, entries.places, graph.nentries, estimates_.data());
    scored_ = static_cast<std::int64_t>(graph.nentries);
    starts_.reset(std::min(kStarts, params.ef));
    starts_.offer(*ops_, estimates_.data(), entries.places, graph.nentries);
    for (std::size_t e = 0; e < starts_.size(); ++e) {
        const std::uint32_t place = GraphPool::row(starts_.at(e));
        if (ops_->visit(&graph.entries[place], 1, seen_.data(), found_.data()) != 0)
            pool_.offer(*ops_, &estimates_[place], &graph.entries[place], 1);
        met_.push_back(graph.entries[place]);
    }
    if (pool_.size() != 0) fetch_neighbours(GraphPool::row(pool_.at(0)));
    step_ = Step::expand;
}

bool Walk::advance(const GraphOutput& output) {
    switch (step_) {
        case Step::expand:
            expand();
            return true;
        case Step::score:
            score();
            return true;
        case Step::rescore:
            rescore(output);
            return false;
    }
    return false;
}

void Walk::expand() {
    const std::size_t head = pool_.head();
    if (head == pool_.size()) return finish();
    const std::size_t stride = graph_->lines * kCodeLine, lines = std::min(graph_->lines, tuning_.code_lines);
    std::uint32_t* found = found_.data();
    const std::uint32_t* ids = graph_->neighbours + pool_.expand(head) * graph_->degree;
    std::size_t count = ops_->visit(ids, graph_->degree, seen_.data(), found);
    if (sparse()) met_.insert(met_.end(), found, found + count);
    if (params_.detour == Detour::two_hops) count = take_detours(count);
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint8_t* code = graph_->codes + found[i] * stride;
        for (std::size_t line = 0; line < lines; ++line) __builtin_prefetch(code + line * kCodeLine);
    }
    nfound_ = count;
    ++hops_;
    scored_ += static_cast<std::int64_t>(count);
    step_ = Step::score;
}

// Of new neighbours only allowed ones are scored, and in place of the others allowed rows next to them (ACORN-1, arXiv
// 2403.04871). One refused neighbour in kBridgeEvery stays as a bridge, or a walk would end where no allowed row is
// near (RACORN-1, arXiv 2607.00768).
std::size_t Walk::take_detours(std::size_t count) {
    std::uint32_t* found = found_.data();
    std::size_t refused = 0, kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const bool good = allowed(found[i]);
        refused_[refused] = found[i];
        found[kept] = found[i];
        refused += !good;
        kept += good;
    }
    for (std::size_t i = 0; i < refused; ++i) fetch_neighbours(refused_[i]);
    for (std::size_t i = 0; i < refused && kept < graph_->degree; ++i) {
        const std::uint32_t* ids = graph_->neighbours + refused_[i] * graph_->degree;
        for (std::size_t j = 0; j < graph_->degree && kept < graph_->degree; ++j)
            if (allowed(ids[j])) kept += ops_->visit(ids + j, 1, seen_.data(), found + kept);
    }
    if (sparse()) met_.insert(met_.end(), found, found + kept);
    for (std::size_t i = 0; i < refused; i += kBridgeEvery) found[kept++] = refused_[i];
    return kept;
}

// How far a candidate at this place, from 1, may be; see GraphNarrow.
float Walk::bound(std::size_t place) const {
    const float near = key_estimate(pool_.at(params_.narrow.near - 1));
    const float over = params_.narrow.reach * std::max(base_ + near, params_.narrow.least);
    return near + over / std::sqrt(static_cast<float>(place));
}

// Takes the scored neighbours for candidates. With a narrow pool these stay few, which is half of what that saves:
// estimates and places only grow, so that what is too far now would be later, and what would come last need not enter.
void Walk::offer() {
    const bool narrow = params_.narrow.reach > 0;
    const std::size_t kept = params_.narrow.kept;
    if (narrow && pool_.size() >= kept) {
        const float most = std::max(key_estimate(pool_.at(pool_.size() - 1)), bound(pool_.size() + 1));
        std::size_t count = 0;
        for (std::size_t i = 0; i < nfound_; ++i) {
            const float estimate = estimates_[i];
            estimates_[count] = estimate, found_[count] = found_[i];
            count += !(estimate > most);
        }
        nfound_ = count;
    }
    inserted_ += static_cast<std::int64_t>(pool_.offer(*ops_, estimates_.data(), found_.data(), nfound_));
    if (!narrow) return;
    std::size_t size = pool_.size();
    while (size > kept && key_estimate(pool_.at(size - 1)) > bound(size)) --size;
    pool_.cut(size);
}

void Walk::score() {
    ops_->estimates(code_, graph_->codes, found_.data(), nfound_, estimates_.data());
    offer();
    const std::size_t head = pool_.head();
    if (head == pool_.size()) return finish();
    for (std::size_t at = head, fetched = 0; fetched < tuning_.heads && at < pool_.size(); ++at) {
        if ((pool_.at(at) & 1) != 0) continue;
        fetch_neighbours(GraphPool::row(pool_.at(at)));
        ++fetched;
    }
    step_ = Step::expand;
}

void Walk::finish() {
    // Rows to rescore, or to answer with.
    const std::size_t most = params_.rescored == 0 ? params_.k : params_.rescored;
    offsets_.clear();
    answers_.clear();
    for (std::size_t i = 0; i < pool_.size() && offsets_.size() < most; ++i) {
        const CandidateKey key = pool_.at(i);
        if (!allowed(GraphPool::row(key))) continue;
        offsets_.push_back(GraphPool::row(key));
        answers_.push_back({base_ + key_estimate(key), GraphPool::row(key)});
    }
    const Rows& rows = graph_->rows.rows;
    for (std::size_t i = 0; i < (params_.rescored == 0 ? 0 : offsets_.size()); ++i) {
        const std::uint8_t* row = rows.data + static_cast<std::size_t>(offsets_[i]) * rows.row_bytes;
        for (std::size_t b = 0; b < rows.bytes_read(); b += kCodeLine) __builtin_prefetch(row + b, 0, 2);
    }
    step_ = Step::rescore;
}

void Walk::rescore(const GraphOutput& output) {
    std::int64_t* rows = output.rows + number_ * output.k;
    float* distances = output.distances + number_ * output.k;
    std::int64_t* counters = output.counters + number_ * kGraphCounters;
    counters[0] = hops_, counters[1] = scored_, counters[2] = inserted_;
    counters[3] = params_.rescored == 0 ? 0 : static_cast<std::int64_t>(offsets_.size());
    if (params_.rescored != 0) rescore_rows(*graph_, query_, offsets_.data(), answers_);
    write_nearest(answers_, output.k, rows, distances, output.k);
}

}  // namespace vecstore
