// NEON lanes (AArch64 baseline): a chunk is four q registers.
#pragma once

#include <arm_neon.h>

namespace vecstore {
namespace {

struct Lanes {
    using Reg = float32x4_t;
    static constexpr int kWidth = 4;
    static constexpr int kParts = 4;
    static constexpr int kTileRows = 2;
    static constexpr int kTileQueries = 3;  // 24 accumulators of the 32 registers

    static Reg zero() { return vdupq_n_f32(0); }
    static Reg all(float x) { return vdupq_n_f32(x); }
    static Reg load_ints(const std::int32_t* p) { return vcvtq_f32_s32(vld1q_s32(p)); }
    static Reg load(const float* p) { return vld1q_f32(p); }
    static Reg load(const F16* p) {
        return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(reinterpret_cast<const std::uint16_t*>(p))));
    }
    static Reg load(const BF16* p) {
        return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(reinterpret_cast<const std::uint16_t*>(p)), 16));
    }
    static Reg load(const E4M3* p) {
        const int16x4_t wide = vshl_n_s16(vget_low_s16(vmovl_s8(four_bytes(p))), 7);
        return vcvt_f32_f16(vreinterpret_f16_u16(vand_u16(vreinterpret_u16_s16(wide), vdup_n_u16(0xbfff))));
    }
    static Reg load(const E5M2* p) {
        const int16x4_t wide = vshl_n_s16(vget_low_s16(vmovl_s8(four_bytes(p))), 8);
        return vcvt_f32_f16(vreinterpret_f16_s16(wide));
    }
    template <int kPart, class T>
    static Reg load_tail(const T* row, std::size_t dim) {
        return load_tail_by_copy<Lanes, kPart>(row, dim);
    }
    // sum + weights times the numbers of kBits at kShift in kWidth bytes.
    template <int kBits, int kShift>
    static Reg add_bits(Reg sum, const std::uint8_t* p, const float* weights) {
        const uint32x4_t wide = vmovl_u16(vget_low_u16(vmovl_u8(vreinterpret_u8_s8(four_bytes(p)))));
        const uint32x4_t bits = vandq_u32(vshlq_u32(wide, vdupq_n_s32(-kShift)), vdupq_n_u32((1 << kBits) - 1));
        return add(sum, mul(vcvtq_f32_u32(bits), load(weights)));
    }
    static Reg add(Reg a, Reg b) { return vaddq_f32(a, b); }
    static Reg mul(Reg a, Reg b) { return vmulq_f32(a, b); }
    static Reg sub(Reg a, Reg b) { return vsubq_f32(a, b); }
    static Reg sub_by_fma(Reg a, Reg b) { return vsubq_f32(a, b); }
    static Reg fma(Reg a, Reg b, Reg c) { return vfmaq_f32(c, a, b); }
    static float reduce(const Reg* acc) {
        const float32x4_t four = vaddq_f32(vaddq_f32(acc[0], acc[2]), vaddq_f32(acc[1], acc[3]));
        const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
        return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
    }
    static std::uint32_t less(Reg a, Reg b) {
        const uint32x4_t bit = {1, 2, 4, 8};
        return vaddvq_u32(vandq_u32(vcltq_f32(a, b), bit));
    }

 private:
    template <class T>
    static int8x8_t four_bytes(const T* p) {
        std::uint32_t bits;
        std::memcpy(&bits, p, 4);
        return vcreate_s8(bits);
    }
};

}  // namespace
}  // namespace vecstore
