// A distance and a row as one number, of the same order as both (distance first): one comparison without branches on
// floats settles both. Zeros of two signs are not equal here.
#pragma once

#include <bit>
#include <cstdint>

namespace vecstore {

inline std::uint64_t distance_key(float distance, std::uint32_t row) {
    const auto bits = std::bit_cast<std::uint32_t>(distance);
    return std::uint64_t{bits >> 31 != 0 ? ~bits : bits | 0x80000000u} << 32 | row;
}

inline float key_distance(std::uint64_t key) {
    const auto bits = static_cast<std::uint32_t>(key >> 32);
    return std::bit_cast<float>(bits >> 31 != 0 ? bits & 0x7fffffffu : ~bits);
}

inline std::uint32_t key_row(std::uint64_t key) { return static_cast<std::uint32_t>(key); }

}  // namespace vecstore
