// A query's tables, and the same in bytes. Included by table_kernels.h.
//
// Entries of tables that are linear in the bits of a nibble are sums of rounded weights, so that sums of entries are
// also products of bits and weights. That is off by no more than rounded entries are: bits are as often one as zero, so
// of each weight's error half goes into the bias, and what is left is half of it either way, for each of four.
#pragma once

#include "vecstore/ops.h"

namespace vecstore {
namespace {

constexpr float kLinearTop = kTableTop - 2;  // each of four weights may round up by a half
constexpr float kLinearSlack = 0x1p-14f;     // of the widest table: what adding up floats may bring
constexpr float kBits[4][16] = {{0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1},
                                {0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 1, 1},
                                {0, 0, 0, 0, 1, 1, 1, 1, 0, 0, 0, 0, 1, 1, 1, 1},
                                {0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 1, 1}};
using Bytes = std::uint8_t __attribute__((vector_size(16)));
constexpr std::uint8_t kAll = 0xff;
constexpr Bytes kBitBytes[4] = {{0, kAll, 0, kAll, 0, kAll, 0, kAll, 0, kAll, 0, kAll, 0, kAll, 0, kAll},
                                {0, 0, kAll, kAll, 0, 0, kAll, kAll, 0, 0, kAll, kAll, 0, 0, kAll, kAll},
                                {0, 0, 0, 0, kAll, kAll, kAll, kAll, 0, 0, 0, 0, kAll, kAll, kAll, kAll},
                                {0, 0, 0, 0, 0, 0, 0, 0, kAll, kAll, kAll, kAll, kAll, kAll, kAll, kAll}};

// Where a nibble's table stands in ByteTables.
inline std::size_t byte_table(std::size_t nibble) { return nibble / 8 * 128 + nibble % 2 * 64 + nibble % 8 / 2 * 16; }

// Where the weight of its lowest bit stands; the others follow four bytes apart.
inline std::size_t bit_weight(std::size_t nibble) { return nibble / 8 * 32 + nibble % 2 * 16 + nibble % 8 / 2; }

inline void fill_table(const TableTerms& terms, const float* query, std::size_t t, float* table) {
    alignas(64) float sum[16] = {};
    for (std::size_t w = 0; w < terms.width; ++w) {
        const std::int32_t d = terms.dims[t * terms.width + w];
        if (d < 0) continue;
        const float* values = terms.values + (t * terms.width + w) * 16;
        for (int v = 0; v < 16; ++v) sum[v] += query[d] * values[v];
    }
    for (int v = 0; v < 16; ++v) table[v] = sum[v];
}

inline float least_of(const float* table) {
    alignas(64) float low[16];
    for (int v = 0; v < 16; ++v) low[v] = table[v];
    for (int half = 8; half > 0; half /= 2)
        for (int v = 0; v < half; ++v) low[v] = low[v] < low[v + half] ? low[v] : low[v + half];
    return low[0];
}

inline float most_of(const float* table) {
    alignas(64) float high[16];
    for (int v = 0; v < 16; ++v) high[v] = table[v];
    for (int half = 8; half > 0; half /= 2)
        for (int v = 0; v < half; ++v) high[v] = high[v] > high[v + half] ? high[v] : high[v + half];
    return high[0];
}

// How far a table's entries are from sums of what its bits add, for each entry the most so far.
inline void note_bends(const float* table, float* most) {
    for (int v = 0; v < 16; ++v) {
        float sum = table[0];
        for (int b = 0; b < 4; ++b) sum += kBits[b][v] * (table[1 << b] - table[0]);
        const float bend = sum < table[v] ? table[v] - sum : sum - table[v];
        most[v] = bend > most[v] ? bend : most[v];
    }
}

inline void round_entries(const float* tables, std::size_t nibbles, float inverse, std::uint8_t* bytes) {
    for (std::size_t t = 0; t < nibbles; ++t) {
        std::uint8_t* to = bytes + byte_table(t);
        float low;
        __builtin_memcpy(&low, to, sizeof low);
        alignas(64) std::int32_t rounded[16];
        for (int v = 0; v < 16; ++v)
            rounded[v] = static_cast<std::int32_t>((tables[t * 16 + v] - low) * inverse + 0.5f);
        for (int v = 0; v < 16; ++v) to[v] = static_cast<std::uint8_t>(rounded[v]);
    }
}

using Four = float __attribute__((vector_size(16)));
using FourInts = std::int32_t __attribute__((vector_size(16)));

// To the nearest, halves away from zero.
inline FourInts rounded(Four x) {
    const FourInts sign = reinterpret_cast<FourInts>(x) & INT32_MIN;
    return __builtin_convertvector(x + reinterpret_cast<Four>(sign | reinterpret_cast<FourInts>(Four{} + 0.5f)),
                                   FourInts);
}

inline void round_weights(const float* tables, std::size_t nibbles, float inverse, std::uint8_t* bytes,
                          std::int8_t* weights, ByteTables* out) {
    FourInts lows{}, spans{};
    Four steps{};
    float middle = 0;
    for (std::size_t t = 0; t < nibbles; ++t) {
        const float* const table = tables + t * 16;
        const Four step = Four{table[1], table[2], table[4], table[8]} - table[0];
        const FourInts weight = rounded(step * inverse), low = weight < 0 ? -weight : FourInts{};
        Bytes sums = Bytes{} + static_cast<std::uint8_t>(low[0] + low[1] + low[2] + low[3]);
        for (int b = 0; b < 4; ++b) {
            sums += kBitBytes[b] & static_cast<std::uint8_t>(weight[b]);
            weights[bit_weight(t) + 4 * b] = static_cast<std::int8_t>(weight[b]);
        }
        __builtin_memcpy(bytes + byte_table(t), &sums, sizeof sums);
        lows += low;
        spans += weight < 0 ? -weight : weight;
        steps += step;
        middle += table[0];
    }
    out->weights = weights;
    out->start = lows[0] + lows[1] + lows[2] + lows[3];
    middle += 0.5f * ((steps[0] + steps[1]) + (steps[2] + steps[3]));
    out->bias = middle - out->delta * (0.5f * static_cast<float>(spans[0] + spans[1] + spans[2] + spans[3]));
}

inline void fill_tables(const TableTerms& terms, const float* query, float* tables, std::uint8_t* bytes,
                        std::int8_t* weights, ByteTables* out) {
    float range = 0, bias = 0;
    alignas(64) float bends[16] = {};
    for (std::size_t t = 0; t < terms.nibbles; ++t) {
        float* const table = tables + t * 16;
        fill_table(terms, query, t, table);
        const float low = least_of(table), span = most_of(table) - low;
        range = range > span ? range : span;
        bias += low;
        note_bends(table, bends);
        __builtin_memcpy(bytes + byte_table(t), &low, sizeof low);  // until the second pass needs the place
    }
    const bool linear = most_of(bends) <= kLinearSlack * range && range - range == 0;
    const float top = linear ? kLinearTop : kTableTop, inverse = range > 0 ? top / range : 0;
    out->delta = range / top;
    if (linear) return round_weights(tables, terms.nibbles, inverse, bytes, weights, out);
    round_entries(tables, terms.nibbles, inverse, bytes);
    out->weights = nullptr;
    out->start = 0;
    out->bias = bias;
}

}  // namespace
}  // namespace vecstore
