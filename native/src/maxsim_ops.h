// Leaf routines of late interaction, one table for each instruction set. A query's tokens stand side by side in lanes,
// so that a document's token adds to all of them at once and no sum crosses lanes. Each product is summed over the
// dimensions in ascending order by fused multiply-adds: the same bits on AVX2, AVX-512 and NEON, alone and in a batch;
// the baseline of x86-64 rounds each product as well.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vecstore {

inline constexpr std::size_t kTokenLanes = 8;  // query tokens come in as many

struct MaxSimOps {
    const char* isa;
    // best[l] = max(best[l], <query l, token t>) over n tokens (n, dim); `queries` is (dim, width), a multiple of
    // kTokenLanes.
    void (*best)(const float* queries, std::size_t width, std::size_t dim, const float* tokens, std::size_t n,
                 float* best);
    void (*widen)(const std::uint16_t* halves, std::size_t n, float* out);  // float16
};

MaxSimOps baseline_maxsim_ops();  // what every CPU of the target has: SSE2 on x86-64, NEON on aarch64
MaxSimOps avx2_maxsim_ops();
MaxSimOps avx512_maxsim_ops();

}  // namespace vecstore
