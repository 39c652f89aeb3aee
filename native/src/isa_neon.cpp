#include "isa.h"

#include "elements.h"
#include "lanes_neon.h"

#include "dense_kernels.h"
#include "hamming_words.h"
#include "row_codes_lanes_neon.h"
#include "table_sums_neon.h"

#include "row_codes_kernels.h"
#include "table_kernels.h"

namespace vecstore {
namespace {

void hamming(const std::uint8_t* queries, std::size_t nq, std::size_t nbytes, const RowBlock& rows, float* out,
             std::size_t out_stride) {
    const std::size_t whole = nbytes / 16 * 16;
    for (std::size_t i = 0; i < rows.count; ++i) {
        const std::uint8_t* row =
            rows.base + (rows.offsets ? static_cast<std::size_t>(rows.offsets[i]) : i) * rows.stride;
        for (std::size_t q = 0; q < nq; ++q) {
            const std::uint8_t* query = queries + q * hamming_query_stride(nbytes);
            uint64x2_t counts = vdupq_n_u64(0);
            for (std::size_t b = 0; b < whole; b += 16) {
                const uint8x16_t bits = vcntq_u8(veorq_u8(vld1q_u8(query + b), vld1q_u8(row + b)));
                counts = vpadalq_u32(counts, vpaddlq_u16(vpaddlq_u8(bits)));
            }
            std::uint64_t differing = vaddvq_u64(counts);
            for (std::size_t b = whole; b < nbytes; ++b) differing += __builtin_popcount(query[b] ^ row[b]);
            out[q * out_stride + i] = static_cast<float>(differing);
        }
    }
}

}  // namespace

Ops neon_ops() {
    Ops ops = dense_ops("neon");
    ops.hamming = hamming;
    ops.read = read_by_words;
    add_table_ops(ops);
    ops.code_dots = row_code_dots();
    return ops;
}

}  // namespace vecstore
