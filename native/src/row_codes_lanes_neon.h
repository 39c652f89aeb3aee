// Byte products on AArch64's baseline: widening multiplies, added in pairs into 32 bits.
#pragma once

#include <arm_neon.h>

#include <cstdint>
#include <cstring>

namespace vecstore {
namespace {

struct CodeLanes {
    using Codes = int8x16_t;
    struct Sum {
        int32x4_t low;   // two sums for each of the first two rows
        int32x4_t high;  // and of the other two
    };
    using Query = int8x8_t;
    using Levels = int8x16_t;

    static constexpr int kRows = 4;     // of one register
    static constexpr int kTile = 4;     // queries of one pass
    static constexpr bool kPay = true;  // products of bytes, beside those of floats
    static constexpr int parts(int) { return 2; }

    static Levels levels(const std::int8_t* values) { return vld1q_s8(values); }
    static Codes bytes(const std::uint8_t* p) { return vreinterpretq_s8_u8(veorq_u8(vld1q_u8(p), vdupq_n_u8(128))); }
    static void nibbles(const std::uint8_t* p, Levels levels, Codes& low, Codes& high) {
        const uint8x16_t pairs = vld1q_u8(p);
        low = vqtbl1q_s8(levels, vandq_u8(pairs, vdupq_n_u8(15)));
        high = vqtbl1q_s8(levels, vshrq_n_u8(pairs, 4));
    }
    static Query query(const std::int8_t* four) {
        std::int32_t dword;
        std::memcpy(&dword, four, 4);
        return vreinterpret_s8_s32(vdup_n_s32(dword));
    }
    static Sum start(std::int32_t) { return zero(); }
    static Sum zero() { return {vdupq_n_s32(0), vdupq_n_s32(0)}; }
    static Sum dot(const Sum& sum, Codes x, Query q) {
        return {vpadalq_s16(sum.low, vmull_s8(vget_low_s8(x), q)), vpadalq_s16(sum.high, vmull_s8(vget_high_s8(x), q))};
    }
    static Sum add(const Sum& a, const Sum& b) { return {vaddq_s32(a.low, b.low), vaddq_s32(a.high, b.high)}; }
    static void store(float* out, const Sum& sum) { vst1q_f32(out, vcvtq_f32_s32(vpaddq_s32(sum.low, sum.high))); }
};

}  // namespace
}  // namespace vecstore
