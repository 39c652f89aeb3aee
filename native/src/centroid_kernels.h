// Centroid interaction: a document stands for the centroids of its tokens, whose products with a query's tokens are
// bytes in a table, one line of lanes for each centroid. A token costs one number of two bytes and one line.
#pragma once

#include "maxsim_lanes.h"

namespace vecstore {
namespace {

// Columns of the table in one register.
#if defined(__x86_64__)
struct Columns16 {
    using Reg = __m128i;
    static constexpr std::size_t kWidth = 16;
    static Reg load(const std::uint8_t* p) { return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p)); }
    static void store(std::uint8_t* p, Reg v) { _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v); }
    static Reg zero() { return _mm_setzero_si128(); }
    static Reg max(Reg a, Reg b) { return _mm_max_epu8(a, b); }
    static Reg min(Reg a, Reg b) { return _mm_min_epu8(a, b); }
    static Reg less(Reg a, Reg b) { return _mm_subs_epu8(a, b); }
    static Reg where_zero(Reg v) { return _mm_cmpeq_epi8(v, zero()); }
    static Reg either(Reg a, Reg b) { return _mm_or_si128(a, b); }
    static std::uint32_t sum(Reg v) {
        const __m128i two = _mm_sad_epu8(v, zero());
        return static_cast<std::uint32_t>(_mm_cvtsi128_si32(_mm_add_epi32(two, _mm_unpackhi_epi64(two, two))));
    }
    static std::uint8_t least(Reg v) {
        v = min(v, _mm_srli_si128(v, 8));
        v = min(v, _mm_srli_si128(v, 4));
        v = min(v, _mm_srli_si128(v, 2));
        v = min(v, _mm_srli_si128(v, 1));
        return static_cast<std::uint8_t>(_mm_cvtsi128_si32(v));
    }
};
#elif defined(__aarch64__)
struct Columns16 {
    using Reg = uint8x16_t;
    static constexpr std::size_t kWidth = 16;
    static Reg load(const std::uint8_t* p) { return vld1q_u8(p); }
    static void store(std::uint8_t* p, Reg v) { vst1q_u8(p, v); }
    static Reg zero() { return vdupq_n_u8(0); }
    static Reg max(Reg a, Reg b) { return vmaxq_u8(a, b); }
    static Reg min(Reg a, Reg b) { return vminq_u8(a, b); }
    static Reg less(Reg a, Reg b) { return vqsubq_u8(a, b); }
    static Reg where_zero(Reg v) { return vceqq_u8(v, zero()); }
    static Reg either(Reg a, Reg b) { return vorrq_u8(a, b); }
    static std::uint32_t sum(Reg v) { return vaddlvq_u8(v); }
    static std::uint8_t least(Reg v) { return vminvq_u8(v); }
};
#else
struct Columns16 {
    struct Reg {
        std::uint8_t at[16];
    };
    static constexpr std::size_t kWidth = 16;
    template <class F>
    static Reg each(F f) {
        Reg out;
        for (int i = 0; i < 16; ++i) out.at[i] = static_cast<std::uint8_t>(f(i));
        return out;
    }
    static Reg load(const std::uint8_t* p) {
        return each([&](int i) { return p[i]; });
    }
    static void store(std::uint8_t* p, Reg v) {
        for (int i = 0; i < 16; ++i) p[i] = v.at[i];
    }
    static Reg zero() { return Reg{}; }
    static Reg max(Reg a, Reg b) {
        return each([&](int i) { return a.at[i] > b.at[i] ? a.at[i] : b.at[i]; });
    }
    static Reg min(Reg a, Reg b) {
        return each([&](int i) { return a.at[i] < b.at[i] ? a.at[i] : b.at[i]; });
    }
    static Reg less(Reg a, Reg b) {
        return each([&](int i) { return a.at[i] > b.at[i] ? a.at[i] - b.at[i] : 0; });
    }
    static Reg where_zero(Reg v) {
        return each([&](int i) { return v.at[i] == 0 ? 255 : 0; });
    }
    static Reg either(Reg a, Reg b) {
        return each([&](int i) { return a.at[i] | b.at[i]; });
    }
    static std::uint32_t sum(Reg v) {
        std::uint32_t total = 0;
        for (int i = 0; i < 16; ++i) total += v.at[i];
        return total;
    }
    static std::uint8_t least(Reg v) {
        std::uint8_t found = 255;
        for (int i = 0; i < 16; ++i) found = v.at[i] < found ? v.at[i] : found;
        return found;
    }
};
#endif

