#include "dense_lists.h"

#include "dense_list_rows.h"
#include "dispatch.h"

namespace vecstore {
namespace {

constexpr std::size_t kHeld = 1 << 20;     // rows that a thread keeps at once for all queries
constexpr std::size_t kCached = 16 << 20;  // bytes that are read again sooner than from memory

// Some places of a list and the queries that probe it.
struct Piece {
    std::size_t first_place, last_place;
    std::size_t first_query, last_query;
};

class Scan {
 public:
    Scan(Metric metric, const float* queries, std::size_t nq, const DenseLists& lists, const std::int32_t* probes,
         std::size_t nprobe, const TopKOutput& output)
        : lists_(lists),
          queries_(metric == Metric::cosine, queries, nq, lists.rows.dim, 1),
          fresh_(current_ops(), metric, lists, queries_),
          probes_(probes),
          nprobe_(nprobe),
          output_(output) {}

    // Queries `first` to `last`: list by list where so many of them share lists that it pays (measured on Zen 4: twice
    // the reads from the caches, a quarter more from memory).
    void run(std::size_t first, std::size_t last, const std::int64_t* scanned) const {
        std::size_t places = 0;
        for (std::size_t q = first; q < last; ++q) places += static_cast<std::size_t>(scanned[q]);
        const std::size_t workers = workers_for(places * lists_.rows.rows.bytes_read());
        if (last - first > 1) {
            std::vector<std::uint32_t> asking;
            const std::vector<Piece> pieces = pieces_of(first, last, asking);
            std::size_t distinct = 0;
            for (const Piece& piece : pieces) distinct += piece.last_place - piece.first_place;
            const bool cached = distinct * lists_.rows.rows.bytes_read() <= kCached;
            if (places >= (cached ? 2 * distinct : distinct + distinct / 4))
                return by_lists(first, last, pieces, asking, workers);
        }
        by_queries(first, last, scanned, workers);
    }

 private:
    // Lists as they are probed; where queries are too few for all threads, each is cut into parts.
    void by_queries(std::size_t first, std::size_t last, const std::int64_t* scanned, std::size_t workers) const {
        const std::size_t nq = last - first;
        const std::size_t parts = nq >= workers ? 1 : (workers + nq - 1) / nq;
        std::vector<DenseListRows> state(workers, fresh_);
        std::vector<TopK> found(parts == 1 ? workers : nq * parts, TopK(output_.k));
        parallel_for(nq * parts, workers, [&](std::size_t w, std::size_t task) {
            const std::size_t q = first + task / parts, part = task % parts;
            const auto own = static_cast<std::size_t>(scanned[q]);
            TopK& nearest = found[parts == 1 ? w : task];
            nearest.clear();
            scan(q, own * part / parts, own * (part + 1) / parts, state[w], nearest);
            if (parts == 1) write(q, nearest);
        });
        for (std::size_t i = 0; parts > 1 && i < nq; ++i) {
            TopK& nearest = found[i * parts];
            for (std::size_t part = 1; part < parts; ++part) nearest.merge(found[i * parts + part]);
            write(first + i, nearest);
        }
    }

    // Places `begin` to `end` of the lists that a query probes, counted over all of them. Rows are gathered across
    // lists, which may be short.
    void scan(std::size_t q, std::size_t begin, std::size_t end, DenseListRows& rows, TopK& nearest) const {
        std::size_t passed = 0;
        for (std::size_t p = 0; p < nprobe_ && passed < end; ++p) {
            const std::int32_t list = probes_[q * nprobe_ + p];
            const std::size_t held = lists_.places(list);
            if (held == 0) continue;
            const std::uint32_t* const listed = lists_.listed + lists_.offsets[list];
            const std::uint32_t* place = listed + (begin > passed ? std::min(begin - passed, held) : 0);
            const std::uint32_t* const stop = listed + std::min(held, end - passed);
            while (place < stop) {
                place = rows.gather(place, stop, DenseListRows::kMost);
                if (rows.count() < DenseListRows::kMost) break;
                rows.score(q, nearest);
                rows.clear();
            }
            passed += held;
        }
        if (rows.count() != 0) rows.score(q, nearest);
        rows.clear();
    }

