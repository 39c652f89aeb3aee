#include "seismic_search.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>

#include "row_products.h"
#include "seismic_ops.h"
#include "sparse_scan.h"
#include "stop.h"

namespace vecstore {
namespace {

constexpr std::size_t kChunk = 128;      // blocks whose sums fit the first-level cache
constexpr double kBudget = 64000;        // of all weights: sums then stay below 2^16, each term's 1 included
constexpr std::size_t kRowBytes = 1536;  // of a candidate, roughly

struct Term {
    std::uint16_t weight;
    std::uint32_t term;
};

struct Candidate {
    std::uint16_t sum;
    std::uint32_t place;
    friend bool operator<(const Candidate& a, const Candidate& b) {  // the better first
        return a.sum != b.sum ? a.sum > b.sum : a.place < b.place;
    }
};

// The largest value that at least `count` sums reach; 1 where fewer are that large.
std::uint16_t reached(const SeismicOps& ops, const std::uint16_t* sums, std::size_t n, std::size_t count) {
    std::uint32_t value = 0;
    for (std::uint32_t bit = 1u << 15; bit != 0; bit >>= 1)
        if (ops.count_from(sums, n, static_cast<std::uint16_t>(value | bit)) >= count) value |= bit;
    return static_cast<std::uint16_t>(std::max(value, 1u));
}

class Searcher {
 public:
    void run(const SeismicIndex& index, const SeismicOps& ops, const SparseView& rows, const std::uint32_t* indices,
             const float* weights, std::size_t count, const SeismicVisit& visit, const std::uint64_t* allowed,
             std::size_t k, std::int64_t* out_rows, float* out_distances, std::int64_t* counters);

 private:
    void weigh(const std::uint32_t* indices, const float* weights, std::size_t count, const SeismicVisit& visit);
    void estimate_blocks();
    void read_chunk();
    void find(const Term& term, Reads& reads);
    void mask_rows();
    void score(const SparseView& rows, const std::uint32_t* indices, const float* weights, std::size_t count);
    void keep();

