// The leaf routines of a graph walk, for each instruction set: which neighbours are new, their estimated distances from
// short codes, and the candidates kept in order.
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

// A candidate is one number: the estimate's bits, made to sort as integers, above the row, above a bit that says
// whether its neighbours were looked at.
using CandidateKey = std::uint64_t;

struct Offered {
    std::size_t first;  // the first place that changed, or the capacity
    std::size_t taken;  // candidates inserted, those included that later ones pushed out
};

struct GraphOps {
    const char* isa;
    // Copies the rows whose bit is not set, in order, and sets it; returns how many. `fresh` has room for `count` and
    // kVisitPadding more.
    std::size_t (*visit)(const std::uint32_t* rows, std::size_t count, std::uint32_t* seen, std::uint32_t* fresh);
    // Inserts the candidates whose estimate is below the last of `capacity` ascending keys (any, while there are
    // fewer). `keys` has room for capacity + kKeyPadding.
    Offered (*offer)(CandidateKey* keys, std::size_t* size, std::size_t capacity, const float* estimates,
                     const std::uint32_t* rows, std::size_t count);
    // out[i] for row rows[i] of codes (n, lines * 64), 64-byte aligned; may write kEstimatePadding floats past the end.
    void (*estimates)(const CodeQuery& query, const std::uint8_t* codes, const std::uint32_t* rows, std::size_t count,
                      float* out);
};

inline constexpr std::size_t kEstimatePadding = 16;
inline constexpr std::size_t kVisitPadding = 16;
inline constexpr std::size_t kKeyPadding = 8;

GraphOps scalar_graph_ops();
GraphOps avx2_graph_ops();
GraphOps vnni_graph_ops();
GraphOps neon_graph_ops();

const GraphOps& current_graph_ops();

}  // namespace vecstore
