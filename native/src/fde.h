// Fixed dimensional encodings: the scatter of projected tokens into cells (vecstore/kernels/fde.py).
#pragma once

#include <cstddef>
#include <cstdint>

namespace vecstore {

struct FdeParams {
    std::size_t repetitions, k_sim, width;  // width: components of a projected token
    bool mean;                              // of a cell's tokens, else their sum
    bool fill;                              // empty cells take the token of the nearest signs
};

// signs (T, repetitions * k_sim) and projected (T, repetitions * width) of the tokens of n rows, to out (n,
// repetitions, 2^k_sim, width). Sums run over a row's tokens in order.
void fde_cells(const float* signs, const float* projected, const std::int64_t* offsets, std::size_t n,
               const FdeParams& params, float* out);

}  // namespace vecstore
