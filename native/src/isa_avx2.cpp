#include "isa.h"

#include "elements.h"
#include "lanes_avx2.h"

#include "dense_kernels.h"
#include "hamming_words.h"
#include "row_codes_lanes_avx2.h"
#include "table_sums_avx2.h"

#include "row_codes_kernels.h"
#include "table_kernels.h"

namespace vecstore {
namespace {

// Bits of each byte, by looking up both nibbles (Mula, "Faster population counts using AVX2 instructions", 2018).
inline __m256i popcount_bytes(__m256i v) {
    const __m256i table = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                           0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
    const __m256i nibble = _mm256_set1_epi8(15);
    const __m256i low = _mm256_shuffle_epi8(table, _mm256_and_si256(v, nibble));
    return _mm256_add_epi8(low, _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi16(v, 4), nibble)));
}

inline __m256i load_bytes(const std::uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }

// Differing bits in four 64-bit lanes. The last 1..32 bytes come from an overlapping load, `last_mask` clears the rest.
inline __m256i lane_counts(const std::uint8_t* query, const std::uint8_t* row, std::size_t nbytes, __m256i last_mask) {
    const __m256i zero = _mm256_setzero_si256();
    __m256i sum = zero;
    const __m256i last = _mm256_xor_si256(load_bytes(query + nbytes - 32), load_bytes(row + nbytes - 32));
    __m256i bytes = popcount_bytes(_mm256_and_si256(last, last_mask));
    int room = 30;  // chunks of at most 8 per byte that still fit in a byte
    for (std::size_t b = 0; b + 32 < nbytes; b += 32) {
        bytes = _mm256_add_epi8(bytes, popcount_bytes(_mm256_xor_si256(load_bytes(query + b), load_bytes(row + b))));
        if (--room == 0) {
            sum = _mm256_add_epi64(sum, _mm256_sad_epu8(bytes, zero));
            bytes = zero;
            room = 31;
        }
    }
    return _mm256_add_epi64(sum, _mm256_sad_epu8(bytes, zero));
}

// Asked for this far ahead: what the CPU fetches by itself comes too late for rows that are counted this fast.
constexpr std::size_t kAheadBytes = 4096;

inline void expect_bytes(const std::uint8_t* row, std::size_t nbytes) {
    for (std::size_t b = 0; b < nbytes; b += 64) __builtin_prefetch(row + kAheadBytes + b);
}

// Rows of 48 bytes in sequence, 384 bits: two rows are three vectors, whose halves are counts of one row each.
class Rows48 {
 public:
    static constexpr std::size_t kBytes = 48, kTogether = 4;

    explicit Rows48(const std::uint8_t* query)
        : first_(load_bytes(query)),
          middle_(_mm256_permute2x128_si256(load_bytes(query + 16), first_, 0x21)),
          last_(load_bytes(query + 16)) {}

    void count(const std::uint8_t* rows, float* out) const {
        const __m256i even = counts_of_two(rows), odd = counts_of_two(rows + 2 * kBytes);
        const __m256i sums = _mm256_add_epi64(_mm256_unpacklo_epi64(even, odd), _mm256_unpackhi_epi64(even, odd));
        const __m256i in_order = _mm256_permutevar8x32_epi32(sums, _mm256_setr_epi32(0, 4, 2, 6, 0, 4, 2, 6));
        _mm_storeu_ps(out, _mm_cvtepi32_ps(_mm256_castsi256_si128(in_order)));
    }

 private:
    // Two sums of 64 bits in each half.
    __m256i counts_of_two(const std::uint8_t* rows) const {
        const __m256i first = popcount_bytes(_mm256_xor_si256(first_, load_bytes(rows)));
        const __m256i middle = popcount_bytes(_mm256_xor_si256(middle_, load_bytes(rows + 32)));
        const __m256i last = popcount_bytes(_mm256_xor_si256(last_, load_bytes(rows + 64)));
        const __m256i outer =
            _mm256_add_epi8(_mm256_blend_epi32(first, middle, 0xf0), _mm256_blend_epi32(middle, last, 0xf0));
        const __m256i inner = _mm256_permute2x128_si256(first, last, 0x21);
        return _mm256_sad_epu8(_mm256_add_epi8(outer, inner), _mm256_setzero_si256());
    }

