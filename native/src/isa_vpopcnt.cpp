// Hamming with VPOPCNTDQ: 64 bytes of a row at a time, the last chunk under a mask.
#include <immintrin.h>

#include "isa.h"

#include "hamming_words.h"

namespace vecstore {
namespace {

constexpr int kRows = 8;

template <bool kOneChunk>
inline __m512i counts(const std::uint8_t* query, const std::uint8_t* row, std::size_t nbytes, __mmask64 last_mask) {
    __m512i sum = _mm512_setzero_si512();
    std::size_t b = 0;
    if constexpr (!kOneChunk) {
        for (; b + 64 < nbytes; b += 64) {
            const __m512i x = _mm512_xor_si512(_mm512_loadu_si512(query + b), _mm512_loadu_si512(row + b));
            sum = _mm512_add_epi64(sum, _mm512_popcnt_epi64(x));
        }
    }
    const __m512i last = _mm512_maskz_loadu_epi8(last_mask, row + b);
    return _mm512_add_epi64(sum, _mm512_popcnt_epi64(_mm512_xor_si512(_mm512_loadu_si512(query + b), last)));
}

// Four rows' counts share each 64-bit lane in 16-bit fields, so that one horizontal sum serves four rows. Two lanes of
// partial sums remain.
inline __m128i sum_of_four(const __m512i* lane_counts) {
    const __m512i low = _mm512_or_si512(lane_counts[0], _mm512_slli_epi64(lane_counts[1], 16));
    const __m512i high = _mm512_or_si512(lane_counts[2], _mm512_slli_epi64(lane_counts[3], 16));
    const __m512i packed = _mm512_or_si512(low, _mm512_slli_epi64(high, 32));
    const __m256i four = _mm256_add_epi64(_mm512_castsi512_si256(packed), _mm512_extracti64x4_epi64(packed, 1));
    return _mm_add_epi64(_mm256_castsi256_si128(four), _mm256_extracti64x2_epi64(four, 1));
}

inline void store(const __m512i (&lane_counts)[kRows], bool fits_16_bits, float* out) {
    if (fits_16_bits) {
        const __m128i a = sum_of_four(lane_counts);
        const __m128i b = sum_of_four(lane_counts + 4);
        const __m128i fields = _mm_add_epi64(_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b));
        _mm256_storeu_ps(out, _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(fields)));
    } else {
        for (int r = 0; r < kRows; ++r) out[r] = static_cast<float>(_mm512_reduce_add_epi64(lane_counts[r]));
    }
}

template <bool kOneChunk>
inline void tile(const std::uint8_t* queries, std::size_t nq, std::size_t nbytes, __mmask64 last_mask,
                 const std::uint8_t* const (&row)[kRows], float* out, std::size_t out_stride) {
    for (std::size_t q = 0; q < nq; ++q) {
        const std::uint8_t* query = queries + q * hamming_query_stride(nbytes);
        __m512i lane_counts[kRows];
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) lane_counts[r] = counts<kOneChunk>(query, row[r], nbytes, last_mask);
        store(lane_counts, nbytes * 8 < 65536, out + q * out_stride);
    }
}

template <bool kOneChunk>
void scan(const std::uint8_t* queries, std::size_t nq, std::size_t nbytes, const RowBlock& rows, float* out,
          std::size_t out_stride) {
    const std::size_t last = nbytes == 0 ? 0 : (nbytes - 1) % 64 + 1;
    const __mmask64 last_mask = last == 64 ? ~__mmask64{0} : (__mmask64{1} << last) - 1;
    for_each_tile<kRows>(rows, [&](std::size_t i, const auto& row) {
        tile<kOneChunk>(queries, nq, nbytes, last_mask, row, out + i, out_stride);
    });
}

void hamming(const std::uint8_t* queries, std::size_t nq, std::size_t nbytes, const RowBlock& rows, float* out,
             std::size_t out_stride) {
    if (nbytes <= 64) return scan<true>(queries, nq, nbytes, rows, out, out_stride);
    scan<false>(queries, nq, nbytes, rows, out, out_stride);
}

}  // namespace

HammingFn vpopcnt_hamming() { return hamming; }

}  // namespace vecstore
