// Rounds of permutation, signs and Walsh-Hadamard transform: a random rotation.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vecstore {

// rows (n, dim) to out (n, width), dim <= width, padded with zeros; permutations and factors are (rounds, width). A
// round takes coordinate i from permutations[i], multiplies it by factors[i] and transforms each run of `block`
// coordinates, a power of two. Only additions in a fixed order: the same bits on every machine.
void hadamard_rounds(const float* rows, std::size_t n, std::size_t dim, std::size_t width,
                     const std::int32_t* permutations, const float* factors, std::size_t rounds, std::size_t block,
                     float* out);

}  // namespace vecstore
