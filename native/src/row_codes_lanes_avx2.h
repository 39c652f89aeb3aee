// Byte products on AVX2. maddubs wants one unsigned operand and saturates at 16 bits, so it gets magnitudes of at most
// 128 and the query under the code's sign: 2 * 128 * 127 fits, and sums are exact.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace vecstore {
namespace {

struct CodeLanes {
    struct Codes {
        __m256i magnitude;
        __m256i value;
    };
    using Sum = __m256i;
    using Query = __m256i;
    using Levels = __m256i;

    static constexpr int kRows = 8;     // of one register
    static constexpr int kTile = 4;     // queries of one pass
    static constexpr bool kPay = true;  // products of bytes, beside those of floats
    static constexpr int parts(int queries) { return queries <= 2 ? 2 : 1; }

    static Levels levels(const std::int8_t* values) {
        return _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(values)));
    }
    static Codes bytes(const std::uint8_t* p) {
        return codes(_mm256_xor_si256(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)), _mm256_set1_epi8(-128)));
    }
    static void nibbles(const std::uint8_t* p, Levels levels, Codes& low, Codes& high) {
        const __m256i pairs = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
        const __m256i nibble = _mm256_set1_epi8(15);
        low = codes(_mm256_shuffle_epi8(levels, _mm256_and_si256(pairs, nibble)));
        high = codes(_mm256_shuffle_epi8(levels, _mm256_and_si256(_mm256_srli_epi16(pairs, 4), nibble)));
    }
    static Query query(const std::int8_t* four) {
        std::int32_t dword;
        std::memcpy(&dword, four, 4);
        return _mm256_set1_epi32(dword);
    }
    static Sum start(std::int32_t) { return _mm256_setzero_si256(); }
    static Sum zero() { return _mm256_setzero_si256(); }
    static Sum dot(Sum sum, const Codes& x, Query q) {
        const __m256i pairs = _mm256_maddubs_epi16(x.magnitude, _mm256_sign_epi8(q, x.value));
        return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
    static Sum add(Sum a, Sum b) { return _mm256_add_epi32(a, b); }
    static void store(float* out, Sum sum) { _mm256_storeu_ps(out, _mm256_cvtepi32_ps(sum)); }

 private:
    static Codes codes(__m256i value) { return {_mm256_abs_epi8(value), value}; }
};

}  // namespace
}  // namespace vecstore
