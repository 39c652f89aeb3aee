// Candidates of a query by the centroids of its tokens and of the rows' tokens.
//
// A centroid's gap is how much less its product is, at best, than the largest of a query token: what visiting it could
// win. Rows that have a token at a centroid of small gap are scored by all their tokens' centroids; a row that has none
// falls short of the best score conceivable by more than the gap of every centroid visited, for each query token.
#include <algorithm>
#include <limits>

#include "allowed.h"
#include "stop.h"
#include "token_codes.h"

namespace vecstore {
namespace {

constexpr std::size_t kBins = 4096;
constexpr std::size_t kRowsTogether = 1024;  // scored between two looks at whether to stop

// Kept by a thread from call to call: the system would take so much memory back and clear it again.
struct Scratch {
    std::vector<std::uint8_t> table, top, gaps;
    std::vector<std::uint64_t> seen, keys;
    std::vector<std::uint32_t> rows, scores;
    std::vector<std::size_t> bins;
};

class Searcher {
 public:
    Searcher(const MaxSimOps& ops, const TokenCodes& codes, const CentroidSearch& search, Scratch& scratch)
        : ops_(ops),
          codes_(codes),
          search_(search),
          table_(scratch.table),
          top_(scratch.top),
          gaps_(scratch.gaps),
          seen_(scratch.seen),
          keys_(scratch.keys),
          rows_(scratch.rows),
          scores_(scratch.scores),
          bins_(scratch.bins) {
        gaps_.resize(codes.ncentroids);
        seen_.assign((codes.n + 63) / 64, 0);
    }

    void run(const TokenRows& queries, std::size_t q) {
        const ByteQuery query(queries, q, codes_.centroid_bytes / 4, 1, 1.0f);
        const float step = fill_table(query);
        std::int64_t* counters = search_.counters + q * 2;
        const std::size_t lists = search_.lists * query.tokens();
        rows_.clear();
        if (search_.lists == 0 || lists >= codes_.ncentroids) {
            counters[0] = static_cast<std::int64_t>(codes_.ncentroids);
            for (std::size_t row = 0; row < codes_.n; ++row)
                if (codes_.count(row) != 0 && is_allowed(search_.allowed, row))
                    rows_.push_back(static_cast<std::uint32_t>(row));
        } else {
            counters[0] = static_cast<std::int64_t>(lists);
            visit(lists);
        }
        counters[1] = static_cast<std::int64_t>(rows_.size());
        scores_.resize(rows_.size());
        StopPoll poll;
        const std::size_t mean =
            static_cast<std::size_t>(codes_.offsets[codes_.n]) / std::max<std::size_t>(1, codes_.n);
        for (std::size_t i = 0; i < rows_.size(); i += kRowsTogether) {
            const std::size_t count = std::min(kRowsTogether, rows_.size() - i);
            poll(count * mean * columns_);
            ops_.interact(table_.data(), columns_, codes_.homes, codes_.offsets, rows_.data() + i, count,
                          scores_.data() + i);
        }
        write(search_.rows + q * search_.m, search_.distances + q * search_.m, step);
    }

 private:
    // The bytes of the table stand for this much.
    float fill_table(const ByteQuery& query) {
        columns_ = (query.width() + kTableLanes - 1) / kTableLanes * kTableLanes;
        table_.resize(codes_.ncentroids * columns_);
        top_.resize(columns_);
        const float most = query.length() * codes_.centroid_length;
        const TokenBytes centroids{codes_.centroids, codes_.ncentroids, 1, codes_.centroid_bytes / 4, 0};
        ops_.table(query.lanes(), centroids, {codes_.centroid_scales, nullptr, nullptr},
                   most > 0 ? 255.0f / most : 0.0f, columns_, table_.data(), top_.data());
        return most / 255.0f;
    }

    // Rows at the `lists` centroids of the smallest gaps, of equal ones those that come first.
    void visit(std::size_t lists) {
        ops_.gaps(table_.data(), codes_.ncentroids, columns_, top_.data(), gaps_.data());
        std::size_t counts[256] = {};
        for (const std::uint8_t gap : gaps_) ++counts[gap];
        std::size_t last = 0, before = 0;
        while (before + counts[last] < lists) before += counts[last++];
        std::size_t of_last = lists - before;
        for (std::size_t c = 0; c < codes_.ncentroids; ++c) {
            if (gaps_[c] > last || (gaps_[c] == last && of_last == 0)) continue;
            if (gaps_[c] == last) --of_last;
            each_listed(codes_.lists + codes_.list_starts[c], codes_.lists + codes_.list_starts[c + 1],
                        [&](std::uint32_t row) { seen_[row / 64] |= std::uint64_t{1} << (row % 64); });
        }
        for (std::size_t word = 0; word < seen_.size(); ++word) {
            std::uint64_t bits = search_.allowed == nullptr ? seen_[word] : seen_[word] & search_.allowed[word];
            seen_[word] = 0;
            for (; bits != 0; bits &= bits - 1)
                rows_.push_back(
                    static_cast<std::uint32_t>(word * 64 + static_cast<std::size_t>(std::countr_zero(bits))));
        }
    }

    void write(std::int64_t* rows, float* distances, float step) {
        // By bins from the best score down to the one that fills up m places, then in full order.
        std::uint32_t shift = 0;
        while ((columns_ * 255 >> shift) >= kBins) ++shift;
        bins_.assign(kBins, 0);
        for (const std::uint32_t score : scores_) ++bins_[score >> shift];
        std::size_t bin = kBins, held = 0;
        while (bin > 0 && held < search_.m) held += bins_[--bin];
        const std::uint32_t least = static_cast<std::uint32_t>(bin) << shift;
        keys_.clear();
        for (std::size_t i = 0; i < scores_.size(); ++i)
            if (scores_[i] >= least) keys_.push_back(std::uint64_t{~scores_[i]} << 32 | rows_[i]);
        const std::size_t found = std::min(search_.m, keys_.size());
        const auto end = keys_.begin() + static_cast<std::ptrdiff_t>(found);
        if (found < keys_.size()) std::nth_element(keys_.begin(), end, keys_.end());
        std::sort(keys_.begin(), end);
        for (std::size_t i = 0; i < search_.m; ++i) {
            rows[i] = i < found ? static_cast<std::int64_t>(keys_[i] & 0xffffffffu) : -1;
            distances[i] = i < found ? -(static_cast<float>(~static_cast<std::uint32_t>(keys_[i] >> 32)) * step)
                                     : std::numeric_limits<float>::infinity();
        }
    }

    const MaxSimOps& ops_;
    const TokenCodes& codes_;
    const CentroidSearch& search_;
    std::size_t columns_ = 0;
    std::vector<std::uint8_t>&table_, &top_, &gaps_;
    std::vector<std::uint64_t>&seen_, &keys_;
    std::vector<std::uint32_t>&rows_, &scores_;
    std::vector<std::size_t>& bins_;
};

}  // namespace

void centroid_search(const TokenCodes& codes, const TokenRows& queries, const CentroidSearch& search) {
    const MaxSimOps& ops = current_maxsim_ops();
    const std::size_t work = queries.total() * codes.ncentroids * codes.centroid_bytes;
    const std::size_t workers = std::max<std::size_t>(1, std::min(workers_for(work), queries.n));
    parallel_for(queries.n, workers, [&](std::size_t, std::size_t q) {
        static thread_local Scratch scratch;
        Searcher(ops, codes, search, scratch).run(queries, q);
    });
}

}  // namespace vecstore