    const SeismicIndex* index_;
    const SeismicOps* ops_;
    const std::uint64_t* allowed_;
    std::size_t k_, wanted_;
    bool all_;
    double unit_;          // of the score, of one of a sum
    std::uint32_t slack_;  // how much more than its share of the score a row's sum may be
    std::uint16_t floor_;  // smallest sum of a candidate
    std::uint32_t kth_;    // the k-th largest sum, 0 before there are k
    std::size_t left_out_, refused_, blocks_read_, records_read_;
    std::vector<Term> terms_;
    std::vector<std::uint16_t> block_sums_, sums_;
    std::vector<std::int32_t> slots_;  // by block: its place in the chunk, -1 between chunks
    std::vector<std::uint32_t> chunk_, order_, places_;
    std::vector<BlockRead> block_reads_[2];
    std::vector<RowRead> row_reads_[2];
    Reads reads_[2];
    std::vector<Candidate> candidates_;
    std::vector<Neighbour> nearest_;
    RowProducts products_;
};

void Searcher::weigh(const std::uint32_t* indices, const float* weights, std::size_t count, const SeismicVisit& visit) {
    struct Weighed {
        double weight;
        std::uint32_t term;
    };
    std::vector<Weighed> found;
    found.reserve(count);
    refused_ = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (weights[i] <= 0) {
            ++refused_;
            continue;
        }
        const std::uint32_t term = index_->term(indices[i]);
        if (term == SeismicIndex::kNone) continue;
        found.push_back({static_cast<double>(weights[i]) * static_cast<double>(index_->arrays().scales[term]), term});
    }
    std::sort(found.begin(), found.end(), [](const Weighed& a, const Weighed& b) {
        return a.weight != b.weight ? a.weight > b.weight : a.term < b.term;
    });
    double total = 0, kept = 0, reach = 0;
    for (const Weighed& each : found) total += each.weight;
    const std::size_t most = std::min({found.size(), visit.terms, kSeismicTermsMax});
    std::size_t used = 0;
    const double enough = visit.share < 1 ? visit.share * total : std::numeric_limits<double>::infinity();
    while (used < most && (used == 0 || reach < enough)) reach += found[used++].weight;
    left_out_ = found.size() - used;
    for (std::size_t i = 0; i < used; ++i) kept += found[i].weight;
    unit_ = kept * (256 / kBudget);
    terms_.clear();
    slack_ = 0;
    for (std::size_t i = 0; i < used; ++i) {
        const auto weight =
            static_cast<std::uint16_t>(std::min(65535.0, std::floor(found[i].weight * (kBudget / kept)) + 1));
        terms_.push_back({weight, found[i].term});
        slack_ += (weight >> 8) + 3u;
    }
}

void Searcher::estimate_blocks() {
    block_sums_.assign(index_->padded_blocks(), 0);
    const SeismicArrays& a = index_->arrays();
    for (const Term& term : terms_) {
        if (const std::uint8_t* codes = index_->table(term.term)) {
            ops_->add_codes(codes, block_sums_.size(), term.weight, block_sums_.data());
            continue;
        }
        const auto first = static_cast<std::size_t>(a.term_parts[term.term]),
                   count = static_cast<std::size_t>(a.term_parts[term.term + 1]) - first;
        a.with_blocks([&](const auto* blocks) {
            blocks += index_->first_block(term.term);
            const std::uint8_t* codes = a.part_codes + first;
            for (std::size_t p = 0; p < count; ++p) {
                std::uint16_t& sum = block_sums_[blocks[p]];
                sum = static_cast<std::uint16_t>(sum + ((std::uint32_t{codes[p]} * term.weight) >> 8) + 1);
            }
        });
    }
}

// The parts of a term in the blocks of the chunk.
void Searcher::find(const Term& term, Reads& reads) {
    const SeismicArrays& a = index_->arrays();
    const auto first = static_cast<std::size_t>(a.term_parts[term.term]),
               end = static_cast<std::size_t>(a.term_parts[term.term + 1]);
    if (index_->table(term.term) != nullptr) {
        ops_->find(index_->ranks(term.term), a.parts, first, end - 1, chunk_.data(), chunk_.size(), sums_.data(),
                   reads);
        return;
    }
    reads.nblocks = reads.nrows = 0;
    a.with_blocks([&](const auto* blocks) {
        blocks += index_->first_block(term.term);
        for (std::size_t p = 0; p < end - first; ++p) {
            const std::int32_t slot = slots_[blocks[p]];
            if (slot >= 0) a.parts.add(first + p, static_cast<std::size_t>(slot), sums_.data(), 1, reads);
        }
    });
}

void Searcher::mask_rows() {
    const SeismicArrays& a = index_->arrays();
    for (std::size_t slot = 0; slot < chunk_.size(); ++slot) {
        const std::size_t first = chunk_[slot] * kBlockRows, count = std::min(kBlockRows, a.n - first);
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint32_t row = a.rows[first + i];
            if ((allowed_[row / 64] >> (row % 64) & 1) == 0) sums_[slot * kBlockRows + i] = 0;
        }
    }
}

