// Sums of looked-up bytes, AVX-512 VBMI and VNNI: a 64-byte table serves the four bytes of a row's dword at once, and
// one instruction adds the four entries to the row's 32-bit sum.
#pragma once

#include <immintrin.h>

namespace vecstore {
namespace {

// Sixteen rows of one group of eight nibbles.
inline void add_group(__m512i codes, __m512i low_tables, __m512i high_tables, __m512i& low, __m512i& high) {
    const __m512i mask = _mm512_set1_epi8(15);
    const __m512i table_of_byte = _mm512_set1_epi32(0x30201000);
    constexpr int kMaskThenOr = 0xea;
    const __m512i low_index = _mm512_ternarylogic_epi32(codes, mask, table_of_byte, kMaskThenOr);
    const __m512i high_index = _mm512_ternarylogic_epi32(_mm512_srli_epi32(codes, 4), mask, table_of_byte, kMaskThenOr);
    const __m512i ones = _mm512_set1_epi8(1);
    low = _mm512_dpbusd_epi32(low, _mm512_permutexvar_epi8(low_index, low_tables), ones);
    high = _mm512_dpbusd_epi32(high, _mm512_permutexvar_epi8(high_index, high_tables), ones);
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
                const __m512i codes = _mm512_loadu_si512(at);
                __builtin_prefetch(blocks + kPrefetchBytes + (g * kBlocks + b) * 128 + 64 * half);
                add_group(codes, low_tables, high_tables, low[2 * b + half], high[2 * b + half]);
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

}  // namespace
}  // namespace vecstore