    __m256i first_, middle_, last_;  // what the three vectors of two rows are compared with
};

bool hamming_rows_48(const std::uint8_t* queries, std::size_t nq, std::size_t nbytes, const RowBlock& rows, float* out,
                     std::size_t out_stride) {
    constexpr std::size_t kBytes = Rows48::kBytes, kTogether = Rows48::kTogether;
    if (rows.offsets != nullptr || rows.stride != nbytes || nbytes != kBytes) return false;
    const std::size_t whole = rows.count / kTogether * kTogether;
    for (std::size_t q = 0; q < nq; ++q) {
        const Rows48 query(queries + q * hamming_query_stride(kBytes));
        for (std::size_t i = 0; i < whole; i += kTogether) {
            expect_bytes(rows.base + i * kBytes, kTogether * kBytes);
            query.count(rows.base + i * kBytes, out + q * out_stride + i);
        }
    }
    const RowBlock rest{rows.base + whole * kBytes, kBytes, nullptr, rows.count - whole};
    return hamming_few_words(queries, nq, kBytes, rest, out + whole, out_stride);
}

void hamming(const std::uint8_t* queries, std::size_t nq, std::size_t nbytes, const RowBlock& rows, float* out,
             std::size_t out_stride) {
    if (hamming_rows_48(queries, nq, nbytes, rows, out, out_stride)) return;
    if (hamming_few_words(queries, nq, nbytes, rows, out, out_stride)) return;
    constexpr int kRows = 4;
    // The four rows' counts share each lane in 16-bit fields.
    if (nbytes < 32 || nbytes * 8 >= 65536) return hamming_by_words(queries, nq, nbytes, rows, out, out_stride);
    alignas(32) std::uint8_t mask_bytes[32];
    const std::size_t last = (nbytes - 1) % 32 + 1;
    for (std::size_t b = 0; b < 32; ++b) mask_bytes[b] = b < 32 - last ? 0 : 255;
    const __m256i last_mask = load_bytes(mask_bytes);
    for_each_tile<kRows>(rows, [&](std::size_t i, const auto& row) {
        if (rows.offsets == nullptr) expect_bytes(row[0], kRows * nbytes);
        for (std::size_t q = 0; q < nq; ++q) {
            const std::uint8_t* query = queries + q * hamming_query_stride(nbytes);
            __m256i fields = lane_counts(query, row[0], nbytes, last_mask);
#pragma GCC unroll 4
            for (int r = 1; r < kRows; ++r) {
                const __m256i counts = lane_counts(query, row[r], nbytes, last_mask);
                fields = _mm256_or_si256(fields, _mm256_slli_epi64(counts, 16 * r));
            }
            const __m128i two = _mm_add_epi64(_mm256_castsi256_si128(fields), _mm256_extracti128_si256(fields, 1));
            const __m128i one = _mm_add_epi64(two, _mm_unpackhi_epi64(two, two));
            _mm_storeu_ps(out + q * out_stride + i, _mm_cvtepi32_ps(_mm_cvtepu16_epi32(one)));
        }
    });
}

std::uint64_t read(const std::uint8_t* data, std::size_t nbytes) {
    __m256i sum[8];
    for (int i = 0; i < 8; ++i) sum[i] = _mm256_setzero_si256();
    const std::size_t whole = nbytes / 256 * 256;
    for (std::size_t b = 0; b < whole; b += 256) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) {
            const auto* p = reinterpret_cast<const __m256i*>(data + b + 32 * i);
            sum[i] = _mm256_add_epi64(sum[i], _mm256_loadu_si256(p));
        }
    }
    for (int i = 1; i < 8; ++i) sum[0] = _mm256_add_epi64(sum[0], sum[i]);
    alignas(32) std::uint64_t lanes[4];
    _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sum[0]);
    return lanes[0] + lanes[1] + lanes[2] + lanes[3] + read_by_words(data + whole, nbytes - whole);
}

}  // namespace

Ops avx2_ops() {
    Ops ops = dense_ops("avx2");
    ops.hamming = hamming;
    ops.read = read;
    add_table_ops(ops);
    ops.code_dots = row_code_dots();
    return ops;
}

}  // namespace vecstore
