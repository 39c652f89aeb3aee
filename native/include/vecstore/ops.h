// The table of leaf routines that each instruction set fills in, and the little data they share.
//
// Leaf routines take raw pointers and call nothing outside their own file: an inline function of the standard library
// that was compiled with AVX-512 flags could otherwise be the copy the linker keeps for the whole program.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vecstore {

enum class Element : std::uint8_t { f32, f16, bf16 };
enum class Sum : std::uint8_t { dot, l2 };

inline constexpr std::size_t kLanes = 16;       // float accumulators of one (query, row) pair, on every instruction set
inline constexpr std::size_t kOutPadding = 16;  // floats that a leaf may write past the last row of its output

// `count` rows at base + offset * stride. Without offsets they are rows 0..count-1.
struct RowBlock {
    const std::uint8_t* base;
    std::size_t stride;  // bytes
    const std::int64_t* offsets;
    std::size_t count;     // at least 1
    std::size_t span = 0;  // offsets ascend from offsets[0] to offsets[0] + span - 1; 0: they come in any order
};

// Queries are prepared by `DenseQueries`: whole chunks of kLanes floats, the last one right-aligned.
// `out` is (nq, out_stride); nq is 1 or query_tile.
using SumsFn = void (*)(const float* queries, std::size_t nq, std::size_t dim, const RowBlock& rows, float* out,
                        std::size_t out_stride);

// Queries are padded with zero bytes to `hamming_query_stride(nbytes)`.
using HammingFn = void (*)(const std::uint8_t* queries, std::size_t nq, std::size_t nbytes, const RowBlock& rows,
                           float* out, std::size_t out_stride);

// Blocks of 32 rows of nibble codes with their factors; see TableCodes in vecstore/kernels/base.py.
struct TableRun {
    const std::uint8_t* blocks;   // (count, groups, 32, 4)
    std::size_t groups;           // of eight nibbles
    const std::uint8_t* factors;  // (count, columns, 32)
    bool half_factors;
    int columns;
    std::size_t count;
};

inline constexpr int kTableTop = 127;

// A query's tables rounded to bytes: sum = bias + delta * (sum of bytes). (groups, 8, 16): in each group first the
// tables of the low nibbles of a row's four bytes, then those of the high ones; zeros for nibbles that do not exist.
// Where tables are linear in the bits of nibbles, so are the bytes: (sum of bytes) = start + (weights of bits that are
// one), with the weights (groups, 8, 4) of each bit of a row's four bytes.
struct ByteTables {
    const std::uint8_t* bytes;   // at most kTableTop: two may be added up in a byte
    const std::int8_t* weights;  // null where tables are not linear
    std::int32_t start;
    float delta;
    float bias;
    float rounding;  // standard deviation of the sum's rounding error times how many to allow for
};

// The blocks of a run that hold rows below a query's gate, in order: which block, a bit for each such row, and of all
// 32 rows an estimate and its lower bound (the same place without bounds). There is room for one block more than a run
// has.
struct BlockHits {
    std::size_t count;
    std::uint32_t* blocks;
    std::uint32_t* near;
    float* est;
    float* lower;
};

// What one query asks of a run: rows whose list_add + add + scale * sum, with bounds less errors * error_scale and the
// tables' rounding, is below the gate. Where it wants sums they stand in place of the estimates.
struct TableAsk {
    const ByteTables* tables;
    float list_add;
    float error_scale;
    float gate;
    bool sums;
    BlockHits* hits;
};

// A query's answers have the same bits alone as among others.
using TableEstimatesFn = void (*)(const TableRun& run, const TableAsk* asks, std::size_t nq);

// A query's tables, which are linear in it: (nibbles, 16) floats from dims and values of `width` terms each.
struct TableTerms {
    std::size_t nibbles;
    std::size_t width;
    const std::int32_t* dims;  // (nibbles, width), -1 for none
    const float* values;       // (nibbles, width, 16)
};

// Fills tables, their rounded bytes and weights (both zeroed before; laid out as in ByteTables), and says of `rounded`
// all but the bytes and how much to allow for rounding.
using FillTablesFn = void (*)(const TableTerms& terms, const float* query, float* tables, std::uint8_t* bytes,
                              std::int8_t* weights, ByteTables* rounded);

// The stage-two sum of one row: run r holds bits[r] bits of count[r] dims, byte for byte those at one shift, then those
// at the next. The weights of a shift take whole sixteens: in the last, if it is not full, zeros come first.
using ExtraDotFn = float (*)(const std::uint8_t* row, const std::int32_t* runs, std::size_t nruns,
                             const float* weights);

// Queries rounded to bytes, (nq, stride): whole groups of 8 dims, the last one filled up with zeros.
struct ByteQueries {
    const std::int8_t* values;
    std::size_t stride;
    const std::int32_t* sums;   // of each query's bytes
    const std::int8_t* levels;  // (16,), what a nibble stands for
};

// Row codes in blocks of 32 rows (row_codes_kernels.h): out[q * out_stride + row] = <query, code>, exact integers.
struct CodeDots {
    using Fn = void (*)(const ByteQueries& queries, std::size_t nq, const std::uint8_t* blocks, std::size_t nblocks,
                        float* out, std::size_t out_stride);
    std::size_t tile;  // queries that one call may take
    bool pay;          // whether products of bytes take no longer than those of floats
    Fn bytes;
    Fn nibbles;
};

struct RowFactors {
    const std::uint8_t* data;  // (nblocks, columns, 32): scale, else 1; add, else 0
    bool half;
    int columns;
};

// Products to distances, in place: (list_add + add) + scale * (query_scale * product).
using FinishFn = void (*)(float* products, std::size_t nblocks, const RowFactors& factors, float query_scale,
                          float list_add);

// What a row of floats is as bytes: about scale * byte, which are off by the root of `missed` together.
struct RowRounding {
    float scale;
    float square;  // |row|^2
    float missed;  // infinite where numbers are too small to tell
};

// `numbers` is room for dim floats.
using RoundRowFn = void (*)(const std::uint8_t* row, std::size_t dim, float* numbers, std::int8_t* bytes,
                            RowRounding* out);

struct Ops {
    const char* isa;
    std::size_t query_tile;
    SumsFn sums[2][3];                                                      // [Sum][Element]
    void (*squares[3])(std::size_t dim, const RowBlock& rows, float* out);  // [Element], |row|^2
    HammingFn hamming;
    SumsFn float8_dots[2];  // e4m3 (a 256th of the product), e5m2
    CodeDots code_dots;
    FinishFn finish;
    TableEstimatesFn table_estimates;
    bool tables_pass_once;  // many queries read a run's codes once
    FillTablesFn fill_tables;
    ExtraDotFn extra_dot;
    RoundRowFn round_row[3];  // [Element]
    std::size_t (*count_below)(const float* distances, std::size_t n, float bound);
    // Positions i with distances[i] < bound, ascending; returns how many.
    std::size_t (*below)(const float* distances, std::size_t n, float bound, std::uint32_t* positions);
    std::uint64_t (*read)(const std::uint8_t* data, std::size_t nbytes);  // touches every byte; for benchmarks
};

namespace {  // internal linkage: see above
[[maybe_unused]] constexpr std::size_t padded_dim(std::size_t dim) { return (dim + kLanes - 1) / kLanes * kLanes; }
[[maybe_unused]] constexpr std::size_t hamming_query_stride(std::size_t nbytes) { return (nbytes + 63) / 64 * 64; }
}  // namespace

}  // namespace vecstore
