// Sums of looked-up bytes, portable.
#pragma once

namespace vecstore {
namespace {

inline void block_sums(const std::uint8_t* block, std::size_t nibbles, const std::uint8_t* bytes, std::int32_t* out) {
    for (int i = 0; i < 32; ++i) out[i] = 0;
    for (std::size_t column = 0; column < nibbles; ++column) {
        const std::uint8_t* codes = block + column * 16;
        const std::uint8_t* table = bytes + column * 16;
        for (int i = 0; i < 16; ++i) {
            out[i] += table[codes[i] & 15];
            out[i + 16] += table[codes[i] >> 4];
        }
    }
}

}  // namespace
}  // namespace vecstore
