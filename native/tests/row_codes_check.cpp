// Checks products of row codes on every instruction set of the machine without Python, for cross-compiled builds:
//   aarch64-linux-gnu-g++ -std=c++20 -O3 -ffp-contract=off -static -Iinclude -Isrc tests/row_codes_check.cpp
//     src/{isa_neon,isa_scalar}.cpp -o row_codes_check && qemu-aarch64 ./row_codes_check
#include <cmath>
#include <cstdio>
#include <vector>

#include "isa.h"

using namespace vecstore;

namespace {

std::uint64_t state = 1;
int failures = 0;

std::uint32_t random_bits() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>(state >> 33);
}

std::uint8_t code_of(const std::vector<std::uint8_t>& blocks, std::size_t dims, std::size_t row, std::size_t d,
                     bool nibbles) {
    const std::uint8_t* block = blocks.data() + row / 32 * 32 * (nibbles ? dims / 2 : dims);
    if (!nibbles) return block[d / 4 * 128 + row % 32 * 4 + d % 4];
    const std::uint8_t pair = block[d / 8 * 128 + row % 32 * 4 + d % 4];
    return d % 8 < 4 ? pair & 15 : pair >> 4;  // queries come with a group's low halves first
}

void check_codes(const Ops& ops, bool nibbles, std::size_t dims, std::size_t nq) {
    constexpr std::size_t kBlocks = 3, kStride = kBlocks * 32 + kOutPadding;
    std::vector<std::uint8_t> blocks(kBlocks * 32 * (nibbles ? dims / 2 : dims));
    for (auto& byte : blocks) byte = static_cast<std::uint8_t>(random_bits() % 3 == 0 ? 255 : random_bits());
    std::vector<std::int8_t> values(nq * dims), levels(16);
    for (auto& value : values) value = static_cast<std::int8_t>(random_bits() % 2 ? 127 : random_bits() % 255 - 127);
    for (auto& level : levels) level = static_cast<std::int8_t>(random_bits());
    levels[15] = -128;
    std::vector<std::int32_t> sums(nq, 0);
    for (std::size_t i = 0; i < values.size(); ++i) sums[i / dims] += values[i];
    std::vector<float> out(nq * kStride);
    const ByteQueries queries{values.data(), dims, sums.data(), levels.data()};
    (nibbles ? ops.code_dots.nibbles : ops.code_dots.bytes)(queries, nq, blocks.data(), kBlocks, out.data(), kStride);
    for (std::size_t q = 0; q < nq; ++q)
        for (std::size_t row = 0; row < kBlocks * 32; ++row) {
            std::int32_t sum = 0;
            for (std::size_t d = 0; d < dims; ++d) {
                const std::uint8_t code = code_of(blocks, dims, row, d, nibbles);
                sum += values[q * dims + d] * (nibbles ? levels[code] : code - 128);
            }
            if (out[q * kStride + row] != static_cast<float>(sum) && failures++ < 5)
                std::printf("%s: %g, not %d\n", ops.isa, static_cast<double>(out[q * kStride + row]), sum);
        }
}

double number(int format, std::uint8_t bits) {
    const int mantissa_bits = format == 0 ? 3 : 2, bias = format == 0 ? 7 : 15;
    const int exponent = (bits & 127) >> mantissa_bits, mantissa = bits & ((1 << mantissa_bits) - 1);
    const double fraction = std::ldexp(mantissa, -mantissa_bits) + (exponent != 0);
    return std::ldexp(bits & 128 ? -fraction : fraction, std::max(exponent, 1) - bias);
}

void check_float8(const Ops& ops, int format, std::size_t dim) {
    const std::size_t count = 9, largest = format == 0 ? 0x7e : 0x7b;
    std::vector<std::uint8_t> rows(count * dim);
    for (auto& byte : rows) byte = static_cast<std::uint8_t>(random_bits() % (largest + 1) | (random_bits() & 128));
    std::vector<float> query(padded_dim(dim), 0), out(count + kOutPadding);
    const std::size_t whole = dim / kLanes * kLanes, shift = padded_dim(dim) - dim;
    for (std::size_t d = 0; d < dim; ++d)
        query[d < whole ? d : d + shift] = static_cast<float>(random_bits() % 2048) / 1024 - 1;
    ops.float8_dots[format](query.data(), 1, dim, RowBlock{rows.data(), dim, nullptr, count}, out.data(), count);
    for (std::size_t row = 0; row < count; ++row) {
        double sum = 0, size = 0;
        for (std::size_t d = 0; d < dim; ++d) {
            const double product = query[d < whole ? d : d + shift] * number(format, rows[row * dim + d]);
            sum += product;
            size += std::abs(product);
        }
        const double got = out[row] * (format == 0 ? 256.0 : 1.0);
        if (!(std::abs(got - sum) <= 1e-6 * size) && failures++ < 5)
            std::printf("%s: float8 %g, not %g\n", ops.isa, got, sum);
    }
}

void check(const Ops& ops) {
    for (const std::size_t dims : {8, 24, 384, 1024})
        for (std::size_t nq = 1; nq <= ops.code_dots.tile; ++nq) {
            check_codes(ops, false, dims, nq);
            check_codes(ops, true, dims, nq);
        }
    for (const std::size_t dim : {1, 15, 16, 47, 384})
        for (const int format : {0, 1}) check_float8(ops, format, dim);
    std::printf("%s checked\n", ops.isa);
}

}  // namespace

int main() {
    check(scalar_ops());
#if defined(__aarch64__)
    check(neon_ops());
#endif
    std::printf(failures == 0 ? "ok\n" : "%d failures\n", failures);
    return failures != 0;
}
