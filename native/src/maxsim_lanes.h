// Registers of the including file's instruction set, as late interaction uses them.
#pragma once

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

#include "half.h"
#include "maxsim_ops.h"

namespace vecstore {
namespace {

#if defined(__AVX2__)
struct Lanes8 {
    using Reg = __m256;
    static constexpr std::size_t kWidth = 8;
    static Reg load(const float* p) { return _mm256_loadu_ps(p); }
    static void store(float* p, Reg v) { _mm256_storeu_ps(p, v); }
    static Reg zero() { return _mm256_setzero_ps(); }
    static Reg fma(float x, Reg b, Reg c) { return _mm256_fmadd_ps(_mm256_set1_ps(x), b, c); }
    static Reg max(Reg a, Reg b) { return _mm256_max_ps(a, b); }
};
#endif

#if defined(__AVX512F__)
struct Lanes16 {
    using Reg = __m512;
    static constexpr std::size_t kWidth = 16;
    static Reg load(const float* p) { return _mm512_loadu_ps(p); }
    static void store(float* p, Reg v) { _mm512_storeu_ps(p, v); }
    static Reg zero() { return _mm512_setzero_ps(); }
    static Reg fma(float x, Reg b, Reg c) { return _mm512_fmadd_ps(_mm512_set1_ps(x), b, c); }
    static Reg max(Reg a, Reg b) { return _mm512_max_ps(a, b); }
};
#elif !defined(__AVX2__)
struct Lanes4 {
    static constexpr std::size_t kWidth = 4;
#if defined(__aarch64__)
    using Reg = float32x4_t;
    static Reg load(const float* p) { return vld1q_f32(p); }
    static void store(float* p, Reg v) { vst1q_f32(p, v); }
    static Reg zero() { return vdupq_n_f32(0); }
    static Reg fma(float x, Reg b, Reg c) { return vfmaq_n_f32(c, b, x); }
    static Reg max(Reg a, Reg b) { return vmaxnmq_f32(a, b); }
#else
    typedef float Reg __attribute__((vector_size(16)));
    typedef float Loose __attribute__((vector_size(16), aligned(4), may_alias));
    static Reg load(const float* p) { return *reinterpret_cast<const Loose*>(p); }
    static void store(float* p, Reg v) { *reinterpret_cast<Loose*>(p) = v; }
    static Reg zero() { return Reg{}; }
    static Reg fma(float x, Reg b, Reg c) { return c + x * b; }
    static Reg max(Reg a, Reg b) { return a > b ? a : b; }
#endif
};
#endif

inline void widen(const std::uint16_t* halves, std::size_t n, float* out) {
    std::size_t i = 0;
#if defined(__AVX2__)
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(halves + i))));
#endif
    for (; i < n; ++i) out[i] = half_to_float(halves[i]);
}

}  // namespace
}  // namespace vecstore
