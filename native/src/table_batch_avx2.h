// Sums of several queries, AVX2: codes of a block are regrouped once for all of them. Included by table_sums_avx2.h,
// after regroup, RowPairSums and table_at.
#pragma once

#include "table_cuts_avx2.h"
#include "table_sums_each.h"

namespace vecstore {
namespace {

constexpr std::size_t kPlaceBytes = 12 * 1024;  // regrouped blocks, in the first-level cache with two queries' tables
constexpr std::size_t kGroupPlaces = 8 * 32;    // a byte for each nibble of a group

// Two blocks and two queries at a time: as many look-ups as loads, and registers for all sums.
template <int kQueries, int kBlocks>
inline void tile_sums(const std::uint8_t* const* tables, const std::uint8_t* places, std::size_t groups,
                      RowPairSums (&sums)[kQueries][kBlocks]) {
    for (std::size_t g = 0; g < groups; ++g, places += kGroupPlaces) {
#pragma GCC unroll 1  // more at a time do not fit the registers
        for (int i = 0; i < 4; ++i) {
            __m256i low_table[kQueries], high_table[kQueries];
            for (int q = 0; q < kQueries; ++q) {
                low_table[q] = table_at(tables[q] + g * 128 + i * 16);
                high_table[q] = table_at(tables[q] + g * 128 + i * 16 + 64);
            }
#pragma GCC unroll 2
            for (int b = 0; b < kBlocks; ++b) {
                const auto* const at = reinterpret_cast<const __m256i*>(places + b * groups * kGroupPlaces + i * 64);
                const __m256i low = _mm256_load_si256(at), high = _mm256_load_si256(at + 1);
#pragma GCC unroll 2
                for (int q = 0; q < kQueries; ++q)
                    sums[q][b].add(_mm256_add_epi8(_mm256_shuffle_epi8(low_table[q], low),
                                                   _mm256_shuffle_epi8(high_table[q], high)));
            }
        }
    }
}

template <int kQueries, int kBlocks, class Found>
inline void near_of_tile(const TableRun& run, const TableAsk* asks, const QueryCut* cuts, std::size_t first_query,
                         const std::uint8_t* places, const RowCuts* rows, std::size_t first_block, const Found& found) {
    const std::uint8_t* tables[kQueries];
    for (int q = 0; q < kQueries; ++q) tables[q] = asks[first_query + q].tables->bytes;
    RowPairSums sums[kQueries][kBlocks];
    tile_sums(tables, places, run.groups, sums);
    for (int b = 0; b < kBlocks; ++b) {
        for (int q = 0; q < kQueries; ++q) {
            if (!rows[b].near(sums[q][b].even(), sums[q][b].high, cuts[first_query + q])) continue;
            alignas(64) std::int32_t out[32] = {};
            sums[q][b].add_to(out);
            found(first_query + q, out, first_block + b);
        }
    }
}

template <int kQueries, class Found>
inline void near_of_queries(const TableRun& run, const TableAsk* asks, const QueryCut* cuts, std::size_t first_query,
                            const std::uint8_t* places, const RowCuts* rows, std::size_t first, std::size_t count,
                            const Found& found) {
    const std::size_t stride = run.groups * kGroupPlaces;
    std::size_t b = 0;
    for (; b + 2 <= count; b += 2)
        near_of_tile<kQueries, 2>(run, asks, cuts, first_query, places + b * stride, rows + b, first + b, found);
    if (b < count)
        near_of_tile<kQueries, 1>(run, asks, cuts, first_query, places + b * stride, rows + b, first + b, found);
}

// Calls found(q, sums, block) for blocks that may hold a row near to query q, in order; what follows is fetched
// meanwhile.
template <bool kLower, class Found>
inline void near_blocks(const TableRun& run, const TableAsk* asks, std::size_t nq, const Found& found) {
    constexpr std::size_t kQueries = 32, kBlocks = 32;
    if (nq > kQueries || run.groups == 0 || run.groups > kSafeGroups) return sums_of_each(run, asks, nq, found);
    alignas(64) std::uint8_t places[2 * kSafeGroups * kGroupPlaces];
    QueryCut cuts[kQueries];
    RowCuts rows[kBlocks];
    for (std::size_t q = 0; q < nq; ++q) cuts[q] = QueryCut(asks[q], kLower);
    const std::size_t block_bytes = run.groups * 128, stride = run.groups * kGroupPlaces;
    const std::size_t fit = kPlaceBytes / stride, together = fit < 2 ? 2 : fit < kBlocks ? fit : kBlocks;
    for (std::size_t first = 0; first < run.count; first += together) {
        const std::size_t count = run.count - first < together ? run.count - first : together;
        for (std::size_t b = 0; b < count; ++b) {
            rows[b].read(run, first + b);
            for (std::size_t g = 0; g < run.groups; ++g)
                regroup(run.blocks + (first + b) * block_bytes + g * 128,
                        reinterpret_cast<__m256i*>(places + b * stride + g * kGroupPlaces));
        }
        const std::uint8_t* next = run.blocks + (first + count) * block_bytes;
        const std::size_t share = 2 * count * block_bytes / nq;
        std::size_t q = 0;
        for (; q + 2 <= nq; q += 2, next += share) {
            for (std::size_t line = 0; line < share; line += 64) __builtin_prefetch(next + line);
            near_of_queries<2>(run, asks, cuts, q, places, rows, first, count, found);
        }
        if (q < nq) near_of_queries<1>(run, asks, cuts, q, places, rows, first, count, found);
    }
}

}  // namespace
}  // namespace vecstore
