// One half float to float, anywhere.
#pragma once

#include <bit>
#include <cstdint>

namespace vecstore {

namespace {  // internal linkage: files with flags of their own include this

[[maybe_unused]] inline float half_to_float(std::uint16_t bits) {
    const std::uint32_t sign = (bits & 0x8000u) << 16;
    const std::uint32_t magnitude = (bits & 0x7fffu) << 13;
    if (magnitude >= 0x0f800000u) return std::bit_cast<float>(magnitude | 0x7f800000u | sign);  // infinity and NaN
    // Multiplying by 2^112 moves the exponent's bias from 15 to 127, and makes subnormals right as well.
    const float scaled = std::bit_cast<float>(magnitude) * 0x1p112f;
    return std::bit_cast<float>(std::bit_cast<std::uint32_t>(scaled) | sign);
}

}  // namespace
}  // namespace vecstore
