// Sums of looked-up bytes, AVX2: the bytes of 32 rows are regrouped by their place in the row's dword, so that a
// shuffle looks all of them up in one table. Entries are at most 127: the two of a byte fit in a byte together.
#pragma once

#include <immintrin.h>

namespace vecstore {
namespace {

// A 16-bit lane adds up the bytes of two rows, low + 256 * high; the high row's own sum is subtracted at the end.
struct RowPairSums {
    __m256i both = _mm256_setzero_si256();
    __m256i high = _mm256_setzero_si256();  // of odd rows

    void add(__m256i bytes) {
        both = _mm256_add_epi16(both, bytes);
        high = _mm256_add_epi16(high, _mm256_srli_epi16(bytes, 8));
    }
    __m256i even() const { return _mm256_sub_epi16(both, _mm256_slli_epi16(high, 8)); }
    void add_to(std::int32_t* out) const {
        add_rows(out, _mm256_unpacklo_epi16(even(), high));
        add_rows(out + 16, _mm256_unpackhi_epi16(even(), high));
    }

 private:
    static void add_rows(std::int32_t* out, __m256i rows) {
        const __m256i ordered = _mm256_permute4x64_epi64(rows, 0xd8);
        for (int half = 0; half < 2; ++half) {
            auto* const to = reinterpret_cast<__m256i*>(out + 8 * half);
            const __m128i part = half ? _mm256_extracti128_si256(ordered, 1) : _mm256_castsi256_si128(ordered);
            _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), _mm256_cvtepu16_epi32(part)));
        }
    }
};

inline __m256i table_at(const std::uint8_t* bytes) {
    return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes)));
}

// The nibbles of a group's 32 rows, a byte each: low and high ones by turns, for each of the dword's four bytes.
inline void regroup(const std::uint8_t* codes, __m256i* nibbles) {
    const __m256i by_place =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
    __m256i rows[4];
    for (int i = 0; i < 4; ++i)
        rows[i] = _mm256_shuffle_epi8(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + 32 * i)), by_place);
    const __m256i a = _mm256_unpacklo_epi32(rows[0], rows[1]), b = _mm256_unpacklo_epi32(rows[2], rows[3]);
    const __m256i c = _mm256_unpackhi_epi32(rows[0], rows[1]), d = _mm256_unpackhi_epi32(rows[2], rows[3]);
    const __m256i places[4] = {_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b), _mm256_unpacklo_epi64(c, d),
                               _mm256_unpackhi_epi64(c, d)};
    const __m256i mask = _mm256_set1_epi8(15);
    for (int i = 0; i < 4; ++i) {
        nibbles[2 * i] = _mm256_and_si256(places[i], mask);
        nibbles[2 * i + 1] = _mm256_and_si256(_mm256_srli_epi16(places[i], 4), mask);
    }
}

inline void add_group(const std::uint8_t* codes, const std::uint8_t* tables, RowPairSums& sums) {
    __m256i nibbles[8];
    regroup(codes, nibbles);
    for (int i = 0; i < 4; ++i) {
        const __m256i low = _mm256_shuffle_epi8(table_at(tables + 16 * i), nibbles[2 * i]);
        sums.add(_mm256_add_epi8(low, _mm256_shuffle_epi8(table_at(tables + 64 + 16 * i), nibbles[2 * i + 1])));
    }
}

constexpr std::size_t kSafeGroups = 64;    // 64 * 4 * 254 < 65536
constexpr std::size_t kCodesAhead = 4096;  // a query alone waits for memory: what the CPU fetches by itself is late

inline void block_sums(const std::uint8_t* blocks, std::size_t count, std::size_t groups, const std::uint8_t* bytes,
                       std::int32_t* out) {
    for (std::size_t b = 0; b < count; ++b, blocks += groups * 128, out += 32) {
        for (int i = 0; i < 32; ++i) out[i] = 0;
        for (std::size_t start = 0; start < groups; start += kSafeGroups) {
            const std::size_t end = groups < start + kSafeGroups ? groups : start + kSafeGroups;
            RowPairSums sums;
            for (std::size_t g = start; g < end; ++g) {
                const std::uint8_t* const codes = blocks + g * 128;
                for (int line = 0; line < 128; line += 64) __builtin_prefetch(codes + kCodesAhead + line);
                add_group(codes, bytes + g * 128, sums);
            }
            sums.add_to(out);
        }
    }
}

}  // namespace
}  // namespace vecstore

#include "table_batch_avx2.h"  // takes what is above
