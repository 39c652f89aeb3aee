// The leaf routine of a graph walk, one for each instruction set: estimated distances of listed rows from short codes.
//
// A row's code is `lines` lines of 64 bytes. It begins with two half floats, add and scale; every other byte holds one
// field of 4 bits, two of 2, or whatever its line's passes say: pass p of a line reads bits shift(p) and up of each
// byte, under the byte's mask. est = add_unit * add + scale * (query_scale * (sum of field * weight - bias)): the sum
// is an exact integer, and nothing is fused, so that every instruction set gives the same bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vecstore {

inline constexpr std::size_t kCodeLine = 64;
inline constexpr std::size_t kCodeHeader = 4;  // bytes: add, scale

struct CodeQuery {
    std::size_t lines;
    const std::uint8_t* masks;   // (lines, 64)
    const std::uint8_t* passes;  // (lines,): 0, 2, 4 or 8; shift(p) = 8 / passes * p
    const std::int8_t* weights;  // (sum of passes, 64), line after line
    float bias;
    float query_scale;
    float add_unit;
};

struct GraphOps {
    const char* isa;
    // out[i] for row rows[i] of codes (n, lines * 64), 64-byte aligned; may write kEstimatePadding floats past the end.
    void (*estimates)(const CodeQuery& query, const std::uint8_t* codes, const std::uint32_t* rows, std::size_t count,
                      float* out);
};

inline constexpr std::size_t kEstimatePadding = 4;

GraphOps scalar_graph_ops();
GraphOps avx2_graph_ops();
GraphOps vnni_graph_ops();
GraphOps neon_graph_ops();

const GraphOps& current_graph_ops();

}  // namespace vecstore
