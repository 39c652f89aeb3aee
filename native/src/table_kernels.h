// Leaf routines over nibble codes. Included once by each instruction set's file, after its lanes_*.h and
// `block_sums(blocks, count, groups, bytes, out)`, which adds up the looked-up bytes of each row.
#pragma once

#include "elements.h"
#include "factors.h"

namespace vecstore {
namespace {

inline void table_estimates(const TableRun& run, const ByteTables& tables, float list_add, float error_scale,
                            float* est, float* lower) {
    const std::size_t factor_bytes = 32 * (run.half_factors ? 2 : 4);
    alignas(64) std::int32_t two_blocks[64];
    for (std::size_t b = 0; b < run.count; ++b) {
        alignas(64) float scale[32], add[32], error[32];
        if (b % 2 == 0) {
            const std::size_t count = b + 2 <= run.count ? 2 : 1;
            block_sums(run.blocks + b * run.groups * 128, count, run.groups, tables.bytes, two_blocks);
        }
        const std::int32_t* sums = two_blocks + b % 2 * 32;
        const std::uint8_t* factors = run.factors + b * run.columns * factor_bytes;
        widen_factors(factors, run.half_factors, scale);
        float* const to = est + b * 32;
        if (run.columns == 1) {
            for (int i = 0; i < 32; ++i)
                to[i] = list_add + scale[i] * (tables.bias + tables.delta * static_cast<float>(sums[i]));
        } else {
            widen_factors(factors + factor_bytes, run.half_factors, add);
            for (int i = 0; i < 32; ++i)
                to[i] = list_add + add[i] + scale[i] * (tables.bias + tables.delta * static_cast<float>(sums[i]));
        }
        if (lower == est) continue;
        if (run.columns == 3) {
            widen_factors(factors + 2 * factor_bytes, run.half_factors, error);
        } else {
            for (float& e : error) e = 0;
        }
        for (int i = 0; i < 32; ++i) {
            const float spread = scale[i] < 0 ? -scale[i] : scale[i];
            lower[b * 32 + i] = to[i] - error_scale * error[i] - tables.rounding * spread;
        }
    }
}

// Where a nibble's table stands in ByteTables.
inline std::size_t byte_table(std::size_t nibble) { return nibble / 8 * 128 + nibble % 2 * 64 + nibble % 8 / 2 * 16; }

inline void fill_tables(const TableTerms& terms, const float* query, float* tables, std::uint8_t* bytes,
                        float table_top, float* delta, float* bias) {
    float range = 0;
    *bias = 0;
    for (std::size_t t = 0; t < terms.nibbles; ++t) {
        float* table = tables + t * 16;
        alignas(64) float sum[16] = {}, low[16], high[16];
        for (std::size_t w = 0; w < terms.width; ++w) {
            const std::int32_t d = terms.dims[t * terms.width + w];
            if (d < 0) continue;
            const float* values = terms.values + (t * terms.width + w) * 16;
            for (int v = 0; v < 16; ++v) sum[v] += query[d] * values[v];
        }
        for (int v = 0; v < 16; ++v) table[v] = low[v] = high[v] = sum[v];
        for (int half = 8; half > 0; half /= 2) {
            for (int v = 0; v < half; ++v) low[v] = low[v] < low[v + half] ? low[v] : low[v + half];
            for (int v = 0; v < half; ++v) high[v] = high[v] > high[v + half] ? high[v] : high[v + half];
        }
        const float span = high[0] - low[0];
        range = range > span ? range : span;
        *bias += low[0];
        __builtin_memcpy(bytes + byte_table(t), low, sizeof(float));  // until the second pass needs the place
    }
    const float inverse = range > 0 ? table_top / range : 0;
    for (std::size_t t = 0; t < terms.nibbles; ++t) {
        std::uint8_t* to = bytes + byte_table(t);
        float low;
        __builtin_memcpy(&low, to, sizeof low);
        alignas(64) std::int32_t rounded[16];
        for (int v = 0; v < 16; ++v)
            rounded[v] = static_cast<std::int32_t>((tables[t * 16 + v] - low) * inverse + 0.5f);
        for (int v = 0; v < 16; ++v) to[v] = static_cast<std::uint8_t>(rounded[v]);
    }
    *delta = range / table_top;
}

// Sixteen sums in fixed places: the same bits on every instruction set.
inline float extra_dot(const std::uint8_t* row, const std::int32_t* runs, std::size_t nruns, const float* weights) {
    float sums[16] = {};
    for (std::size_t r = 0; r < nruns; ++r) {
        const int bits = runs[2 * r];
        const auto nbytes = static_cast<std::size_t>(runs[2 * r + 1]) * bits / 8;
        const std::uint8_t mask = static_cast<std::uint8_t>((1 << bits) - 1);
        for (int shift = 0; shift < 8; shift += bits, weights += nbytes) {
            std::size_t i = 0;
            for (; i + 16 <= nbytes; i += 16)
                for (std::size_t l = 0; l < 16; ++l)
                    sums[l] += static_cast<float>(row[i + l] >> shift & mask) * weights[i + l];
            for (std::size_t l = 0; i < nbytes; ++i, ++l)
                sums[l] += static_cast<float>(row[i] >> shift & mask) * weights[i];
        }
        row += nbytes;
    }
    for (int half = 8; half > 0; half /= 2)
        for (int l = 0; l < half; ++l) sums[l] += sums[l + half];
    return sums[0];
}

inline void add_table_ops(Ops& ops) {
    ops.table_estimates = table_estimates;
    ops.extra_dot = extra_dot;
    ops.fill_tables = fill_tables;
}

}  // namespace
}  // namespace vecstore
