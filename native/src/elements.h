// Stored elements, and the tail load that works everywhere.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "vecstore/ops.h"

namespace vecstore {
namespace {

struct F16 {
    std::uint16_t bits;
};
struct BF16 {
    std::uint16_t bits;
};
// Eight-bit floats of the OCP specification. E5M2 is the high byte of a float16. E4M3 shifted into the place of a
// float16 is 2^-8 of its value, subnormals included; `load` leaves it at that, sums are multiplied by 2^8 at the end.
struct E4M3 {
    std::uint8_t bits;
};
struct E5M2 {
    std::uint8_t bits;
};

// The last dim % kLanes elements of a row, right-aligned in a chunk of zeros; this is one part of that chunk.
template <class L, int kPart, class T>
inline typename L::Reg load_tail_by_copy(const T* row, std::size_t dim) {
    T chunk[kLanes] = {};
    const std::size_t tail = dim % kLanes;
    std::memcpy(chunk + kLanes - tail, row + dim - tail, tail * sizeof(T));
    return L::load(chunk + kPart * L::kWidth);
}

}  // namespace
}  // namespace vecstore
