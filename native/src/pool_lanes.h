// Compiler vectors of the widest register that the including file may use, and what pooling does across their elements.
#pragma once

#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "pool_ops.h"

namespace vecstore {
namespace {

#if defined(__AVX512F__)
constexpr std::size_t kWidth = 16;
#elif defined(__AVX2__)
constexpr std::size_t kWidth = 8;
#else
constexpr std::size_t kWidth = 4;
#endif
constexpr std::size_t kParts = kPoolLanes / kWidth;

typedef float Vec __attribute__((vector_size(kWidth * 4)));
typedef float LooseVec __attribute__((vector_size(kWidth * 4), aligned(4), may_alias));
typedef std::int32_t IntVec __attribute__((vector_size(kWidth * 4)));
typedef std::int32_t LooseIntVec __attribute__((vector_size(kWidth * 4), aligned(4), may_alias));
typedef std::int8_t ByteVec __attribute__((vector_size(kWidth)));

constexpr float kNone = __builtin_inff();

inline Vec load(const float* p) { return *reinterpret_cast<const LooseVec*>(p); }
inline void store(float* p, Vec v) { *reinterpret_cast<LooseVec*>(p) = v; }
inline IntVec load(const std::int32_t* p) { return *reinterpret_cast<const LooseIntVec*>(p); }
inline void store(std::int32_t* p, IntVec v) { *reinterpret_cast<LooseIntVec*>(p) = v; }

struct Lesser {
    template <class V>
    V operator()(V a, V b) const {
        return a < b ? a : b;
    }
};

struct Greater {
    template <class V>
    V operator()(V a, V b) const {
        return a > b ? a : b;
    }
};

struct Sum {
    template <class V>
    V operator()(V a, V b) const {
        return a + b;
    }
};

inline constexpr Lesser lesser;
inline constexpr Greater greater;

inline IntVec numbers_from(std::size_t first) {
    IntVec v;
    for (std::size_t l = 0; l < kWidth; ++l) v[l] = static_cast<std::int32_t>(l);
    return v + static_cast<std::int32_t>(first);
}

// All elements of kPoolLanes floats as one, by halves; in registers, which is a third of the time of halves in memory.
template <class F>
inline float folded(const Vec* parts, const F& f) {
#if defined(__x86_64__)
#if defined(__AVX512F__)
    const __m256 eight = f(_mm512_castps512_ps256(parts[0]), _mm512_extractf32x8_ps(parts[0], 1));
#elif defined(__AVX2__)
    const __m256 eight = f(parts[0], parts[1]);
#endif
#if defined(__AVX2__)
    const __m128 four = f(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
#else
    const __m128 four = f(f(parts[0], parts[2]), f(parts[1], parts[3]));
#endif
    const __m128 two = f(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(f(two, _mm_shuffle_ps(two, two, 1)));
#else
    const Vec four = f(f(parts[0], parts[2]), f(parts[1], parts[3]));
    typedef float Two __attribute__((vector_size(8)));
    const Two two = f(Two{four[0], four[1]}, Two{four[2], four[3]});
    return f(two, Two{two[1], two[0]})[0];
#endif
}

// Bit l where element l equals x.
inline std::uint64_t equal(Vec v, float x) {
#if defined(__AVX512F__)
    return _mm512_cmp_ps_mask(v, _mm512_set1_ps(x), _CMP_EQ_OQ);
#elif defined(__AVX2__)
    return static_cast<std::uint64_t>(_mm256_movemask_ps(_mm256_cmp_ps(v, _mm256_set1_ps(x), _CMP_EQ_OQ)));
#elif defined(__x86_64__)
    return static_cast<std::uint64_t>(_mm_movemask_ps(_mm_cmpeq_ps(v, _mm_set1_ps(x))));
#else
    std::uint64_t bits = 0;
    for (std::size_t l = 0; l < kWidth; ++l) bits |= static_cast<std::uint64_t>(v[l] == x) << l;
    return bits;
#endif
}

// Four rows of four dwords, `from` bytes apart, become the columns of four rows `to` bytes apart; bits of `flip` turn.
inline void turn_four(const void* in, std::size_t from, void* out, std::size_t to, std::uint32_t flip) {
    const auto* bytes = static_cast<const char*>(in);
    auto* turned = static_cast<char*>(out);
#if defined(__x86_64__)
    const __m128i bits = _mm_set1_epi32(static_cast<int>(flip));
    const auto row = [&](std::size_t i) {
        return _mm_xor_si128(_mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes + i * from)), bits);
    };
    const auto put = [&](std::size_t i, __m128i v) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(turned + i * to), v);
    };
    const __m128i r0 = row(0), r1 = row(1), r2 = row(2), r3 = row(3);
    const __m128i a = _mm_unpacklo_epi32(r0, r1), b = _mm_unpacklo_epi32(r2, r3);
    const __m128i c = _mm_unpackhi_epi32(r0, r1), d = _mm_unpackhi_epi32(r2, r3);
    put(0, _mm_unpacklo_epi64(a, b));
    put(1, _mm_unpackhi_epi64(a, b));
    put(2, _mm_unpacklo_epi64(c, d));
    put(3, _mm_unpackhi_epi64(c, d));
#else
    for (std::size_t i = 0; i < 4; ++i) {
        for (std::size_t j = 0; j < 4; ++j) {
            std::uint32_t dword;
            std::memcpy(&dword, bytes + i * from + 4 * j, 4);
            dword ^= flip;
            std::memcpy(turned + j * to + 4 * i, &dword, 4);
        }
    }
#endif
}

}  // namespace
}  // namespace vecstore
