// Byte products in plain integers.
#pragma once

#include <cstdint>
#include <cstring>

namespace vecstore {
namespace {

struct CodeLanes {
    static constexpr int kRows = 4;      // of one "register"
    static constexpr int kTile = 2;      // queries of one pass
    static constexpr bool kPay = false;  // products of bytes, beside those of floats
    static constexpr int parts(int) { return 1; }

    struct Codes {
        std::int16_t value[4 * kRows];
    };
    struct Sum {
        std::int32_t value[kRows];
    };
    struct Query {
        std::int16_t value[4];
    };
    using Levels = const std::int8_t*;

    static Levels levels(const std::int8_t* values) { return values; }
    static Codes bytes(const std::uint8_t* p) {
        Codes x;
        for (int i = 0; i < 4 * kRows; ++i) x.value[i] = static_cast<std::int16_t>(p[i] - 128);
        return x;
    }
    static void nibbles(const std::uint8_t* p, Levels levels, Codes& low, Codes& high) {
        for (int i = 0; i < 4 * kRows; ++i) {
            low.value[i] = levels[p[i] & 15];
            high.value[i] = levels[p[i] >> 4];
        }
    }
    static Query query(const std::int8_t* four) { return {{four[0], four[1], four[2], four[3]}}; }
    static Sum start(std::int32_t) { return zero(); }
    static Sum zero() { return {}; }
    static Sum dot(Sum sum, const Codes& x, const Query& q) {
        for (int r = 0; r < kRows; ++r)
            for (int i = 0; i < 4; ++i) sum.value[r] += x.value[4 * r + i] * q.value[i];
        return sum;
    }
    static Sum add(Sum a, const Sum& b) {
        for (int r = 0; r < kRows; ++r) a.value[r] += b.value[r];
        return a;
    }
    static void store(float* out, const Sum& sum) {
        for (int r = 0; r < kRows; ++r) out[r] = static_cast<float>(sum.value[r]);
    }
};

}  // namespace
}  // namespace vecstore