#if defined(__AVX2__)
struct Columns32 {
    using Reg = __m256i;
    static constexpr std::size_t kWidth = 32;
    static Reg load(const std::uint8_t* p) { return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)); }
    static Reg zero() { return _mm256_setzero_si256(); }
    static Reg max(Reg a, Reg b) { return _mm256_max_epu8(a, b); }
    static std::uint32_t sum(Reg v) {
        return Columns16::sum(_mm256_castsi256_si128(v)) + Columns16::sum(_mm256_extracti128_si256(v, 1));
    }
};
#endif

template <class C>
inline std::uint32_t best_sum(const std::uint8_t* table, std::size_t columns, const std::uint16_t* homes,
                              std::size_t n) {
    typename C::Reg first = C::zero(), second = C::zero();
    std::size_t t = 0;
    for (; t + 2 <= n; t += 2) {
        first = C::max(first, C::load(table + homes[t] * columns));
        second = C::max(second, C::load(table + homes[t + 1] * columns));
    }
    if (t < n) first = C::max(first, C::load(table + homes[t] * columns));
    return C::sum(C::max(first, second));
}

inline std::uint32_t score_of(const std::uint8_t* table, std::size_t columns, const std::uint16_t* homes,
                              std::size_t n) {
    std::uint32_t total = 0;
    std::size_t c = 0;
#if defined(__AVX2__)
    for (; c + 32 <= columns; c += 32) total += best_sum<Columns32>(table + c, columns, homes, n);
#endif
    for (; c < columns; c += 16) total += best_sum<Columns16>(table + c, columns, homes, n);
    return total;
}

inline void interact(const std::uint8_t* table, std::size_t columns, const std::uint16_t* homes,
                     const std::int64_t* offsets, const std::uint32_t* rows, std::size_t n, std::uint32_t* scores) {
    constexpr std::size_t kAhead = 8;  // rows whose numbers are fetched before they are needed
    for (std::size_t i = 0; i < n; ++i) {
        if (rows != nullptr && i + kAhead < n) __builtin_prefetch(homes + offsets[rows[i + kAhead]]);
        const std::size_t row = rows == nullptr ? i : rows[i];
        const std::int64_t begin = offsets[row];
        scores[i] = score_of(table, columns, homes + begin, static_cast<std::size_t>(offsets[row + 1] - begin));
    }
}

// The least byte of each line of 16, over whole registers of lines.
#if defined(__AVX512BW__)
inline std::size_t gaps_of_lines(const std::uint8_t* table, std::size_t n, const std::uint8_t* top, std::uint8_t* out) {
    const __m512i best = _mm512_broadcast_i32x4(_mm_loadu_si128(reinterpret_cast<const __m128i*>(top)));
    const __mmask64 unused = _mm512_testn_epi8_mask(best, best);
    std::size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        __m512i gap = _mm512_subs_epu8(best, _mm512_loadu_si512(table + i * 16));
        gap = _mm512_mask_set1_epi8(gap, unused, -1);
        gap = _mm512_min_epu8(gap, _mm512_bsrli_epi128(gap, 8));
        gap = _mm512_min_epu8(gap, _mm512_bsrli_epi128(gap, 4));
        gap = _mm512_min_epu8(gap, _mm512_bsrli_epi128(gap, 2));
        gap = _mm512_min_epu8(gap, _mm512_bsrli_epi128(gap, 1));
        const __m128i four = _mm512_castsi512_si128(
            _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0), gap));
        const __m128i low =
            _mm_shuffle_epi8(four, _mm_setr_epi8(0, 4, 8, 12, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1));
        const std::int32_t bytes = _mm_cvtsi128_si32(low);
        __builtin_memcpy(out + i, &bytes, 4);
    }
    return i;
}
#else
inline std::size_t gaps_of_lines(const std::uint8_t*, std::size_t, const std::uint8_t*, std::uint8_t*) { return 0; }
#endif

inline void gaps(const std::uint8_t* table, std::size_t n, std::size_t columns, const std::uint8_t* top,
                 std::uint8_t* gaps) {
    std::size_t i = columns == 16 ? gaps_of_lines(table, n, top, gaps) : 0;
    for (; i < n; ++i) {
        std::uint8_t found = 255;
        for (std::size_t c = 0; c < columns; c += 16) {
            const Columns16::Reg best = Columns16::load(top + c);
            const Columns16::Reg below = Columns16::either(
                Columns16::less(best, Columns16::load(table + i * columns + c)), Columns16::where_zero(best));
            const std::uint8_t least = Columns16::least(below);
            found = least < found ? least : found;
        }
        gaps[i] = found;
    }
}

}  // namespace
}  // namespace vecstore
