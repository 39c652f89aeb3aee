// Sums of looked-up bytes, AVX-512 VBMI and VNNI: a 64-byte table serves the four bytes of a row's dword at once, and
// one instruction adds the four entries to the row's 32-bit sum. Entries are at most 127: the two of a byte are added
// up first, on ports that neither look-ups nor sums use.
#pragma once

#include <immintrin.h>

#include <utility>

#include "table_cuts_avx512.h"

namespace vecstore {
namespace {

// Where sixteen rows of one group look up their eight nibbles.
struct Places {
    __m512i low, high;

    explicit Places(const std::uint8_t* at) {
        const __m512i mask = _mm512_set1_epi8(15);
        const __m512i table_of_byte = _mm512_set1_epi32(0x30201000);
        constexpr int kMaskThenOr = 0xea;
        const __m512i codes = _mm512_loadu_si512(at);
        low = _mm512_ternarylogic_epi32(codes, mask, table_of_byte, kMaskThenOr);
        high = _mm512_ternarylogic_epi32(_mm512_srli_epi32(codes, 4), mask, table_of_byte, kMaskThenOr);
    }
};

inline __m512i add_entries(__m512i sum, const Places& places, __m512i low_tables, __m512i high_tables) {
    const __m512i low = _mm512_permutexvar_epi8(places.low, low_tables);
    const __m512i high = _mm512_permutexvar_epi8(places.high, high_tables);
    const __m512i both = _mm512_add_epi8(low, high), ones = _mm512_set1_epi8(1);
    asm("vpdpbusd %2, %1, %0"
        : "+v"(sum)
        : "v"(both), "v"(ones));  // GCC 12 copies and spills sums around the intrinsic
    return sum;
}

// The two blocks are read as two streams, which memory serves badly: what comes is asked for in order.
constexpr std::size_t kPrefetchBytes = 4096;

template <int kBlocks>
inline void blocks_sums(const std::uint8_t* blocks, std::size_t groups, const std::uint8_t* bytes, std::int32_t* out) {
    __m512i sums[2 * kBlocks];
    for (auto& sum : sums) sum = _mm512_setzero_si512();
    for (std::size_t g = 0; g < groups; ++g) {
        const __m512i low_tables = _mm512_loadu_si512(bytes + g * 128);
        const __m512i high_tables = _mm512_loadu_si512(bytes + g * 128 + 64);
#pragma GCC unroll 4
        for (int b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 2
            for (int half = 0; half < 2; ++half) {
                const std::uint8_t* at = blocks + (b * groups + g) * 128 + 64 * half;
                __builtin_prefetch(blocks + kPrefetchBytes + (g * kBlocks + b) * 128 + 64 * half);
                sums[2 * b + half] = add_entries(sums[2 * b + half], Places(at), low_tables, high_tables);
            }
        }
    }
    for (int i = 0; i < 2 * kBlocks; ++i) _mm512_storeu_si512(out + 16 * i, sums[i]);
}

inline void block_sums(const std::uint8_t* blocks, std::size_t count, std::size_t groups, const std::uint8_t* bytes,
                       std::int32_t* out) {
    std::size_t b = 0;
    for (; b + 2 <= count; b += 2) blocks_sums<2>(blocks + b * groups * 128, groups, bytes, out + b * 32);
    if (b < count) blocks_sums<1>(blocks + b * groups * 128, groups, bytes, out + b * 32);
}

constexpr std::size_t kSumQueries = 8;

// A block's places serve all queries. Sums are named by constants throughout: only then do compilers keep them in
// registers.
template <int... q>
inline std::uint32_t sums_of(const std::uint8_t* block, std::size_t groups, const TableAsk* asks, const QueryCut* cuts,
                             const RowCuts& rows, std::int32_t* out, std::integer_sequence<int, q...>) {
    const __m512i start = _mm512_castps_si512(_mm512_set1_ps(QueryCut::kSumBase));
    __m512i first_rows[] = {(static_cast<void>(q), start)...};
    __m512i last_rows[] = {(static_cast<void>(q), start)...};
    const std::uint8_t* const tables[] = {asks[q].tables->bytes...};
    for (std::size_t g = 0; g < groups; ++g) {
        const Places first(block + g * 128), last(block + g * 128 + 64);
        const auto add = [&](const std::uint8_t* bytes, __m512i& first_sum, __m512i& last_sum) {
            __m512i low_tables = _mm512_loadu_si512(bytes + g * 128);
            __m512i high_tables = _mm512_loadu_si512(bytes + g * 128 + 64);
            asm("" : "+v"(low_tables), "+v"(high_tables));  // loaded once, not for each half of the rows
            first_sum = add_entries(first_sum, first, low_tables, high_tables);
            last_sum = add_entries(last_sum, last, low_tables, high_tables);
        };
        (add(tables[q], first_rows[q], last_rows[q]), ...);
    }
    const __m512i near_rows[] = {
        _mm512_or_si512(rows.near(0, first_rows[q], cuts[q]), rows.near(1, last_rows[q], cuts[q]))...};
    __m512i any = _mm512_setzero_si512();
    ((any = _mm512_or_si512(any, near_rows[q])), ...);
    if (rows.known && _mm512_movepi32_mask(any) == 0) return 0;
    std::uint32_t near = 0;
    ((near |= std::uint32_t{!rows.known || _mm512_movepi32_mask(near_rows[q]) != 0} << q), ...);
    (_mm512_storeu_si512(out + 32 * q, _mm512_sub_epi32(first_rows[q], start)), ...);
    (_mm512_storeu_si512(out + 32 * q + 16, _mm512_sub_epi32(last_rows[q], start)), ...);
    return near;
}

template <int kQueries>
std::uint32_t sums_of(const std::uint8_t* block, std::size_t groups, const TableAsk* asks, const QueryCut* cuts,
                      const RowCuts& rows, std::int32_t* out) {
    return sums_of(block, groups, asks, cuts, rows, out, std::make_integer_sequence<int, kQueries>());
}

inline std::uint32_t query_sums(const std::uint8_t* block, std::size_t groups, const TableAsk* asks,
                                const QueryCut* cuts, const RowCuts& rows, std::size_t nq, std::int32_t* out) {
    static constexpr std::uint32_t (*kOf[kSumQueries])(const std::uint8_t*, std::size_t, const TableAsk*,
                                                       const QueryCut*, const RowCuts&, std::int32_t*) = {
        sums_of<1>, sums_of<2>, sums_of<3>, sums_of<4>, sums_of<5>, sums_of<6>, sums_of<7>, sums_of<8>};
    return kOf[nq - 1](block, groups, asks, cuts, rows, out);
}

inline void prefetch(const std::uint8_t* from, std::size_t bytes) {
    for (std::size_t line = 0; line < bytes; line += 64) __builtin_prefetch(from + line);
}

// Calls found(q, sums, block) for blocks that may hold a row near to query q, in order. Queries go through a run a few
// at a time, who stay in the first-level cache; meanwhile what follows the run comes into it.
template <bool kLower, class Found>
inline void looked_up_near_blocks(const TableRun& run, const TableAsk* asks, std::size_t nq, const Found& found) {
    constexpr std::size_t kBlocks = 32;  // whose cuts are at hand
    alignas(64) std::int32_t sums[kSumQueries * 32];
    QueryCut cuts[kSumQueries];
    RowCuts rows[kBlocks];
    const std::size_t passes = (nq + kSumQueries - 1) / kSumQueries;
    const std::size_t block_bytes = run.groups * 128, factor_bytes = run.columns * 32 * (run.half_factors ? 2 : 4);
    const std::uint8_t* next = run.blocks + run.count * block_bytes;
    for (std::size_t first = 0; first < run.count; first += kBlocks) {
        const std::size_t end = first + kBlocks < run.count ? first + kBlocks : run.count;
        for (std::size_t b = first; b < end; ++b) {
            prefetch(run.factors + (b + run.count) * factor_bytes, factor_bytes);
            rows[b - first] = RowCuts(run, b);
        }
        for (std::size_t q = 0; q < nq; q += kSumQueries) {
            const std::size_t count = nq - q < kSumQueries ? nq - q : kSumQueries;
            for (std::size_t i = 0; i < count; ++i) cuts[i] = QueryCut(asks[q + i], kLower);
            for (std::size_t b = first; b < end; ++b, next += block_bytes / passes) {
                prefetch(next, block_bytes / passes);
                std::uint32_t near =
                    query_sums(run.blocks + b * block_bytes, run.groups, asks + q, cuts, rows[b - first], count, sums);
                for (; near != 0; near &= near - 1) {
                    const auto i = static_cast<std::size_t>(__builtin_ctz(near));
                    found(q + i, sums + i * 32, b);
                }
            }
        }
    }
}

}  // namespace
}  // namespace vecstore
