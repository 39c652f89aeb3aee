#include "hadamard.h"

#include <algorithm>
#include <vector>

#include "thread_pool.h"

namespace vecstore {
namespace {

constexpr std::size_t kTaskRows = 64;
constexpr std::size_t kBytesAWorker = 4 << 20;

void butterflies(float* __restrict low, float* __restrict high, std::size_t half) {
    for (std::size_t i = 0; i < half; ++i) {
        const float a = low[i], b = high[i];
        low[i] = a + b;
        high[i] = a - b;
    }
}

// In place, unscaled. The first two steps run in registers.
void transform(float* x, std::size_t block) {
    if (block < 4) {
        for (std::size_t half = 1; half < block; half *= 2) butterflies(x, x + half, half);
        return;
    }
    for (std::size_t i = 0; i < block; i += 4) {
        const float a = x[i] + x[i + 1], b = x[i] - x[i + 1], c = x[i + 2] + x[i + 3], d = x[i + 2] - x[i + 3];
        x[i] = a + c;
        x[i + 1] = b + d;
        x[i + 2] = a - c;
        x[i + 3] = b - d;
    }
    for (std::size_t half = 4; half < block; half *= 2)
        for (std::size_t i = 0; i < block; i += 2 * half) butterflies(x + i, x + i + half, half);
}

}  // namespace

void hadamard_rounds(const float* rows, std::size_t n, std::size_t dim, std::size_t width,
                     const std::int32_t* permutations, const float* factors, std::size_t rounds, std::size_t block,
                     float* out) {
    const std::size_t tasks = (n + kTaskRows - 1) / kTaskRows;
    const std::size_t workers = std::min(threads(), 1 + n * width * sizeof(float) / kBytesAWorker);
    parallel_for(tasks, workers, [&](std::size_t, std::size_t task) {
        std::vector<float> before(width);
        const std::size_t end = std::min(n, (task + 1) * kTaskRows);
        for (std::size_t row = task * kTaskRows; row < end; ++row) {
            float* x = out + row * width;
            std::copy(rows + row * dim, rows + (row + 1) * dim, x);
            std::fill(x + dim, x + width, 0.0f);
            for (std::size_t r = 0; r < rounds; ++r) {
                std::copy(x, x + width, before.begin());
                const std::int32_t* from = permutations + r * width;
                const float* factor = factors + r * width;
                for (std::size_t i = 0; i < width; ++i) x[i] = before[static_cast<std::size_t>(from[i])] * factor[i];
                for (std::size_t i = 0; i < width; i += block) transform(x + i, block);
            }
        }
    });
}

}  // namespace vecstore