void Searcher::keep() {
    const std::size_t n = chunk_.size() * kBlockRows;
    if (candidates_.empty()) {
        const std::uint32_t value = reached(*ops_, sums_.data(), n, wanted_);
        floor_ = static_cast<std::uint16_t>(all_ ? (value > slack_ ? value - slack_ : 1) : value);
    }
    places_.resize(n + kCollectPadding);
    const std::size_t found = ops_->collect(sums_.data(), n, floor_, places_.data());
    for (std::size_t i = 0; i < found; ++i) {
        const std::uint32_t at = places_[i];
        candidates_.push_back({sums_[at], chunk_[at / kBlockRows] * static_cast<std::uint32_t>(kBlockRows) +
                                              at % static_cast<std::uint32_t>(kBlockRows)});
    }
    if (candidates_.size() >= k_) {
        const auto kth = candidates_.begin() + static_cast<std::ptrdiff_t>(k_) - 1;
        std::nth_element(candidates_.begin(), kth, candidates_.end());
        kth_ = kth->sum;
    }
    if (candidates_.size() < wanted_) return;
    if (all_) {
        floor_ = static_cast<std::uint16_t>(kth_ > slack_ ? kth_ - slack_ : 1);
        std::erase_if(candidates_, [&](const Candidate& each) { return each.sum < floor_; });
        return;
    }
    const auto last = candidates_.begin() + static_cast<std::ptrdiff_t>(wanted_) - 1;
    std::nth_element(candidates_.begin(), last, candidates_.end());
    floor_ = last->sum;
    candidates_.resize(wanted_);
}

void Searcher::read_chunk() {
    check_stop();  // here, where slots_ is as the next query wants it
    std::fill_n(sums_.begin(), chunk_.size() * kBlockRows, std::uint16_t{0});
    for (std::size_t slot = 0; slot < chunk_.size(); ++slot) slots_[chunk_[slot]] = static_cast<std::int32_t>(slot);
    // The next term's records are on their way while this one's are added.
    if (!terms_.empty()) find(terms_[0], reads_[0]);
    for (std::size_t t = 0; t < terms_.size(); ++t) {
        if (t + 1 < terms_.size()) find(terms_[t + 1], reads_[(t + 1) % 2]);
        const Reads& now = reads_[t % 2];
        add_rows(now, terms_[t].weight, sums_.data());
        ops_->add_records(now.blocks, now.nblocks, terms_[t].weight);
        records_read_ += now.nblocks + now.nrows;
    }
    for (const std::uint32_t block : chunk_) slots_[block] = -1;
    if (allowed_ != nullptr) mask_rows();
    keep();
    blocks_read_ += chunk_.size();
    chunk_.clear();
}

void Searcher::run(const SeismicIndex& index, const SeismicOps& ops, const SparseView& rows,
                   const std::uint32_t* indices, const float* weights, std::size_t count, const SeismicVisit& visit,
                   const std::uint64_t* allowed, std::size_t k, std::int64_t* out_rows, float* out_distances,
                   std::int64_t* counters) {
    index_ = &index;
    ops_ = &ops;
    allowed_ = allowed;
    k_ = k;
    all_ = visit.all;
    wanted_ = all_ || visit.coded ? k : std::max(k, visit.depth);
    floor_ = 1;
    kth_ = 0;
    blocks_read_ = records_read_ = 0;
    candidates_.clear();
    chunk_.clear();
    weigh(indices, weights, count, visit);
    sums_.resize(kChunk * kBlockRows);
    if (slots_.size() < index.blocks()) slots_.resize(index.blocks(), -1);
    for (std::size_t side = 0; side < 2; ++side) {
        block_reads_[side].resize(kChunk + 1);
        row_reads_[side].resize(kChunk + 1);
        reads_[side] = {block_reads_[side].data(), row_reads_[side].data(), 0, 0};
    }
    estimate_blocks();

    const auto read = [&](std::uint32_t block) {
        chunk_.push_back(block);
        if (chunk_.size() == kChunk) read_chunk();
    };
    const std::uint16_t cut =
        reached(ops, block_sums_.data(), block_sums_.size(), std::max<std::size_t>(1, visit.first));
    order_.resize(block_sums_.size() + kCollectPadding);
    const std::size_t best = ops.collect(block_sums_.data(), block_sums_.size(), cut, order_.data());
    for (std::size_t i = 0; i < best; ++i) read(order_[i]);
    if (!chunk_.empty()) read_chunk();
    // The least estimate of a block that is read; kth_ rises from chunk to chunk.
    const auto least = [&]() -> double {
        if (!all_) return static_cast<double>(kth_) / visit.block_factor;
        return visit.bounded ? static_cast<double>(kth_) - slack_ : 0;
    };
    const double from = std::max(1.0, std::ceil(least()));
    const std::size_t others = from > cut ? 0
                                          : ops.collect(block_sums_.data(), block_sums_.size(),
                                                        static_cast<std::uint16_t>(from), order_.data());
    for (std::size_t i = 0; i < others; ++i) {
        const std::uint16_t sum = block_sums_[order_[i]];
        if (sum < cut && sum >= least()) read(order_[i]);
    }
    if (!chunk_.empty()) read_chunk();

    counters[0] = static_cast<std::int64_t>(blocks_read_);
    counters[1] = static_cast<std::int64_t>(records_read_);
    counters[2] = static_cast<std::int64_t>(visit.coded ? 0 : candidates_.size());
    counters[3] = static_cast<std::int64_t>(left_out_);
    counters[4] = static_cast<std::int64_t>(refused_);
    nearest_.clear();
    if (visit.coded) {
        for (const Candidate& each : candidates_)
            nearest_.push_back(
                {static_cast<float>(-(each.sum * unit_)), std::int64_t{index.arrays().rows[each.place]}});
    } else {
        score(rows, indices, weights, count);
    }
    write_nearest(nearest_, k, out_rows, out_distances, k);
}

