
#include "ops_choice.h"
#include "unpack_kernels.h"

#if defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace vecstore {
namespace {

#if defined(__ARM_NEON)

alignas(64) constexpr Expanding<4, 4> kExpanding;

inline uint32x4_t high_parts(const std::uint8_t* high) {
    std::uint32_t four;
    std::memcpy(&four, high, sizeof four);
    return vmovl_u16(vget_low_u16(vmovl_u8(vcreate_u8(four))));
}

inline uint32x4_t high_parts(const std::uint16_t* high) { return vmovl_u16(vld1_u16(high)); }

template <class High>
void unpack(const RowGaps& gaps, std::uint32_t* places) {
    const auto* high = static_cast<const High*>(gaps.highs);
    const uint32x4_t zero = vdupq_n_u32(0), one = vdupq_n_u32(1);
    uint32x4_t before = zero;  // one past the last place, in all lanes
    for (std::size_t i = 0; i < gaps.count; i += 4) {
        const std::uint32_t pattern = flags_at(gaps, i) & 15;
        const uint8x16_t where = vld1q_u8(kExpanding.of[pattern]);
        const uint32x4_t expanded = vreinterpretq_u32_u8(vqtbl1q_u8(vreinterpretq_u8_u32(high_parts(high)), where));
        const uint32x4_t gap = vorrq_u32(high_parts(gaps.lows + i), vshlq_n_u32(expanded, 8));
        uint32x4_t sum = vaddq_u32(gap, one);
        sum = vaddq_u32(sum, vextq_u32(zero, sum, 3));
        sum = vaddq_u32(sum, vextq_u32(zero, sum, 2));
        sum = vaddq_u32(sum, before);
        vst1q_u32(places + i, vsubq_u32(sum, one));
        before = vdupq_laneq_u32(sum, 3);
        high += __builtin_popcount(pattern);
    }
}

#else

template <class High>
void unpack(const RowGaps& gaps, std::uint32_t* places) {
    unpack_one_by_one<High>(gaps, places);
}

#endif

}  // namespace

UnpackOps baseline_unpack_ops() { return {unpack<std::uint8_t>, unpack<std::uint16_t>}; }

const UnpackOps& current_unpack_ops() {
#if defined(__x86_64__)
    if (isa_is("avx512")) return ops_of<avx512_unpack_ops>();
    if (isa_is("avx2")) return ops_of<avx2_unpack_ops>();
#endif
    static const UnpackOps scalar{unpack_one_by_one<std::uint8_t>, unpack_one_by_one<std::uint16_t>};
    return isa_is("scalar") ? scalar : ops_of<baseline_unpack_ops>();
}

}  // namespace vecstore
