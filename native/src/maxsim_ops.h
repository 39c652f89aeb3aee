// Leaf routines of late interaction, one table for each instruction set. A query's tokens stand side by side in lanes,
// so that a document's token adds to all of them at once and no sum crosses lanes. Each product is summed over the
// dimensions in ascending order by fused multiply-adds: the same bits on AVX2, AVX-512 and NEON, alone and in a batch;
// the baseline of x86-64 rounds each product as well. Products of bytes are exact integers, turned into floats without
// fusing: the same bits everywhere.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vecstore {

inline constexpr std::size_t kTokenLanes = 8;   // query tokens come in as many
inline constexpr std::size_t kTableLanes = 16;  // columns of a byte table come in as many

// Query tokens rounded to bytes in -127..127: (groups, width, 4), four dimensions of each lane side by side.
struct ByteLanes {
    const std::int8_t* values;
    const std::int32_t* starts;  // (width,): -128 times the sum of a lane's bytes
    const float* steps;          // (width,): what one unit of a lane is worth
    std::size_t width;           // a multiple of kTokenLanes
};

// Tokens as bytes that stand for byte - 128. A token's dimensions come in planes: those of plane p are `groups` fours
// at bytes + p * plane_stride + token * 4 * groups.
struct TokenBytes {
    const std::uint8_t* bytes;
    std::size_t n;
    std::size_t planes;
    std::size_t groups;
    std::size_t plane_stride;
};

// What a product stands for: (base + steps[lane] * product) * scales[token]; base is bases[homes[token] * width +
// lane], or 0 without homes.
struct TokenScales {
    const float* scales;
    const float* bases;
    const std::uint16_t* homes;
};

struct MaxSimOps {
    const char* isa;
    bool bytes_pay;  // whether products of bytes take much less than those of floats
    // best[l] = max(best[l], <query l, token t>) over n tokens (n, dim); `queries` is (dim, width), a multiple of
    // kTokenLanes.
    void (*best)(const float* queries, std::size_t width, std::size_t dim, const float* tokens, std::size_t n,
                 float* best);
    void (*widen)(const std::uint16_t* halves, std::size_t n, float* out);  // float16
    // The same over tokens of bytes; and all values, (n, width), instead of the best.
    void (*best_bytes)(const ByteLanes& queries, const TokenBytes& tokens, const TokenScales& scales, float* best);
    void (*values)(const ByteLanes& queries, const TokenBytes& tokens, const TokenScales& scales, float* out);
    // The token of the largest value for each lane, of equal ones the first: best (width,), which starts as the values
    // to beat, and numbers (width,), `first` + the token where one does.
    void (*nearest)(const ByteLanes& queries, const TokenBytes& tokens, const TokenScales& scales, std::int32_t first,
                    float* best, std::int32_t* numbers);
    // Field p of each of n bytes (`bits` wide, the first lowest) becomes the byte levels[field] at out + p * stride +
    // i.
    void (*spread)(const std::uint8_t* codes, std::size_t n, int bits, const std::uint8_t* levels, std::uint8_t* out,
                   std::size_t stride);
    // The same values to bytes, (n, columns): 0 for what is not positive, else rounded value * unit, at most 255;
    // columns past queries.width are 0. `top` (columns,) becomes the largest of each column.
    void (*table)(const ByteLanes& queries, const TokenBytes& tokens, const TokenScales& scales, float unit,
                  std::size_t columns, std::uint8_t* out, std::uint8_t* top);
    // gaps[i] = the least top[c] - table[i, c] over the columns; columns with a top of 0 count as 255.
    void (*gaps)(const std::uint8_t* table, std::size_t n, std::size_t columns, const std::uint8_t* top,
                 std::uint8_t* gaps);
    // scores[i] = sum over columns of the largest entry in lines homes[t] of a row's tokens; rows[i], or row i of all.
    void (*interact)(const std::uint8_t* table, std::size_t columns, const std::uint16_t* homes,
                     const std::int64_t* offsets, const std::uint32_t* rows, std::size_t n, std::uint32_t* scores);
};

MaxSimOps baseline_maxsim_ops();  // what every CPU of the target has: SSE2 on x86-64, NEON on aarch64
MaxSimOps avx2_maxsim_ops();
MaxSimOps avx512_maxsim_ops();
MaxSimOps vnni_maxsim_ops();

}  // namespace vecstore
