// Products of bytes: a lane's four query bytes with four bytes of a token that all lanes share, added to 32-bit sums.
#pragma once

#include <cstring>

#include "maxsim_lanes.h"

namespace vecstore {
namespace {

inline std::int32_t four_bytes(const std::uint8_t* p) {
    std::int32_t four;
    std::memcpy(&four, p, 4);
    return four;
}

#if defined(__AVX2__)
struct ByteLanes8 {
    using Sum = __m256i;
    using Query = __m256i;
    using Floats = __m256;
    static constexpr std::size_t kWidth = 8;
    static Query query(const std::int8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
#if defined(__AVX512VNNI__)
    using Token = __m256i;
    static Sum start(const std::int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
    static Token token(const std::uint8_t* p) { return _mm256_set1_epi32(four_bytes(p)); }
    static Sum dot(Sum sum, Token x, Query q) { return _mm256_dpbusd_epi32(sum, x, q); }
#else
    // maddubs wants one unsigned operand and saturates at 16 bits, so it gets magnitudes of at most 128 and the query
    // under the token's sign: 2 * 128 * 127 fits, and sums are exact. Signed tokens need no start.
    struct Token {
        __m256i magnitude, value;
    };
    static Sum start(const std::int32_t*) { return _mm256_setzero_si256(); }
    static Token token(const std::uint8_t* p) {
        const __m256i value = _mm256_xor_si256(_mm256_set1_epi32(four_bytes(p)), _mm256_set1_epi8(-128));
        return {_mm256_abs_epi8(value), value};
    }
    static Sum dot(Sum sum, Token x, Query q) {
        const __m256i pairs = _mm256_maddubs_epi16(x.magnitude, _mm256_sign_epi8(q, x.value));
        return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
    }
#endif
    static Floats floats(Sum sum) { return _mm256_cvtepi32_ps(sum); }
    static Floats load(const float* p) { return _mm256_loadu_ps(p); }
    static void store(float* p, Floats v) { _mm256_storeu_ps(p, v); }
    static Floats set(float x) { return _mm256_set1_ps(x); }
    static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
    static Floats mul(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
    static Floats max(Floats a, Floats b) { return _mm256_max_ps(a, b); }
    // Where `value` is larger it replaces `best`, and `number` its number.
    static void keep(Floats value, std::int32_t number, Floats& best, Sum& numbers) {
        const __m256 larger = _mm256_cmp_ps(value, best, _CMP_GT_OQ);
        best = _mm256_blendv_ps(best, value, larger);
        numbers = _mm256_blendv_epi8(numbers, _mm256_set1_epi32(number), _mm256_castps_si256(larger));
    }
    // Floats to bytes as the table wants them.
    static void store_bytes(std::uint8_t* p, Floats value, Floats unit) {
        const __m256 scaled = _mm256_max_ps(_mm256_mul_ps(value, unit), _mm256_setzero_ps());
        const __m256 rounded = _mm256_add_ps(_mm256_min_ps(scaled, _mm256_set1_ps(255)), _mm256_set1_ps(0.5f));
        const __m256i words = _mm256_cvttps_epi32(rounded);
        const __m128i halves = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256(words, 1));
        _mm_storel_epi64(reinterpret_cast<__m128i*>(p), _mm_packus_epi16(halves, halves));
    }
    static Sum load_numbers(const std::int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
    static void store_numbers(std::int32_t* p, Sum v) { _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v); }
};
#else
// Eight lanes without a wide register, for the compiler to make the best of.
struct ByteLanes8 {
    struct Sum {
        std::int32_t lane[8];
    };
    struct Query {
        const std::int8_t* values;
    };
    struct Token {
        std::int32_t four[4];
    };
    struct Floats {
        float lane[8];
    };
    static constexpr std::size_t kWidth = 8;
    static Sum start(const std::int32_t* p) {
        Sum sum;
        std::memcpy(sum.lane, p, sizeof sum.lane);
        return sum;
    }
    static Query query(const std::int8_t* p) { return {p}; }
    static Token token(const std::uint8_t* p) { return {{p[0], p[1], p[2], p[3]}}; }
    static Sum dot(Sum sum, Token x, Query q) {
        for (int l = 0; l < 8; ++l)
            for (int b = 0; b < 4; ++b) sum.lane[l] += x.four[b] * q.values[4 * l + b];
        return sum;
    }
    static Floats floats(Sum sum) {
        Floats out;
        for (int l = 0; l < 8; ++l) out.lane[l] = static_cast<float>(sum.lane[l]);
        return out;
    }
    static Floats load(const float* p) {
        Floats out;
        std::memcpy(out.lane, p, sizeof out.lane);
        return out;
    }
    static void store(float* p, Floats v) { std::memcpy(p, v.lane, sizeof v.lane); }
    static Floats set(float x) { return {{x, x, x, x, x, x, x, x}}; }
    static Floats add(Floats a, Floats b) {
        for (int l = 0; l < 8; ++l) a.lane[l] += b.lane[l];
        return a;
    }
    static Floats mul(Floats a, Floats b) {
        for (int l = 0; l < 8; ++l) a.lane[l] *= b.lane[l];
        return a;
    }
    static Floats max(Floats a, Floats b) {
        for (int l = 0; l < 8; ++l) a.lane[l] = a.lane[l] > b.lane[l] ? a.lane[l] : b.lane[l];
        return a;
    }
    static void keep(Floats value, std::int32_t number, Floats& best, Sum& numbers) {
        for (int l = 0; l < 8; ++l) {
            const bool larger = value.lane[l] > best.lane[l];
            best.lane[l] = larger ? value.lane[l] : best.lane[l];
            numbers.lane[l] = larger ? number : numbers.lane[l];
        }
    }
    static void store_bytes(std::uint8_t* p, Floats value, Floats unit) {
        for (int l = 0; l < 8; ++l) {
            const float scaled = value.lane[l] * unit.lane[l];
            const float positive = scaled > 0 ? scaled : 0;
            p[l] = static_cast<std::uint8_t>((positive < 255 ? positive : 255) + 0.5f);
        }
    }
    static Sum load_numbers(const std::int32_t* p) { return start(p); }
    static void store_numbers(std::int32_t* p, Sum v) { std::memcpy(p, v.lane, sizeof v.lane); }
};
#endif

#if defined(__AVX512VNNI__)
struct ByteLanes16 {
    using Sum = __m512i;
    using Query = __m512i;
    using Token = __m512i;
    using Floats = __m512;
    static constexpr std::size_t kWidth = 16;
    static Sum start(const std::int32_t* p) { return _mm512_loadu_si512(p); }
    static Query query(const std::int8_t* p) { return _mm512_loadu_si512(p); }
    static Token token(const std::uint8_t* p) { return _mm512_set1_epi32(four_bytes(p)); }
    static Sum dot(Sum sum, Token x, Query q) { return _mm512_dpbusd_epi32(sum, x, q); }
    static Floats floats(Sum sum) { return _mm512_cvtepi32_ps(sum); }
    static Floats load(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, Floats v) { _mm512_storeu_ps(p, v); }
    static Floats set(float x) { return _mm512_set1_ps(x); }
    static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
    static Floats mul(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
    static Floats max(Floats a, Floats b) { return _mm512_max_ps(a, b); }
    static void keep(Floats value, std::int32_t number, Floats& best, Sum& numbers) {
        const __mmask16 larger = _mm512_cmp_ps_mask(value, best, _CMP_GT_OQ);
        best = _mm512_mask_mov_ps(best, larger, value);
        numbers = _mm512_mask_set1_epi32(numbers, larger, number);
    }
    static void store_bytes(std::uint8_t* p, Floats value, Floats unit) {
        const __m512 scaled = _mm512_max_ps(_mm512_mul_ps(value, unit), _mm512_setzero_ps());
        const __m512 rounded = _mm512_add_ps(_mm512_min_ps(scaled, _mm512_set1_ps(255)), _mm512_set1_ps(0.5f));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(p), _mm512_cvtusepi32_epi8(_mm512_cvttps_epi32(rounded)));
    }
    static Sum load_numbers(const std::int32_t* p) { return _mm512_loadu_si512(p); }
    static void store_numbers(std::int32_t* p, Sum v) { _mm512_storeu_si512(p, v); }
};
#endif

}  // namespace
}  // namespace vecstore
