// Leaf routines over nibble codes. Included once by each instruction set's file, after its lanes_*.h and
// `block_sums(blocks, count, groups, bytes, out)`, which adds up the looked-up bytes of each row, and
// `near_blocks(run, asks, nq, found)`, which calls found(q, sums, block) for at least those blocks that hold a row near
// to query q, in order.
#pragma once

#include <utility>

#include "elements.h"
#include "extra_sums.h"
#include "factors.h"
#include "table_rounding.h"

namespace vecstore {
namespace {

struct BlockFactors {
    alignas(64) float scale[32], add[32], error[32], spread[32];

    void read(const TableRun& run, std::size_t block) {
        const std::size_t column = 32 * (run.half_factors ? 2 : 4);
        const std::uint8_t* from = run.factors + block * run.columns * column;
        widen_factors(from, run.half_factors, scale);
        column_or_zeros(run.columns > 1, from + column, run.half_factors, add);
        column_or_zeros(run.columns > 2, from + 2 * column, run.half_factors, error);
        for (int i = 0; i < 32; ++i) spread[i] = scale[i] < 0 ? -scale[i] : scale[i];
    }

 private:
    static void column_or_zeros(bool there, const std::uint8_t* from, bool half, float* to) {
        if (there) return widen_factors(from, half, to);
        __builtin_memset(to, 0, 32 * sizeof(float));
    }
};

// Of one query. The next hit's place is written in any case, and kept if it is one: whether it is cannot be foretold.
// Nothing is fused here (-ffp-contract=off): distances have the same bits on every instruction set.
template <bool kLower, bool kSums>
inline void finish_sums(const TableAsk& ask, const std::int32_t* sums, const BlockFactors& factors, std::size_t block) {
    using Reg = Lanes::Reg;
    const Reg list_add = Lanes::all(ask.list_add), error_scale = Lanes::all(ask.error_scale);
    const Reg bias = Lanes::all(ask.tables->bias), delta = Lanes::all(ask.tables->delta);
    const Reg rounding = Lanes::all(ask.tables->rounding), gate = Lanes::all(ask.gate);
    BlockHits& hits = *ask.hits;
    const std::size_t hit = hits.count;
    std::uint32_t near = 0;
#pragma GCC unroll 8
    for (int at = 0; at < 32; at += Lanes::kWidth) {
        const Reg sum = Lanes::add(bias, Lanes::mul(delta, Lanes::load_ints(sums + at)));
        const Reg add = Lanes::add(list_add, Lanes::load(factors.add + at));
        const Reg est = Lanes::add(add, Lanes::mul(Lanes::load(factors.scale + at), sum));
        __builtin_memcpy(hits.est + hit * 32 + at, kSums ? &sum : &est, sizeof sum);
        Reg lower = est;
        if (kLower) {
            lower = Lanes::sub(lower, Lanes::mul(error_scale, Lanes::load(factors.error + at)));
            lower = Lanes::sub(lower, Lanes::mul(rounding, Lanes::load(factors.spread + at)));
            __builtin_memcpy(hits.lower + hit * 32 + at, &lower, sizeof lower);
        }
        near |= Lanes::less(lower, gate) << at;
    }
    hits.blocks[hit] = static_cast<std::uint32_t>(block);
    hits.near[hit] = near;
    hits.count = hit + (near != 0);
}

// One query reads two blocks at a time, several queries read a block together.
template <bool kLower, bool kSums>
inline void estimate_run(const TableRun& run, const TableAsk* asks, std::size_t nq) {
    BlockFactors factors;
    if (nq == 1) {
        alignas(64) std::int32_t sums[2 * 32];
        const std::size_t block_bytes = run.groups * 128;
        for (std::size_t b = 0; b < run.count; ++b) {
            const std::size_t count = b + 2 <= run.count ? 2 : 1;
            if (b % 2 == 0) block_sums(run.blocks + b * block_bytes, count, run.groups, asks->tables->bytes, sums);
            factors.read(run, b);
            finish_sums<kLower, kSums>(*asks, sums + b % 2 * 32, factors, b);
        }
        return;
    }
    std::size_t of = run.count;
    near_blocks<kLower>(run, asks, nq, [&](std::size_t q, const std::int32_t* sums, std::size_t b) {
        if (b != of) factors.read(run, b);
        of = b;
        finish_sums<kLower, kSums>(asks[q], sums, factors, b);
    });
}

inline void table_estimates(const TableRun& run, const TableAsk* asks, std::size_t nq) {
    if (asks->sums) return estimate_run<true, true>(run, asks, nq);
    if (asks->hits->lower != asks->hits->est) return estimate_run<true, false>(run, asks, nq);
    estimate_run<false, false>(run, asks, nq);
}

inline float extra_dot(const std::uint8_t* row, const std::int32_t* runs, std::size_t nruns, const float* weights) {
    ExtraSums sums;
    for (std::size_t r = 0; r < nruns; ++r) {
        const int bits = runs[2 * r];
        const auto nbytes = static_cast<std::size_t>(runs[2 * r + 1]) * bits / 8;
        switch (bits) {
            case 1:
                weights += sums.add<1>(row, nbytes, weights);
                break;
            case 2:
                weights += sums.add<2>(row, nbytes, weights);
                break;
            case 4:
                weights += sums.add<4>(row, nbytes, weights);
                break;
            default:
                weights += sums.add<8>(row, nbytes, weights);
        }
        row += nbytes;
    }
    return sums.total();
}

inline void add_table_ops(Ops& ops) {
    ops.table_estimates = table_estimates;
    ops.extra_dot = extra_dot;
    ops.fill_tables = fill_tables;
}

}  // namespace
}  // namespace vecstore
