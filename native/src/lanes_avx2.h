// AVX2 + FMA + F16C lanes: a chunk is two ymm registers.
#pragma once

#include <immintrin.h>

namespace vecstore {
namespace {

struct Lanes {
    using Reg = __m256;
    static constexpr int kWidth = 8;
    static constexpr int kParts = 2;
    static constexpr int kTileRows = 2;
    static constexpr int kTileQueries = 3;  // 12 accumulators of the 16 registers

    static Reg zero() { return _mm256_setzero_ps(); }
    static Reg all(float x) { return _mm256_set1_ps(x); }
    static Reg load_ints(const std::int32_t* p) {
        return _mm256_cvtepi32_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
    }
    static Reg load(const float* p) { return _mm256_loadu_ps(p); }
    static Reg load(const F16* p) { return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p))); }
    static Reg load(const BF16* p) {
        const __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
        return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
    }
    static Reg load(const E4M3* p) {
        // The sign fills the byte above: all but bit 14 is then in its place.
        const __m128i wide = _mm_slli_epi16(_mm_cvtepi8_epi16(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p))), 7);
        return _mm256_cvtph_ps(_mm_and_si128(wide, _mm_set1_epi16(static_cast<short>(0xbfff))));
    }
    static Reg load(const E5M2* p) {
        const __m128i bytes = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
        return _mm256_cvtph_ps(_mm_unpacklo_epi8(_mm_setzero_si128(), bytes));
    }
    template <int kPart, class T>
    static Reg load_tail(const T* row, std::size_t dim) {
        if (dim < kLanes) return load_tail_by_copy<Lanes, kPart>(row, dim);
        // The row's last whole chunk overlaps what was already summed: those lanes are cleared.
        alignas(32) static constexpr std::int32_t kMask[2 * kLanes] = {0,  0,  0,  0,  0,  0,  0,  0,  0,  0,  0,
                                                                       0,  0,  0,  0,  0,  -1, -1, -1, -1, -1, -1,
                                                                       -1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
        const std::int32_t* mask = kMask + dim % kLanes + kPart * kWidth;
        const __m256i keep = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(mask));
        return _mm256_and_ps(load(row + dim - kLanes + kPart * kWidth), _mm256_castsi256_ps(keep));
    }
    // sum + weights times the numbers of kBits at kShift in kWidth bytes. Where a number is a bit, its product is the
    // weight or nothing; where it has two, a look-up reads no others.
    template <int kBits, int kShift>
    static Reg add_bits(Reg sum, const std::uint8_t* p, const float* weights) {
        const __m256i wide = _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
        if constexpr (kBits == 1) {
            const __m256i bit = _mm256_set1_epi32(1 << kShift);
            const Reg set = _mm256_castsi256_ps(_mm256_cmpeq_epi32(_mm256_and_si256(wide, bit), bit));
            return _mm256_add_ps(sum, _mm256_and_ps(set, load(weights)));
        } else {
            const __m256i bits = _mm256_srli_epi32(wide, kShift);
            if constexpr (kBits == 2)
                return add(sum, mul(_mm256_permutevar_ps(_mm256_setr_ps(0, 1, 2, 3, 0, 1, 2, 3), bits), load(weights)));
            const __m256i number = _mm256_and_si256(bits, _mm256_set1_epi32((1 << kBits) - 1));
            return add(sum, mul(_mm256_cvtepi32_ps(number), load(weights)));
        }
    }
    static Reg add(Reg a, Reg b) { return _mm256_add_ps(a, b); }
    static Reg mul(Reg a, Reg b) { return _mm256_mul_ps(a, b); }
    static Reg sub(Reg a, Reg b) { return _mm256_sub_ps(a, b); }
    static Reg sub_by_fma(Reg a, Reg b) { return _mm256_fmsub_ps(a, _mm256_set1_ps(1.0f), b); }
    static Reg fma(Reg a, Reg b, Reg c) { return _mm256_fmadd_ps(a, b, c); }
    static __m128 reduce_to_four(const Reg* acc) {
        const __m256 eight = _mm256_add_ps(acc[0], acc[1]);
        return _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    }
    static float reduce(const Reg* acc) {
        const __m128 four = reduce_to_four(acc);
        const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
        return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
    }
    static std::uint32_t less(Reg a, Reg b) {
        return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(a, b, _CMP_LT_OQ)));
    }
};

}  // namespace
}  // namespace vecstore
