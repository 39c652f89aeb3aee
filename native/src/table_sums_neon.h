// Sums of looked-up bytes, NEON: a structured load regroups the bytes of 16 rows by their place in the row's dword.
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

inline void block_sums(const std::uint8_t* blocks, std::size_t count, std::size_t groups, const std::uint8_t* bytes,
                       std::int32_t* out) {
    constexpr std::size_t kSafe = 32;  // groups: 32 * 8 * 255 < 65536
    for (std::size_t b = 0; b < count; ++b, blocks += groups * 128, out += 32) {
        for (int i = 0; i < 32; ++i) out[i] = 0;
        for (std::size_t start = 0; start < groups; start += kSafe) {
            const std::size_t end = groups < start + kSafe ? groups : start + kSafe;
            for (int half = 0; half < 2; ++half) {
                RowSums sums;
                for (std::size_t g = start; g < end; ++g) {
                    const uint8x16x4_t codes = vld4q_u8(blocks + g * 128 + 64 * half);
                    for (int i = 0; i < 4; ++i) {
                        const uint8x16_t low = vld1q_u8(bytes + g * 128 + 16 * i);
                        const uint8x16_t high = vld1q_u8(bytes + g * 128 + 64 + 16 * i);
                        sums.add(vqtbl1q_u8(low, vandq_u8(codes.val[i], vdupq_n_u8(15))));
                        sums.add(vqtbl1q_u8(high, vshrq_n_u8(codes.val[i], 4)));
                    }
                }
                sums.add_to(out + 16 * half);
            }
        }
    }
}

}  // namespace
}  // namespace vecstore

#include "table_sums_each.h"  // takes block_sums

namespace vecstore {
namespace {

template <bool kLower, class Found>
inline void near_blocks(const TableRun& run, const TableAsk* asks, std::size_t nq, const Found& found) {
    sums_of_each(run, asks, nq, found);
}

}  // namespace
}  // namespace vecstore