// All candidates, by the stored rows.
void Searcher::score(const SparseView& rows, const std::uint32_t* indices, const float* weights, std::size_t count) {
    const std::uint32_t* place_rows = index_->arrays().rows;
    for (const Candidate& each : candidates_) {
        __builtin_prefetch(rows.offsets + place_rows[each.place]);
        if (rows.packed != nullptr) __builtin_prefetch(rows.packed->starts + place_rows[each.place]);
    }
    for (const Candidate& each : candidates_) {
        const std::uint32_t row = place_rows[each.place];
        check_row(rows, row);
        prefetch_row(rows, row);
    }
    const auto each_row = [&](auto&& distance_of) {
        StopPoll poll;
        for (const Candidate& each : candidates_) {
            const std::uint32_t row = place_rows[each.place];
            poll(kRowBytes);
            float distance;
            if (distance_of(row, &distance)) nearest_.push_back({distance, static_cast<std::int64_t>(row)});
        }
    };
    if (RowProducts::suits(rows, indices, count)) {
        products_.open(rows, indices, weights, count);
        const auto close = [](RowProducts* products) { products->close(); };
        const std::unique_ptr<RowProducts, decltype(close)> opened(&products_, close);
        each_row([&](std::uint32_t row, float* distance) { return opened->distance(rows, row, distance); });
    } else {
        const SparseQuery query(indices, weights, count, rows.packed);
        RowScorer scorer(rows, nullptr);
        each_row([&](std::uint32_t row, float* distance) { return scorer.distance(query, row, distance); });
    }
}

}  // namespace

void seismic_search(const SeismicIndex& index, const SparseView& rows, const SparseView& queries,
                    const SeismicVisit& visit, const std::uint64_t* allowed, const SeismicOutput& output) {
    const SeismicOps& ops = current_seismic_ops();
    parallel_for(queries.n, std::min(threads(), queries.n), [&](std::size_t, std::size_t q) {
        static thread_local Searcher searcher;
        check_row(queries, q);
        const auto begin = static_cast<std::size_t>(queries.offsets[q]),
                   end = static_cast<std::size_t>(queries.offsets[q + 1]);
        check_query(queries.indices + begin, static_cast<const float*>(queries.values) + begin, end - begin);
        searcher.run(index, ops, rows, queries.indices + begin, static_cast<const float*>(queries.values) + begin,
                     end - begin, visit, allowed, output.k, output.rows + q * output.k, output.distances + q * output.k,
                     output.counters + q * kSeismicCounters);
    });
}

}  // namespace vecstore
