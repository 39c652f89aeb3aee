// Sums of looked-up bytes, AVX-512 VBMI and VNNI: a 64-byte table serves the four bytes of a row's dword at once, and
// one instruction adds the four entries to the row's 32-bit sum. Entries are at most 127: the two of a byte are added
// up first, on ports that neither look-ups nor sums use.
#pragma once

#include <immintrin.h>

#include <utility>

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
    return _mm512_dpbusd_epi32(sum, _mm512_add_epi8(low, high), _mm512_set1_epi8(1));
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
inline void sums_of(const std::uint8_t* block, std::size_t groups, const TableAsk* asks, std::int32_t* out,
                    std::integer_sequence<int, q...>) {
    __m512i first_rows[] = {(static_cast<void>(q), _mm512_setzero_si512())...};
    __m512i last_rows[] = {(static_cast<void>(q), _mm512_setzero_si512())...};
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
    (_mm512_storeu_si512(out + 32 * q, first_rows[q]), ...);
    (_mm512_storeu_si512(out + 32 * q + 16, last_rows[q]), ...);
}

template <int kQueries>
void sums_of(const std::uint8_t* block, std::size_t groups, const TableAsk* asks, std::int32_t* out) {
    sums_of(block, groups, asks, out, std::make_integer_sequence<int, kQueries>());
}

inline void query_sums(const std::uint8_t* block, std::size_t groups, const TableAsk* asks, std::size_t nq,
                       std::int32_t* out) {
    static constexpr void (*kOf[kSumQueries])(const std::uint8_t*, std::size_t, const TableAsk*, std::int32_t*) = {
        sums_of<1>, sums_of<2>, sums_of<3>, sums_of<4>, sums_of<5>, sums_of<6>, sums_of<7>, sums_of<8>};
    kOf[nq - 1](block, groups, asks, out);
}

}  // namespace
}  // namespace vecstore
