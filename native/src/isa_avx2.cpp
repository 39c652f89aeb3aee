// Hamming uses the POPCNT instruction (every AVX2 CPU has it): one or more words per cycle already outruns memory, and
// on Zen it beats counting nibbles with a byte shuffle.
#include "isa.h"

#include "elements.h"
#include "lanes_avx2.h"

#include "dense_kernels.h"
#include "hamming_words.h"

namespace vecstore {
namespace {

std::uint64_t read(const std::uint8_t* data, std::size_t nbytes) {
    __m256i sum[8];
    for (int i = 0; i < 8; ++i) sum[i] = _mm256_setzero_si256();
    const std::size_t whole = nbytes / 256 * 256;
    for (std::size_t b = 0; b < whole; b += 256) {
#pragma GCC unroll 8
        for (int i = 0; i < 8; ++i) {
            const auto* p = reinterpret_cast<const __m256i*>(data + b + 32 * i);
            sum[i] = _mm256_add_epi64(sum[i], _mm256_loadu_si256(p));
        }
    }
    for (int i = 1; i < 8; ++i) sum[0] = _mm256_add_epi64(sum[0], sum[i]);
    alignas(32) std::uint64_t lanes[4];
    _mm256_store_si256(reinterpret_cast<__m256i*>(lanes), sum[0]);
    return lanes[0] + lanes[1] + lanes[2] + lanes[3] + read_by_words(data + whole, nbytes - whole);
}

}  // namespace

Ops avx2_ops() {
    Ops ops = dense_ops("avx2");
    ops.hamming = hamming_by_words;
    ops.read = read;
    return ops;
}

}  // namespace vecstore
