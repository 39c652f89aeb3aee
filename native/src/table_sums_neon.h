// Sums of looked-up bytes, NEON: one column of a block at a time.
#pragma once

#include <arm_neon.h>

namespace vecstore {
namespace {

struct RowSums {
    uint16x8_t low = vdupq_n_u16(0);
    uint16x8_t high = vdupq_n_u16(0);

    void add(uint8x16_t bytes) {
        low = vaddw_u8(low, vget_low_u8(bytes));
        high = vaddw_high_u8(high, bytes);
    }
    void add_to(std::int32_t* out) const {
        const uint32x4_t parts[4] = {vmovl_u16(vget_low_u16(low)), vmovl_high_u16(low), vmovl_u16(vget_low_u16(high)),
                                     vmovl_high_u16(high)};
        for (int p = 0; p < 4; ++p)
            vst1q_s32(out + 4 * p, vaddq_s32(vld1q_s32(out + 4 * p), vreinterpretq_s32_u32(parts[p])));
    }
};

inline void block_sums(const std::uint8_t* block, std::size_t nibbles, const std::uint8_t* bytes, std::int32_t* out) {
    for (int i = 0; i < 32; ++i) out[i] = 0;
    for (std::size_t start = 0; start < nibbles; start += 256) {  // 256 * 255 < 65536
        const std::size_t end = nibbles < start + 256 ? nibbles : start + 256;
        RowSums first, second;
        for (std::size_t column = start; column < end; ++column) {
            const uint8x16_t codes = vld1q_u8(block + column * 16);
            const uint8x16_t table = vld1q_u8(bytes + column * 16);
            first.add(vqtbl1q_u8(table, vandq_u8(codes, vdupq_n_u8(15))));
            second.add(vqtbl1q_u8(table, vshrq_n_u8(codes, 4)));
        }
        first.add_to(out);
        second.add_to(out + 16);
    }
}

}  // namespace
}  // namespace vecstore