    // Every probed list, cut into what stays in the second-level cache; `asking` gets the queries that pieces speak of.
    std::vector<Piece> pieces_of(std::size_t first, std::size_t last, std::vector<std::uint32_t>& asking) const {
        std::vector<std::uint64_t> pairs;  // a list above the query
        for (std::size_t q = first; q < last; ++q)
            for (std::size_t p = 0; p < nprobe_; ++p)
                if (const std::int32_t list = probes_[q * nprobe_ + p]; lists_.places(list) != 0)
                    pairs.push_back(static_cast<std::uint64_t>(list) << 32 | (q - first));
        std::sort(pairs.begin(), pairs.end());
        const std::size_t row_bytes = std::max<std::size_t>(lists_.rows.rows.bytes_read(), 1);
        const std::size_t step = std::clamp<std::size_t>(kBlockBytes / row_bytes, 16, DenseListRows::kMost);
        std::vector<Piece> pieces;
        for (std::size_t i = 0, end = 0; i < pairs.size(); i = end) {
            const std::uint64_t list = pairs[i] >> 32;
            for (end = i; end < pairs.size() && pairs[end] >> 32 == list; ++end)
                asking.push_back(static_cast<std::uint32_t>(pairs[end]));
            const auto stop = static_cast<std::size_t>(lists_.offsets[list + 1]);
            for (auto at = static_cast<std::size_t>(lists_.offsets[list]); at < stop; at += step)
                pieces.push_back({at, std::min(stop, at + step), i, end});
        }
        return pieces;
    }

    void by_lists(std::size_t first, std::size_t last, const std::vector<Piece>& pieces,
                  const std::vector<std::uint32_t>& asking, std::size_t workers) const {
        std::vector<DenseListRows> state(workers, fresh_);
        std::vector<std::vector<TopK>> found(workers);
        parallel_for(pieces.size(), workers, [&](std::size_t w, std::size_t task) {
            const Piece& piece = pieces[task];
            DenseListRows& rows = state[w];
            if (found[w].empty()) found[w].assign(last - first, TopK(output_.k));
            rows.gather(lists_.listed + piece.first_place, lists_.listed + piece.last_place, DenseListRows::kMost);
            if (rows.count() != 0)
                rows.score(asking.data() + piece.first_query, piece.last_query - piece.first_query, first, found[w]);
            rows.clear();
        });
        for (std::size_t q = first; q < last; ++q) {
            TopK nearest(output_.k);
            for (const std::vector<TopK>& some : found)
                if (!some.empty()) nearest.merge(some[q - first]);
            write(q, nearest);
        }
    }

    void write(std::size_t q, TopK& nearest) const {
        nearest.finish(output_.rows + q * output_.k, output_.distances + q * output_.k, output_.k);
    }

    const DenseLists& lists_;
    DenseQueries queries_;
    DenseListRows fresh_;  // as every thread begins
    const std::int32_t* probes_;
    std::size_t nprobe_;
    const TopKOutput& output_;
};

}  // namespace

void dense_list_scan(Metric metric, const float* queries, std::size_t nq, const DenseLists& lists,
                     const std::int32_t* probes, std::size_t nprobe, const TopKOutput& output, std::int64_t* scanned) {
    for (std::size_t q = 0; q < nq; ++q) {
        std::size_t own = 0;
        for (std::size_t p = 0; p < nprobe; ++p) own += lists.places(probes[q * nprobe + p]);
        scanned[q] = static_cast<std::int64_t>(own);
    }
    if (output.k == 0 || nq == 0) return;
    const Scan scan(metric, queries, nq, lists, probes, nprobe, output);
    const std::size_t together = std::max<std::size_t>(1, kHeld / output.k);
    for (std::size_t q = 0; q < nq; q += together) scan.run(q, std::min(nq, q + together), scanned);
}

}  // namespace vecstore
