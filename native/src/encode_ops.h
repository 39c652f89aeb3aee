// Leaf routines of encoding, one table for each instruction set. Every sum has a fixed order and no product is fused
// into an addition, so that a row's code has the same bits alone, in a batch, with any number of threads, on every
// instruction set, and in numpy (vecstore/kernels/encode_numpy.py states the same sums).
#pragma once

#include <cstddef>
#include <cstdint>

namespace vecstore {

// A grid code's bits that go into one byte of output: byte |= (code[dim] >> shift & mask) << position.
struct BitField {
    std::int32_t byte, dim, shift, mask, position;
};

struct EncodeOps {
    const char* isa;
    // out (n, columns) = rows (n, dim) * matrix (dim, columns), each element summed over dim in ascending order.
    void (*project)(const float* rows, std::size_t n, std::size_t dim, const float* matrix, std::size_t columns,
                    float* out);
    // out[i] = sum of a[i, j] * b[i, j] in float64: 8 lanes, lane l sums j = l, l + 8, ...; lanes added in order.
    void (*row_dots)(const float* a, const float* b, std::size_t n, std::size_t dim, double* out);
    // 1 / step of the uniform grid (levels +-1/2, +-3/2, ... steps, `half` of each sign) whose code has the largest
    // cosine with the row, among a few steps; `normal_step` is the best one for N(0, 1). See RaBitQ, encoder 3.
    void (*grid_steps)(const float* rows, std::size_t n, std::size_t dim, std::int32_t half, double normal_step,
                       float* out);
    // codes[i, j] in 0..2 * halves[j] - 1: the cell of rows[i, j] * inverse_dims[j] * inverse_rows[i].
    void (*grid_codes)(const float* rows, std::size_t n, std::size_t dim, const float* inverse_rows,
                       const float* inverse_dims, const float* halves, std::uint16_t* codes);
    // codes[i, j] = how many of the ascending `bounds` are below rows[i, j] * inverse_rows[i].
    void (*level_codes)(const float* rows, std::size_t n, std::size_t dim, const float* inverse_rows,
                        const float* bounds, std::size_t nbounds, std::uint16_t* codes);
    // codes[i, j] = the v for which half_squares[j, v] - <part j of row i, columns[j, :, v]> is least, the lowest such
    // v; products are summed over the part in ascending order. `size` is a multiple of 16, at most 256.
    void (*nearest_codes)(const float* rows, std::size_t n, const float* columns, const float* half_squares,
                          std::size_t m, std::size_t subdim, std::size_t size, std::uint8_t* codes);
    // codes[i, d] = cells[i, d] rounded, from the last d on, after what rounding those behind it changed was given to
    // it: feedback[e * (e - 1) / 2 + d] times the cell e less its code.
    void (*shaped_codes)(const float* cells, std::size_t n, std::size_t dim, const float* feedback,
                         std::uint8_t* codes);
};

// How many steps grid_steps tries: 8 or 16 equal ratios, because a ratio's square root is exact everywhere. From 6 bits
// on the best step is sharp: it follows the row's largest value.
constexpr int grid_step_count(std::int32_t half) { return half < 32 ? 9 : 17; }

EncodeOps baseline_encode_ops();  // what every CPU of the target has: SSE2 on x86-64, NEON on aarch64
EncodeOps avx2_encode_ops();
EncodeOps avx512_encode_ops();

}  // namespace vecstore
