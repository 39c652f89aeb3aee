// AVX-512 (F, BW, VL, DQ) lanes: a chunk is one zmm register.
#pragma once

#include <immintrin.h>

namespace vecstore {
namespace {

struct Lanes {
    using Reg = __m512;
    static constexpr int kWidth = 16;
    static constexpr int kParts = 1;
    static constexpr int kTileRows = 4;
    static constexpr int kTileQueries = 4;

    static Reg zero() { return _mm512_setzero_ps(); }
    static Reg all(float x) { return _mm512_set1_ps(x); }
    static Reg load_ints(const std::int32_t* p) { return _mm512_cvtepi32_ps(_mm512_loadu_si512(p)); }
    static Reg load(const float* p) { return _mm512_loadu_ps(p); }
    static Reg load(const F16* p) { return from_f16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
    static Reg load(const BF16* p) { return from_bf16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p))); }
    template <int kPart>
    static Reg load_tail(const float* row, std::size_t dim) {
        return _mm512_maskz_loadu_ps(tail_mask(dim), before_end(row, dim));
    }
    template <int kPart>
    static Reg load_tail(const F16* row, std::size_t dim) {
        return from_f16(_mm256_maskz_loadu_epi16(tail_mask(dim), before_end(row, dim)));
    }
    template <int kPart>
    static Reg load_tail(const BF16* row, std::size_t dim) {
        return from_bf16(_mm256_maskz_loadu_epi16(tail_mask(dim), before_end(row, dim)));
    }
    static Reg load(const E4M3* p) { return from_e4m3(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
    static Reg load(const E5M2* p) { return from_e5m2(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
    template <int kPart>
    static Reg load_tail(const E4M3* row, std::size_t dim) {
        return from_e4m3(_mm_maskz_loadu_epi8(tail_mask(dim), before_end(row, dim)));
    }
    template <int kPart>
    static Reg load_tail(const E5M2* row, std::size_t dim) {
        return from_e5m2(_mm_maskz_loadu_epi8(tail_mask(dim), before_end(row, dim)));
    }
    // sum + weights times the numbers of kBits at kShift in kWidth bytes. Where a number is a bit, its product is the
    // weight or nothing; where it has two or four, a look-up reads no others.
    template <int kBits, int kShift>
    static Reg add_bits(Reg sum, const std::uint8_t* p, const float* weights) {
        const __m512i wide = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
        if constexpr (kBits == 1) {
            const __mmask16 set = _mm512_test_epi32_mask(wide, _mm512_set1_epi32(1 << kShift));
            return _mm512_mask_add_ps(sum, set, sum, load(weights));
        } else {
            const __m512i bits = _mm512_srli_epi32(wide, kShift);
            const Reg numbers = _mm512_setr_ps(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            if constexpr (kBits == 2)
                return add(sum, mul(_mm512_permutevar_ps(_mm512_broadcast_f32x4(_mm512_castps512_ps128(numbers)), bits),
                                    load(weights)));
            if constexpr (kBits == 4) return add(sum, mul(_mm512_permutexvar_ps(bits, numbers), load(weights)));
            return add(sum, mul(_mm512_cvtepi32_ps(bits), load(weights)));
        }
    }
    static Reg add(Reg a, Reg b) { return _mm512_add_ps(a, b); }
    static Reg mul(Reg a, Reg b) { return _mm512_mul_ps(a, b); }
    static Reg sub(Reg a, Reg b) { return _mm512_sub_ps(a, b); }
    static Reg sub_by_fma(Reg a, Reg b) { return _mm512_fmsub_ps(a, _mm512_set1_ps(1.0f), b); }
    static Reg fma(Reg a, Reg b, Reg c) { return _mm512_fmadd_ps(a, b, c); }
    static float reduce(const Reg* acc) {
        const __m128 four = reduce_to_four(acc[0]);
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }
    // A bit for each lane of `a` that is below b's.
    static std::uint32_t less(Reg a, Reg b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }

 private:
    static Reg from_f16(__m256i v) { return _mm512_cvtph_ps(v); }
    static Reg from_bf16(__m256i v) { return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(v), 16)); }
    // The sign fills the byte above: all but bit 14 is then in its place.
    static Reg from_e4m3(__m128i v) {
        const __m256i wide = _mm256_slli_epi16(_mm256_cvtepi8_epi16(v), 7);
        return from_f16(_mm256_and_si256(wide, _mm256_set1_epi16(static_cast<short>(0xbfff))));
    }
    static Reg from_e5m2(__m128i v) { return from_f16(_mm256_slli_epi16(_mm256_cvtepi8_epi16(v), 8)); }
    static __mmask16 tail_mask(std::size_t dim) { return static_cast<__mmask16>(0xffffu << (kLanes - dim % kLanes)); }
    // One chunk before the row's end. It may start before the row; lanes that the mask clears are never read.
    template <class T>
    static const T* before_end(const T* row, std::size_t dim) {
        return reinterpret_cast<const T*>(reinterpret_cast<std::uintptr_t>(row + dim) - kLanes * sizeof(T));
    }
    static __m128 reduce_to_four(__m512 v) {
        const __m256 eight = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
        return _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    }
};

}  // namespace
}  // namespace vecstore
