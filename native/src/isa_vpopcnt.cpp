// Hamming with VPOPCNTDQ and VBMI: 64 bytes at a time. Counts of 64-bit words are brought together as bytes, eight
// words to a lane, so that one permutation and one sum of bytes finish eight rows.
#include <immintrin.h>

#include "isa.h"

#include "hamming_words.h"

namespace vecstore {
namespace {

constexpr int kRows = 8;
constexpr std::size_t kAhead = 4096;  // bytes that rows in sequence are prefetched before they are scanned

// Byte i of every lane is from[i]'s lane. Counts must fit in bytes.
template <int kCount>
inline __m512i as_bytes(const __m512i (&from)[kCount]) {
    __m512i bytes = from[0];
#pragma GCC unroll 8
    for (int i = 1; i < kCount; ++i) bytes = _mm512_or_si512(bytes, _mm512_slli_epi64(from[i], 8 * i));
    return bytes;
}

// Eight rows' sums, of the bytes that `order` sends to each row's lane.
inline void store_sums(__m512i bytes, __mmask64 used, __m512i order, float* out) {
    const __m512i sums = _mm512_sad_epu8(_mm512_maskz_permutexvar_epi8(used, order, bytes), _mm512_setzero_si512());
    _mm256_storeu_ps(out, _mm256_cvtepi32_ps(_mm512_cvtepi64_epi32(sums)));
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

inline void store_halves(const __m512i (&lane_counts)[kRows], float* out) {
    const __m128i a = sum_of_four(lane_counts);
    const __m128i b = sum_of_four(lane_counts + 4);
    const __m128i fields = _mm_add_epi64(_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b));
    _mm256_storeu_ps(out, _mm256_cvtepi32_ps(_mm256_cvtepu16_epi32(fields)));
}

// What a lane's counts of one row fit in.
enum class Fields { bytes, halves, wide };

struct Order {
    __m512i from;
    __mmask64 used;
};

// Word w of row r stands in lane f % 8 of vector f / 8, f = r * words + w; in byte f / 8 of that lane after as_bytes.
inline Order order_of_words(int words) {
    alignas(64) std::uint8_t from[64] = {};
    Order order{};
    for (int row = 0; row < kRows; ++row) {
        for (int word = 0; word < words; ++word) {
            const int flat = row * words + word;
            from[row * 8 + word] = static_cast<std::uint8_t>(flat % 8 * 8 + flat / 8);
            order.used |= __mmask64{1} << (row * 8 + word);
        }
    }
    order.from = _mm512_load_si512(from);
    return order;
}

// Rows in sequence of kWords 64-bit words: eight rows are kWords whole vectors, loaded once for all queries.
template <int kWords>
void scan_words(const std::uint8_t* queries, std::size_t nq, const RowBlock& rows, float* out, std::size_t out_stride) {
    constexpr std::size_t kTileBytes = kRows * kWords * 8;
    constexpr std::size_t kTileQueries = 4;
    const Order order = order_of_words(kWords);
    for (std::size_t first = 0; first < nq; first += kTileQueries) {
        const std::size_t count = nq - first < kTileQueries ? nq - first : kTileQueries;
        alignas(64) std::uint8_t repeated[kTileQueries][kTileBytes];
        for (std::size_t q = 0; q < count; ++q)
            for (std::size_t r = 0; r < kRows; ++r)
                std::memcpy(repeated[q] + r * kWords * 8, queries + (first + q) * hamming_query_stride(kWords * 8),
                            kWords * 8);
        const auto tile = [&](std::size_t i, const __m512i(&data)[kWords]) {
            for (std::size_t q = 0; q < count; ++q) {
                __m512i counts[kWords];
#pragma GCC unroll 8
                for (int w = 0; w < kWords; ++w)
                    counts[w] = _mm512_popcnt_epi64(_mm512_xor_si512(data[w], _mm512_load_si512(repeated[q] + 64 * w)));
                store_sums(as_bytes(counts), order.used, order.from, out + (first + q) * out_stride + i);
            }
        };
        const std::uint8_t* p = rows.base;
        std::size_t i = 0;
        for (; i + kRows <= rows.count; i += kRows, p += kTileBytes) {
            __m512i data[kWords];
#pragma GCC unroll 8
            for (int w = 0; w < kWords; ++w) {
                data[w] = _mm512_loadu_si512(p + 64 * w);
                __builtin_prefetch(p + kAhead + 64 * w);
            }
            tile(i, data);
        }
        if (i < rows.count) {
            const std::size_t words = (rows.count - i) * kWords;
            __m512i data[kWords];
            for (std::size_t w = 0; w < kWords; ++w) {
                const std::size_t left = words > 8 * w ? words - 8 * w : 0;
                const auto mask = static_cast<__mmask8>(left >= 8 ? 255 : (1 << left) - 1);
                data[w] = _mm512_maskz_loadu_epi64(mask, p + 64 * w);
            }
            tile(i, data);
        }
    }
}

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

// Rows anywhere, of any width: the last chunk of each under a mask.
template <bool kOneChunk>
void scan(const std::uint8_t* queries, std::size_t nq, std::size_t nbytes, const RowBlock& rows, float* out,
          std::size_t out_stride) {
    const std::size_t last = nbytes == 0 ? 0 : (nbytes - 1) % 64 + 1;
    const __mmask64 last_mask = last == 64 ? ~__mmask64{0} : (__mmask64{1} << last) - 1;
    const Fields fields = nbytes <= 3 * 64     ? Fields::bytes  // three words of at most 64 bits in one lane
                          : nbytes * 8 < 65536 ? Fields::halves
                                               : Fields::wide;
    const __m512i transposed = order_of_words(8).from;
    for_each_tile<kRows>(rows, [&](std::size_t i, const auto& row) {
        for (std::size_t q = 0; q < nq; ++q) {
            const std::uint8_t* query = queries + q * hamming_query_stride(nbytes);
            __m512i lane_counts[kRows];
#pragma GCC unroll 8
            for (int r = 0; r < kRows; ++r) lane_counts[r] = counts<kOneChunk>(query, row[r], nbytes, last_mask);
            if (q == 0 && rows.offsets == nullptr)
                for (std::size_t b = 0; b < kRows * nbytes; b += 64) __builtin_prefetch(row[0] + kAhead + b);
            float* to = out + q * out_stride + i;
            switch (fields) {
                case Fields::bytes:
                    store_sums(as_bytes(lane_counts), ~__mmask64{0}, transposed, to);
                    break;
                case Fields::halves:
                    store_halves(lane_counts, to);
                    break;
                case Fields::wide:
                    for (int r = 0; r < kRows; ++r) to[r] = static_cast<float>(_mm512_reduce_add_epi64(lane_counts[r]));
            }
        }
    });
}

void hamming(const std::uint8_t* queries, std::size_t nq, std::size_t nbytes, const RowBlock& rows, float* out,
             std::size_t out_stride) {
    using ScanWords = void (*)(const std::uint8_t*, std::size_t, const RowBlock&, float*, std::size_t);
    constexpr ScanWords kScanWords[] = {scan_words<1>, scan_words<2>, scan_words<3>, scan_words<4>,
                                        scan_words<5>, scan_words<6>, scan_words<7>, scan_words<8>};
    if (rows.offsets == nullptr && rows.stride == nbytes && nbytes % 8 == 0 && nbytes >= 8 && nbytes <= 64)
        return kScanWords[nbytes / 8 - 1](queries, nq, rows, out, out_stride);
    if (nbytes <= 64) return scan<true>(queries, nq, nbytes, rows, out, out_stride);
    scan<false>(queries, nq, nbytes, rows, out, out_stride);
}

}  // namespace

HammingFn vpopcnt_hamming() { return hamming; }

}  // namespace vecstore
