// Leaf routines of pooling, one table for each instruction set. Floats are added and multiplied element by element in a
// fixed order, never fused, and the least of many is the least in any order: the same bits everywhere
// (vecstore/kernels/token_pool_numpy.py states the same sums).
#pragma once

#include <cstddef>
#include <cstdint>

namespace vecstore {

inline constexpr std::size_t kPoolLanes = 16;    // tokens side by side in a block; sums of a token's squares
inline constexpr float kPoolDirection = 1e-35f;  // the largest component of a token that has a direction

// What one document is pooled by; `stride` is n rounded up to kPoolLanes, `groups` dim / 4 rounded up.
struct PoolState {
    std::size_t n, dim, stride, groups;
    std::uint8_t* rows;     // (stride, groups, 4): tokens as bytes with 128 added, see TokenBytes
    std::int8_t* lanes;     // (stride / kPoolLanes, groups, kPoolLanes, 4): blocks of them, see ByteLanes
    std::int32_t* starts;   // (stride,): -128 times the sum of a token's bytes
    float* weights;         // (stride,): 1 / length of tokens, 0 for none
    float* products;        // (blocks, stride, kPoolLanes): of block v with tokens before its end
    float* distances;       // (stride, stride)
    float* inverses;        // (stride,): 1 / length of tokens in bytes, 0 for none
    float* sizes;           // (stride,): tokens of a cluster
    float* dead;            // (stride,): +inf where there is no cluster any more, else 0
    float* least;           // (stride,): at most the distance of a cluster to the nearest one after it
    std::int32_t* nearest;  // (stride,): that one, whose distance `least` is then, or -1 for unknown
    std::int32_t* parents;  // (stride,): the cluster that a token's went into, itself for a cluster
};

struct PoolOps {
    const char* isa;
    // Fills rows, lanes, starts and weights from tokens (n, dim), each rounded by its largest component.
    void (*to_bytes)(const PoolState& state, const float* tokens);
    // Products become 1 - cosine, and every token a cluster.
    void (*start)(const PoolState& state);
    // `times` times the two nearest clusters, of equal ones the first, become one, named by its first token.
    void (*merge)(const PoolState& state, std::size_t times);
    // sums[labels[t]] += tokens[t] * weights[t], one token after another, both (.., dim).
    void (*add)(const PoolState& state, const float* tokens, const std::int32_t* labels, float* sums);
    // Gives a row of `dim` the length, if it has a direction.
    void (*lengthen)(float* row, std::size_t dim, float length);
};

PoolOps baseline_pool_ops();  // what every CPU of the target has
PoolOps avx2_pool_ops();
PoolOps avx512_pool_ops();

}  // namespace vecstore
