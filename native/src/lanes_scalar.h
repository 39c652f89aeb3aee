// Portable lanes: four floats at a time through the compiler's vector extension, no instruction set assumed.
#pragma once

#include <cstdint>
#include <cstring>

namespace vecstore {
namespace {

struct Lanes {
    using Reg = float __attribute__((vector_size(16)));
    static constexpr int kWidth = 4;
    static constexpr int kParts = 4;
    static constexpr int kTileRows = 1;
    static constexpr int kTileQueries = 2;

    static Reg zero() { return Reg{0, 0, 0, 0}; }
    static Reg all(float x) { return Reg{x, x, x, x}; }
    static Reg load_ints(const std::int32_t* p) {
        const auto at = [=](int i) { return static_cast<float>(p[i]); };
        return Reg{at(0), at(1), at(2), at(3)};
    }
    static Reg load(const float* p) {
        Reg r;
        std::memcpy(&r, p, sizeof r);
        return r;
    }
    static Reg load(const F16* p) { return Reg{widen(p[0]), widen(p[1]), widen(p[2]), widen(p[3])}; }
    static Reg load(const BF16* p) { return Reg{widen(p[0]), widen(p[1]), widen(p[2]), widen(p[3])}; }
    static Reg load(const E4M3* p) { return Reg{widen(p[0]), widen(p[1]), widen(p[2]), widen(p[3])}; }
    static Reg load(const E5M2* p) { return Reg{widen(p[0]), widen(p[1]), widen(p[2]), widen(p[3])}; }
    template <int kPart, class T>
    static Reg load_tail(const T* row, std::size_t dim) {
        return load_tail_by_copy<Lanes, kPart>(row, dim);
    }
    // sum + weights times the numbers of kBits at kShift in kWidth bytes.
    template <int kBits, int kShift>
    static Reg add_bits(Reg sum, const std::uint8_t* p, const float* weights) {
        constexpr int kMask = (1 << kBits) - 1;
        const auto bits = [=](int i) { return static_cast<float>(p[i] >> kShift & kMask); };
        return add(sum, mul(Reg{bits(0), bits(1), bits(2), bits(3)}, load(weights)));
    }
    static Reg add(Reg a, Reg b) { return a + b; }
    static Reg mul(Reg a, Reg b) { return a * b; }
    static Reg sub(Reg a, Reg b) { return a - b; }
    static Reg sub_by_fma(Reg a, Reg b) { return a - b; }
    static Reg fma(Reg a, Reg b, Reg c) { return a * b + c; }
    static float reduce(const Reg* acc) {
        const Reg s = (acc[0] + acc[2]) + (acc[1] + acc[3]);
        return (s[0] + s[2]) + (s[1] + s[3]);
    }
    static std::uint32_t less(Reg a, Reg b) {
        std::uint32_t bits = 0;
        for (int i = 0; i < kWidth; ++i) bits |= static_cast<std::uint32_t>(a[i] < b[i]) << i;
        return bits;
    }

 private:
    static float bits_to_float(std::uint32_t bits) {
        float f;
        std::memcpy(&f, &bits, sizeof f);
        return f;
    }
    static float widen(BF16 v) { return bits_to_float(std::uint32_t{v.bits} << 16); }
    static float widen(F16 v) {
        const std::uint32_t sign = (v.bits & 0x8000u) << 16;
        const std::uint32_t magnitude = (v.bits & 0x7fffu) << 13;
        // Multiplying by 2^112 moves the exponent's bias from 15 to 127, and makes subnormals right as well.
        const float scaled = bits_to_float(magnitude) * 0x1p112f;
        std::uint32_t bits;
        std::memcpy(&bits, &scaled, sizeof bits);
        if (magnitude >= 0x0f800000u) bits = magnitude | 0x7f800000u;  // infinity and NaN
        return bits_to_float(bits | sign);
    }
    static float widen(E4M3 v) {
        return widen(F16{static_cast<std::uint16_t>((v.bits & 0x80) << 8 | (v.bits & 0x7f) << 7)});
    }
    static float widen(E5M2 v) { return widen(F16{static_cast<std::uint16_t>(v.bits << 8)}); }
};

}  // namespace
}  // namespace vecstore
