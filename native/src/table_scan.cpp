#include "table_scan.h"

#include <cmath>
#include <cstring>
#include <numeric>
#include <optional>

#include "dispatch.h"
#include "half.h"

namespace vecstore {
namespace {

// Rounding errors of the byte tables that a lower bound allows for, in standard deviations.
constexpr float kRoundingDeviations = 3;

// Of the next list, while this one is scanned: what the scan's own prefetching would reach too late.
constexpr std::size_t kExpectedBytes = 4096;

// A load whose result nobody waits for: under way for certain, unlike a prefetch, which the CPU may drop.
void touch(const void* p) { asm volatile("" ::"r"(*static_cast<const std::uint8_t*>(p))); }

constexpr std::size_t kCacheLine = 64;

std::uint8_t* aligned(std::uint8_t* bytes) {
    return bytes + (kCacheLine - reinterpret_cast<std::uintptr_t>(bytes) % kCacheLine) % kCacheLine;
}

struct TableQuery {
    std::vector<float> tables;        // (nibbles, 16)
    std::vector<std::uint8_t> bytes;  // the same, rounded, from a cache line's start; zeros where a group lacks nibbles
    std::vector<std::int8_t> bits;    // their weights, if they are linear
    ByteTables rounded;
    std::vector<float> weights;  // of stage two, as ExtraDotFn takes them
    float weights_mean;          // what they add up to for codes in the middle of their range
};

float factor(const std::uint8_t* factors, bool half, std::size_t at) {
    if (half) {
        std::uint16_t bits;
        std::memcpy(&bits, factors + 2 * at, 2);
        return half_to_float(bits);
    }
    float value;
    std::memcpy(&value, factors + 4 * at, 4);
    return value;
}

class TableQueries {
 public:
    TableQueries(const Ops& ops, const TableCodes& codes, const float* queries, std::size_t dim)
        : ops_(ops), codes_(codes), queries_(queries), dim_(dim) {}

    void prepare(std::size_t q, TableQuery& query) const {
        const float* x = queries_ + q * dim_;
        query.tables.resize(codes_.nibbles * 16);
        query.bytes.resize(codes_.groups * 128 + kCacheLine);
        std::uint8_t* const bytes = aligned(query.bytes.data());
        const TableTerms terms{codes_.nibbles, codes_.width, codes_.table_dims, codes_.table_values};
        query.bits.resize(codes_.groups * 32);
        ops_.fill_tables(terms, x, query.tables.data(), bytes, query.bits.data(), &query.rounded);
        query.rounded.bytes = bytes;
        query.rounded.rounding =
            kRoundingDeviations * query.rounded.delta * std::sqrt(static_cast<float>(codes_.nibbles) / 12);
        prepare_weights(x, query);
    }

 private:
    void prepare_weights(const float* x, TableQuery& query) const {
        query.weights.clear();
        query.weights_mean = 0;
        std::size_t at = 0;
        for (std::size_t r = 0; r < codes_.nruns; ++r) {
            const int bits = codes_.extra_runs[2 * r];
            const auto nbytes = static_cast<std::size_t>(codes_.extra_runs[2 * r + 1]) * bits / 8;
            const auto middle = static_cast<float>((1 << bits) - 1) / 2;
            for (int shift = 0; shift < 8; shift += bits) {
                for (std::size_t b = 0; b < nbytes; ++b, ++at) {
                    if (b == nbytes / 16 * 16) query.weights.resize(query.weights.size() + 16 - nbytes % 16);
                    const std::int32_t d = codes_.extra_dims[at];
                    query.weights.push_back(d < 0 ? 0 : x[d] * codes_.extra_steps[at]);
                    query.weights_mean += middle * query.weights.back();
                }
            }
        }
    }

    const Ops& ops_;
    const TableCodes& codes_;
    const float* queries_;
    std::size_t dim_;
};

template <bool kWithExtra>
class TableScorer {
 public:
    using Query = TableQuery;
    static constexpr bool kRefines = kWithExtra;
    static constexpr std::size_t kTogether = 32;

    TableScorer(const Ops& ops, const TableCodes& codes, const TableQueries& queries, float eps)
        : ops_(ops), codes_(codes), queries_(queries), eps_(eps) {}

    void prepare(std::size_t q, Query& query) const { queries_.prepare(q, query); }

    std::size_t place_bytes() const { return codes_.groups * 4 + codes_.columns * (codes_.half_factors ? 2 : 4); }

    bool passes_once() const { return ops_.tables_pass_once; }

    // Without errors nothing tells which rows stage two may skip: it refines all.
    bool has_lower() const { return eps_ > 0 && codes_.columns == 3; }

    void score(const Query* queries, const ListRun* runs, std::size_t n, BlockHits* hits) const {
        const ListRun& run = *runs;  // all are of the same places
        const std::size_t blocks = (run.count + kBlockRows - 1) / kBlockRows;
        if (kRefines && !has_lower()) {
            for (std::size_t q = 0; q < n; ++q) all_near(hits[q], blocks);
            return;
        }
        const std::size_t block = run.place / kBlockRows;
        const TableRun codes{codes_.blocks + block * codes_.groups * 128,
                             codes_.groups,
                             codes_.factors + block * block_factor_bytes(),
                             codes_.half_factors,
                             codes_.columns,
                             blocks};
        TableAsk asks[kTogether];
        for (std::size_t q = 0; q < n; ++q)
            asks[q] = {&queries[q].rounded, runs[q].add, eps_ * runs[q].radius, runs[q].gate, kRefines, hits + q};
        ops_.table_estimates(codes, asks, n);
    }

