// Estimates with NEON's plain multiplies: a field has at most 4 bits, so that it is a signed byte too.
#include <arm_neon.h>

#include "graph_ops.h"
#include "graph_scalar.h"

namespace vecstore {
namespace {

inline int32x4_t add_quarter(int32x4_t sum, uint8x16_t field, int8x16_t weight) {
    const int8x16_t x = vreinterpretq_s8_u8(field);
    int16x8_t products = vmull_s8(vget_low_s8(x), vget_low_s8(weight));
    products = vmlal_s8(products, vget_high_s8(x), vget_high_s8(weight));
    return vpadalq_s16(sum, products);
}

void estimates(const CodeQuery& query, const std::uint8_t* codes, const std::uint32_t* rows, std::size_t count,
               float* out) {
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint8_t* code = codes + rows[i] * query.lines * kCodeLine;
        const std::int8_t* weights = query.weights;
        int32x4_t sum = vdupq_n_s32(0);
        for (std::size_t line = 0; line < query.lines; ++line) {
            const int passes = query.passes[line];
            for (std::size_t quarter = 0; quarter < kCodeLine; quarter += 16) {
                const uint8x16_t x = vld1q_u8(code + line * kCodeLine + quarter);
                const uint8x16_t mask = vld1q_u8(query.masks + line * kCodeLine + quarter);
                for (int p = 0; p < passes; ++p) {
                    const uint8x16_t shifted = vshlq_u8(x, vdupq_n_s8(static_cast<std::int8_t>(-(8 / passes * p))));
                    sum = add_quarter(sum, vandq_u8(shifted, mask), vld1q_s8(weights + p * kCodeLine + quarter));
                }
            }
            weights += passes * kCodeLine;
        }
        out[i] = finish_estimate(query, code, vaddvq_s32(sum));
    }
}

}  // namespace

GraphOps neon_graph_ops() { return {"neon", visit_by_rows, offer_by_rows, estimates}; }

}  // namespace vecstore
