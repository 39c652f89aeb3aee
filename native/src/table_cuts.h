// What decides at once that no row of a block is near to a query.
#pragma once

#include "vecstore/ops.h"

namespace vecstore {
namespace {

// A row's lower bound is below the gate where, in steps of the tables (scale s, inverse u, of one sign in the block),
//
//     sum > cut = gate * u + add * (a * u) + error * (e * u) + base        for s < 0, and < cut for s > 0
//
// Cuts err on the near side by more than rounding may do to either side of it, here and in finish_sums, so what they
// leave out is not near; what they let pass is looked at again. A query of numbers too large or without a step lets all
// pass.
struct QueryCut {
    float gate = __builtin_inff(), add = 0, error = 0, base[2] = {};  // base: for negative scales, for positive ones

    // How far sums of some ten floats may be off, of the sum of what they add up, and more.
    static constexpr float kSlack = 0x1p-18f;
    // Sums are compared as floats between 2^23 and 2^24, whose last bit is one; three may round.
    static constexpr float kSumBase = 0x1p23f;
    static constexpr float kSteps = 4;

    QueryCut() = default;
    QueryCut(const TableAsk& ask, bool lower) {
        const float delta = ask.tables->delta, rounding = lower ? ask.tables->rounding : 0;
        const float bias = ask.tables->bias, size = magnitude(bias) + rounding;
        const float inverse = 1 / delta;
        gate = (ask.gate - ask.list_add + kSlack * (magnitude(ask.gate) + magnitude(ask.list_add))) * inverse;
        add = -inverse;
        error = lower ? ask.error_scale * inverse : 0;
        base[0] = (-bias - rounding - kSlack * size) * inverse - kSteps + kSumBase;
        base[1] = (-bias + rounding + kSlack * size) * inverse + kSteps + kSumBase;
        if (gate != gate || !is_finite(inverse + error + base[0] + base[1])) *this = QueryCut();
    }

 private:
    static float magnitude(float x) { return x < 0 ? -x : x; }
    static bool is_finite(float x) { return x - x == 0; }
};

}  // namespace
}  // namespace vecstore
