#include "fde.h"

#include <algorithm>
#include <bit>
#include <vector>

#include "scan.h"

namespace vecstore {
namespace {

// A sign string's place in Gray code: places next to each other differ in one sign.
std::size_t gray_rank(const float* signs, std::size_t k) {
    std::size_t rank = 0;
    for (std::size_t t = 0; t < k; ++t) rank = rank << 1 | ((signs[t] > 0 ? 1u : 0u) ^ (rank & 1));
    return rank;
}

std::size_t signs_of(std::size_t rank) { return rank ^ (rank >> 1); }

void encode_row(const float* signs, const float* projected, std::size_t count, const FdeParams& p,
                std::vector<std::size_t>& cells, std::vector<std::size_t>& counts, float* out) {
    const std::size_t ncells = std::size_t{1} << p.k_sim;
    for (std::size_t r = 0; r < p.repetitions; ++r, out += ncells * p.width) {
        std::fill_n(out, ncells * p.width, 0.0f);
        counts.assign(ncells, 0);
        for (std::size_t t = 0; t < count; ++t) {
            cells[t] = gray_rank(signs + t * p.repetitions * p.k_sim + r * p.k_sim, p.k_sim);
            const float* token = projected + (t * p.repetitions + r) * p.width;
            float* cell = out + cells[t] * p.width;
            for (std::size_t d = 0; d < p.width; ++d) cell[d] += token[d];
            ++counts[cells[t]];
        }
        if (!p.mean || count == 0) continue;
        for (std::size_t c = 0; c < ncells; ++c) {
            float* cell = out + c * p.width;
            if (counts[c] > 1) {
                const auto number = static_cast<float>(counts[c]);
                for (std::size_t d = 0; d < p.width; ++d) cell[d] /= number;
            } else if (counts[c] == 0 && p.fill) {
                std::size_t nearest = 0;
                int least = 64;
                for (std::size_t t = 0; t < count; ++t) {
                    const int apart = std::popcount(signs_of(cells[t]) ^ signs_of(c));
                    if (apart < least) {
                        least = apart;
                        nearest = t;
                    }
                }
                std::copy_n(projected + (nearest * p.repetitions + r) * p.width, p.width, cell);
            }
        }
    }
}

}  // namespace

void fde_cells(const float* signs, const float* projected, const std::int64_t* offsets, std::size_t n,
               const FdeParams& params, float* out) {
    constexpr std::size_t kRows = 8;  // that a thread takes at once
    const std::size_t length = params.repetitions * params.width << params.k_sim;
    const std::size_t tasks = (n + kRows - 1) / kRows;
    parallel_for(tasks, std::min(workers_for(n * length * 8), tasks), [&](std::size_t, std::size_t task) {
        std::vector<std::size_t> cells, counts;
        for (std::size_t row = task * kRows; row < std::min(n, (task + 1) * kRows); ++row) {
            const auto first = static_cast<std::size_t>(offsets[row]);
            const std::size_t count = static_cast<std::size_t>(offsets[row + 1]) - first;
            if (cells.size() < count) cells.resize(count);
            encode_row(signs + first * params.repetitions * params.k_sim,
                       projected + first * params.repetitions * params.width, count, params, cells, counts,
                       out + row * length);
        }
    });
}

}  // namespace vecstore
