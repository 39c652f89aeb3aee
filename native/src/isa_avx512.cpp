// AVX-512 F, BW, VL and DQ. Hamming stays on POPCNT here; isa_vpopcnt.cpp replaces it where the CPU has VPOPCNTDQ.
#include "isa.h"

#include "elements.h"
#include "lanes_avx512.h"

#include "dense_kernels.h"
#include "hamming_words.h"
#include "table_sums_avx2.h"

#include "table_kernels.h"

namespace vecstore {
namespace {

void hamming(const std::uint8_t* queries, std::size_t nq, std::size_t nbytes, const RowBlock& rows, float* out,
             std::size_t out_stride) {
    if (hamming_few_words(queries, nq, nbytes, rows, out, out_stride)) return;
    hamming_by_words(queries, nq, nbytes, rows, out, out_stride);
}

std::uint64_t read(const std::uint8_t* data, std::size_t nbytes) {
    __m512i sum[8];
    for (int i = 0; i < 8; ++i) sum[i] = _mm512_setzero_si512();
    const std::size_t whole = nbytes / 512 * 512;
    for (std::size_t b = 0; b < whole; b += 512) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) sum[i] = _mm512_add_epi64(sum[i], _mm512_loadu_si512(data + b + 64 * i));
    }
    for (int i = 1; i < 8; ++i) sum[0] = _mm512_add_epi64(sum[0], sum[i]);
    const auto total = static_cast<std::uint64_t>(_mm512_reduce_add_epi64(sum[0]));
    return total + read_by_words(data + whole, nbytes - whole);
}

}  // namespace

Ops avx512_ops() {
    Ops ops = dense_ops("avx512");
    ops.hamming = hamming;
    ops.read = read;
    add_table_ops(ops);
    return ops;
}

}  // namespace vecstore