    void expect(std::size_t place) const {
        const std::size_t block = place / kBlockRows;
        const std::uint8_t* codes = codes_.blocks + block * codes_.groups * 128;
        for (std::size_t b = 0; b < kExpectedBytes; b += 64) __builtin_prefetch(codes + b);
        __builtin_prefetch(codes_.factors + block * block_factor_bytes());
        __builtin_prefetch(codes_.layout.rows + place);
    }

    // The first estimate of a place, from the sum that the first stage found.
    float estimate(std::size_t place, float add, float sum) const {
        const std::uint8_t* factors = codes_.factors + place / kBlockRows * block_factor_bytes();
        const auto at = [&](int column) {
            return factor(factors, codes_.half_factors, column * kBlockRows + place % kBlockRows);
        };
        return refined(add, 0, sum, at, std::min(codes_.columns, 2)).distance;
    }

    void prefetch(std::size_t place) const {
        const std::uint8_t* row = codes_.extra + place * codes_.extra_bytes;
        for (std::size_t b = 0; b < codes_.extra_bytes; b += 64) touch(row + b);
        touch(row + codes_.extra_bytes - 1);
        touch(codes_.extra_factors + place * codes_.extra_columns * (codes_.half_extra_factors ? 2 : 4));
        touch(codes_.layout.rows + place);
    }

    // `sum` is what the first stage found. Places that even so cannot be wanted are not looked at again: their codes
    // are spread over the whole block.
    template <class Wanted>
    std::optional<Refined> refine(const Query& query, std::size_t place, float add, float radius, float sum,
                                  const Wanted& wanted) const {
        const std::size_t first = place * codes_.extra_columns;
        const auto at = [&](int column) {
            return factor(codes_.extra_factors, codes_.half_extra_factors, first + column);
        };
        const float low = ops_.extra_dot(codes_.extra + place * codes_.extra_bytes, codes_.extra_runs, codes_.nruns,
                                         query.weights.data()) -
                          query.weights_mean;
        if (has_lower()) {
            const Refined rough = refined(add, radius, sum + low, at, codes_.extra_columns);
            if (!wanted(rough.distance - query.rounded.rounding * std::fabs(at(0)), rough.error)) return {};
        }
        return refined(add, radius, table_sum(query, place) + low, at, codes_.extra_columns);
    }

    Refined finish(const Query& query, std::size_t place, float add, float radius) const {
        const std::uint8_t* factors = codes_.factors + place / kBlockRows * block_factor_bytes();
        const auto at = [&](int column) {
            return factor(factors, codes_.half_factors, column * kBlockRows + place % kBlockRows);
        };
        return refined(add, radius, table_sum(query, place), at, codes_.columns);
    }

 private:
    static void all_near(BlockHits& hits, std::size_t blocks) {
        hits.count = blocks;
        std::fill(hits.lower, hits.lower + blocks * kBlockRows, -std::numeric_limits<float>::infinity());
        std::fill(hits.near, hits.near + blocks, ~std::uint32_t{0});
        std::iota(hits.blocks, hits.blocks + blocks, std::uint32_t{0});
    }

    std::size_t block_factor_bytes() const { return codes_.columns * kBlockRows * (codes_.half_factors ? 2 : 4); }

    template <class At>
    Refined refined(float add, float radius, float sum, const At& at, int columns) const {
        const float base = columns > 1 ? add + at(1) : add;
        return {base + at(0) * sum, columns > 2 ? eps_ * radius * at(2) : 0};
    }

    float table_sum(const Query& query, std::size_t place) const {
        const std::uint8_t* codes = codes_.blocks + place / kBlockRows * codes_.groups * 128 + place % kBlockRows * 4;
        float sums[4] = {};
        const std::size_t whole = codes_.nibbles / 8;
        for (std::size_t g = 0; g < whole; ++g, codes += 128) {
            const float* tables = query.tables.data() + g * 128;
            for (int i = 0; i < 4; ++i)
                sums[i] += tables[32 * i + (codes[i] & 15)] + tables[32 * i + 16 + (codes[i] >> 4)];
        }
        for (std::size_t t = whole * 8; t < codes_.nibbles; ++t)
            sums[0] += query.tables[t * 16 + (codes[t % 8 / 2] >> t % 2 * 4 & 15)];
        return (sums[0] + sums[1]) + (sums[2] + sums[3]);
    }

    const Ops& ops_;
    const TableCodes& codes_;
    const TableQueries& queries_;
    float eps_;
};

template <bool kWithExtra>
void scan(const TableCodes& codes, const TableQueries& queries, const ListProbes& probes, float eps,
          const ListOutput& output) {
    const Ops& ops = current_ops();
    const TableScorer<kWithExtra> scorer(ops, codes, queries, eps);
    ListScan(scorer, codes.layout, probes, output).run();
}

}  // namespace

void table_scan(const TableCodes& codes, const float* queries, std::size_t dim, const ListProbes& probes, float eps,
                const ListOutput& output) {
    const TableQueries prepared(current_ops(), codes, queries, dim);
    if (codes.extra != nullptr) return scan<true>(codes, prepared, probes, eps, output);
    scan<false>(codes, prepared, probes, eps, output);
}

}  // namespace vecstore
