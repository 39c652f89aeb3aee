// Queries as the dense leaf routines want them: aligned, whole chunks of floats with the last one right-aligned, and as
// many as whole tiles need.
#pragma once

#include <cmath>
#include <cstring>
#include <new>

#include "vecstore/ops.h"

namespace vecstore {

class DenseQueries {
 public:
    // `unit`: scaled to unit length, so that no product overflows before the row's norm is divided out.
    DenseQueries(bool unit, const float* queries, std::size_t nq, std::size_t dim, std::size_t tile)
        : stride_(padded_dim(dim)) {
        const std::size_t padded_nq = nq == 1 ? 1 : (nq + tile - 1) / tile * tile;
        data_ = static_cast<float*>(::operator new(padded_nq * stride_ * sizeof(float), kAlignment));
        std::memset(data_, 0, padded_nq * stride_ * sizeof(float));
        for (std::size_t q = 0; q < nq; ++q) {
            const float* from = queries + q * dim;
            float* to = data_ + q * stride_;
            const std::size_t whole = dim / kLanes * kLanes;
            std::memcpy(to, from, whole * sizeof(float));
            if (whole != dim) std::memcpy(to + stride_ - dim % kLanes, from + whole, (dim - whole) * sizeof(float));
            if (unit) scale_to_unit(to);
        }
    }
    ~DenseQueries() { ::operator delete(data_, kAlignment); }
    DenseQueries(const DenseQueries&) = delete;
    DenseQueries& operator=(const DenseQueries&) = delete;

    const float* at(std::size_t query) const { return data_ + query * stride_; }

 private:
    static constexpr std::align_val_t kAlignment{64};

    void scale_to_unit(float* query) const {
        double square = 0;
        for (std::size_t d = 0; d < stride_; ++d) square += static_cast<double>(query[d]) * query[d];
        const double scale = square > 0 ? 1 / std::sqrt(square) : 0;
        for (std::size_t d = 0; d < stride_; ++d) query[d] = static_cast<float>(query[d] * scale);
    }

    std::size_t stride_;
    float* data_;
};

}  // namespace vecstore
