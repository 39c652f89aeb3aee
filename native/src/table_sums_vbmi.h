// Sums of looked-up bytes, AVX-512 VBMI and VNNI: a 64-byte table serves the four bytes of a row's dword at once, and
// one instruction adds the four entries to the row's 32-bit sum.
#pragma once

#include <immintrin.h>

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

inline __m512i add_entries(__m512i sum, __m512i places, __m512i tables) {
    return _mm512_dpbusd_epi32(sum, _mm512_permutexvar_epi8(places, tables), _mm512_set1_epi8(1));
}

// The two blocks are read as two streams, which memory serves badly: what comes is asked for in order.
constexpr std::size_t kPrefetchBytes = 4096;

template <int kBlocks>
inline void blocks_sums(const std::uint8_t* blocks, std::size_t groups, const std::uint8_t* bytes, std::int32_t* out) {
    __m512i low[2 * kBlocks], high[2 * kBlocks];
    for (auto& sum : low) sum = _mm512_setzero_si512();
    for (auto& sum : high) sum = _mm512_setzero_si512();
    for (std::size_t g = 0; g < groups; ++g) {
        const __m512i low_tables = _mm512_loadu_si512(bytes + g * 128);
        const __m512i high_tables = _mm512_loadu_si512(bytes + g * 128 + 64);
#pragma GCC unroll 4
        for (int b = 0; b < kBlocks; ++b) {
#pragma GCC unroll 2
            for (int half = 0; half < 2; ++half) {
                const std::uint8_t* at = blocks + (b * groups + g) * 128 + 64 * half;
                __builtin_prefetch(blocks + kPrefetchBytes + (g * kBlocks + b) * 128 + 64 * half);
                const Places places(at);
                low[2 * b + half] = add_entries(low[2 * b + half], places.low, low_tables);
                high[2 * b + half] = add_entries(high[2 * b + half], places.high, high_tables);
            }
        }
    }
    for (int i = 0; i < 2 * kBlocks; ++i) _mm512_storeu_si512(out + 16 * i, _mm512_add_epi32(low[i], high[i]));
}

inline void block_sums(const std::uint8_t* blocks, std::size_t count, std::size_t groups, const std::uint8_t* bytes,
                       std::int32_t* out) {
    std::size_t b = 0;
    for (; b + 2 <= count; b += 2) blocks_sums<2>(blocks + b * groups * 128, groups, bytes, out + b * 32);
    if (b < count) blocks_sums<1>(blocks + b * groups * 128, groups, bytes, out + b * 32);
}

constexpr std::size_t kSumQueries = 4;

// A block's places serve all queries.
template <int kQueries>
inline void sums_of(const std::uint8_t* block, std::size_t groups, const TableAsk* asks, std::int32_t* out) {
    __m512i sums[2 * kQueries];
    for (auto& sum : sums) sum = _mm512_setzero_si512();
    const std::uint8_t* tables[kQueries];
    for (int q = 0; q < kQueries; ++q) tables[q] = asks[q].tables->bytes;
    for (std::size_t g = 0; g < groups; ++g) {
        const Places first(block + g * 128), second(block + g * 128 + 64);
#pragma GCC unroll 4
        for (int q = 0; q < kQueries; ++q) {
            const __m512i low_tables = _mm512_loadu_si512(tables[q] + g * 128);
            const __m512i high_tables = _mm512_loadu_si512(tables[q] + g * 128 + 64);
            sums[2 * q] = add_entries(sums[2 * q], first.low, low_tables);
            sums[2 * q + 1] = add_entries(sums[2 * q + 1], second.low, low_tables);
            sums[2 * q] = add_entries(sums[2 * q], first.high, high_tables);
            sums[2 * q + 1] = add_entries(sums[2 * q + 1], second.high, high_tables);
        }
    }
    for (int i = 0; i < 2 * kQueries; ++i) _mm512_storeu_si512(out + 16 * i, sums[i]);
}

inline void query_sums(const std::uint8_t* block, std::size_t groups, const TableAsk* asks, std::size_t nq,
                       std::int32_t* out) {
    if (nq == 4) return sums_of<4>(block, groups, asks, out);
    if (nq == 3) return sums_of<3>(block, groups, asks, out);
    if (nq == 2) return sums_of<2>(block, groups, asks, out);
    sums_of<1>(block, groups, asks, out);
}

}  // namespace
}  // namespace vecstore
