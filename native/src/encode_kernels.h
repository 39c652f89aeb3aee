// The leaf routines of encode_ops.h over compiler vectors of the widest register that the including file may use.
#pragma once

#include "encode_ops.h"

namespace vecstore {
namespace {

#if defined(__AVX512F__)
constexpr std::size_t kWidth = 16;
#elif defined(__AVX2__)
constexpr std::size_t kWidth = 8;
#else
constexpr std::size_t kWidth = 4;
#endif
constexpr std::size_t kSumLanes = 16;  // chains of a row's float sums, whatever the width
constexpr std::size_t kDotLanes = 8;   // chains of a row's double sums

typedef float Vec __attribute__((vector_size(kWidth * 4)));
typedef float LooseVec __attribute__((vector_size(kWidth * 4), aligned(4), may_alias));
typedef std::int32_t IntVec __attribute__((vector_size(kWidth * 4)));

inline Vec load(const float* p) { return *reinterpret_cast<const LooseVec*>(p); }
inline void store(float* p, Vec v) { *reinterpret_cast<LooseVec*>(p) = v; }

// Four rows by kVecs registers of columns, starting at row and column.
template <int kRows, int kVecs>
inline void project_tile(const float* rows, std::size_t dim, const float* matrix, std::size_t columns, float* out) {
    Vec acc[kRows][kVecs] = {};
    for (std::size_t d = 0; d < dim; ++d) {
        Vec values[kVecs];
        for (int v = 0; v < kVecs; ++v) values[v] = load(matrix + d * columns + v * kWidth);
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) {
            const float x = rows[r * dim + d];
#pragma GCC unroll 4
            for (int v = 0; v < kVecs; ++v) acc[r][v] += x * values[v];
        }
    }
    for (int r = 0; r < kRows; ++r)
        for (int v = 0; v < kVecs; ++v) store(out + r * columns + v * kWidth, acc[r][v]);
}

template <int kRows>
inline void project_rows(const float* rows, std::size_t dim, const float* matrix, std::size_t columns, float* out) {
    constexpr int kVecs = kWidth == 16 ? 4 : 2;
    std::size_t c = 0;
    for (; c + kVecs * kWidth <= columns; c += kVecs * kWidth)
        project_tile<kRows, kVecs>(rows, dim, matrix + c, columns, out + c);
    if (columns >= kWidth) {
        // The last register overlaps columns that are done: they come out the same.
        for (; c < columns; c += kWidth) {
            const std::size_t at = c + kWidth <= columns ? c : columns - kWidth;
            project_tile<kRows, 1>(rows, dim, matrix + at, columns, out + at);
        }
        return;
    }
    for (; c < columns; ++c) {
        for (int r = 0; r < kRows; ++r) {
            float sum = 0;
            for (std::size_t d = 0; d < dim; ++d) sum += rows[r * dim + d] * matrix[d * columns + c];
            out[r * columns + c] = sum;
        }
    }
}

void project(const float* rows, std::size_t n, std::size_t dim, const float* matrix, std::size_t columns, float* out) {
    constexpr int kRows = 4;
    std::size_t i = 0;
    for (; i + kRows <= n; i += kRows) project_rows<kRows>(rows + i * dim, dim, matrix, columns, out + i * columns);
    for (; i < n; ++i) project_rows<1>(rows + i * dim, dim, matrix, columns, out + i * columns);
}

inline double row_dot(const float* a, const float* b, std::size_t dim) {
    double lanes[kDotLanes] = {};
    std::size_t d = 0;
    for (; d + kDotLanes <= dim; d += kDotLanes)
        for (std::size_t l = 0; l < kDotLanes; ++l)
            lanes[l] += static_cast<double>(a[d + l]) * static_cast<double>(b[d + l]);
    for (std::size_t l = 0; d + l < dim; ++l) lanes[l] += static_cast<double>(a[d + l]) * static_cast<double>(b[d + l]);
    double sum = lanes[0];
    for (std::size_t l = 1; l < kDotLanes; ++l) sum += lanes[l];
    return sum;
}

void row_dots(const float* a, const float* b, std::size_t n, std::size_t dim, double* out) {
    for (std::size_t i = 0; i < n; ++i) out[i] = row_dot(a + i * dim, b + i * dim, dim);
}

inline Vec absolute(Vec v) { return reinterpret_cast<Vec>(reinterpret_cast<IntVec>(v) & 0x7fffffff); }

// The squared cosine, up to the row's length, of the row and its code at one step: (sum of level * |x|)^2 / sum of
// level^2, levels counted in steps. Levels squared are summed as v^2 + v, whole numbers, + 1/4 for each dim.
inline double grid_score(const float* row, std::size_t dim, float inverse, std::int32_t half) {
    constexpr std::size_t kParts = kSumLanes / kWidth;
    const float top = static_cast<float>(half - 1);
    Vec products[kParts] = {};
    IntVec squares[kParts] = {};
    const auto add = [&](std::size_t p, Vec x) {
        const Vec scaled = x * inverse;
        const IntVec v = __builtin_convertvector(scaled < top ? scaled : top + Vec{}, IntVec);
        products[p] += (__builtin_convertvector(v, Vec) + 0.5f) * x;
        squares[p] += v * v + v;
    };
    std::size_t d = 0;
    for (; d + kSumLanes <= dim; d += kSumLanes)
        for (std::size_t p = 0; p < kParts; ++p) add(p, absolute(load(row + d + p * kWidth)));
    if (d < dim) {
        float last[kSumLanes] = {};
        for (std::size_t l = 0; d + l < dim; ++l) last[l] = row[d + l];
        for (std::size_t p = 0; p < kParts; ++p) add(p, absolute(load(last + p * kWidth)));
    }
    double product = 0;
    std::int64_t square = 0;
    for (std::size_t l = 0; l < kSumLanes; ++l) {
        product += static_cast<double>(products[l / kWidth][l % kWidth]);
        square += squares[l / kWidth][l % kWidth];
    }
    return product * product / (static_cast<double>(square) + 0.25 * static_cast<double>(dim));
}

inline double square_root(double x) { return __builtin_sqrt(x); }

void grid_steps(const float* rows, std::size_t n, std::size_t dim, std::int32_t half, double normal_step, float* out) {
    for (std::size_t i = 0; i < n; ++i) {
        const float* row = rows + i * dim;
        float largest = 0;
        for (std::size_t d = 0; d < dim; ++d) {
            const float x = row[d] < 0 ? -row[d] : row[d];
            largest = largest < x ? x : largest;
        }
        out[i] = 1.0f;
        if (!(largest >= 1e-30f)) continue;  // no direction: any code will do
        const double by_length = normal_step * square_root(row_dot(row, row, dim) / static_cast<double>(dim));
        const double by_largest = static_cast<double>(largest) / half;
        const double low = 0.9 * by_length < 0.8 * by_largest ? 0.9 * by_length : 0.8 * by_largest;
        const double high = 1.1 * by_length > 1.02 * by_largest ? 1.1 * by_length : 1.02 * by_largest;
        const int count = grid_step_count(half);
        double ratio = square_root(square_root(square_root(high / low)));
        if (count == 17) ratio = square_root(ratio);
        double step = low, best = -1;
        for (int k = 0; k < count; ++k, step *= ratio) {
            const float inverse = static_cast<float>(1 / step);
            const double score = grid_score(row, dim, inverse, half);
            if (score > best) {
                best = score;
                out[i] = inverse;
            }
        }
    }
}

void grid_codes(const float* rows, std::size_t n, std::size_t dim, const float* inverse_rows, const float* inverse_dims,
                const float* halves, std::uint16_t* codes) {
    for (std::size_t i = 0; i < n; ++i) {
        const float* row = rows + i * dim;
        std::uint16_t* code = codes + i * dim;
        for (std::size_t d = 0; d < dim; ++d) {
            const float scaled = (row[d] < 0 ? -row[d] : row[d]) * inverse_dims[d] * inverse_rows[i];
            const float top = halves[d] - 1;
            const std::int32_t v = static_cast<std::int32_t>(scaled < top ? scaled : top);
            const std::int32_t half = static_cast<std::int32_t>(halves[d]);
            code[d] = static_cast<std::uint16_t>(row[d] >= 0 ? half + v : half - 1 - v);
        }
    }
}

void level_codes(const float* rows, std::size_t n, std::size_t dim, const float* inverse_rows, const float* bounds,
                 std::size_t nbounds, std::uint16_t* codes) {
    for (std::size_t i = 0; i < n; ++i) {
        const float inverse = inverse_rows[i];
        const float* row = rows + i * dim;
        std::uint16_t* code = codes + i * dim;
        constexpr std::size_t kChunk = 64;
        for (std::size_t d = 0; d < dim; d += kChunk) {
            const std::size_t count = d + kChunk <= dim ? kChunk : dim - d;
            std::int32_t below[kChunk] = {};
            for (std::size_t b = 0; b < nbounds; ++b)
                for (std::size_t l = 0; l < count; ++l) below[l] += bounds[b] < row[d + l] * inverse;
            for (std::size_t l = 0; l < count; ++l) code[d + l] = static_cast<std::uint16_t>(below[l]);
        }
    }
}

// The least of a vector's elements, by halves.
template <std::size_t kCount, class V>
inline auto least(V v) {
    if constexpr (kCount == 1) {
        return v[0];
    } else {
        typedef decltype(v[0] + v[0]) Element;
        typedef Element Half __attribute__((vector_size(kCount / 2 * sizeof(Element))));
        Half low, high;
        __builtin_memcpy(&low, &v, sizeof low);
        __builtin_memcpy(&high, reinterpret_cast<const char*>(&v) + sizeof low, sizeof high);
        return least<kCount / 2>(low < high ? low : high);
    }
}

// Part of kRows rows, `stride` floats apart, against one codebook.
template <int kRows>
inline void nearest_in_part(const float* part, std::size_t stride, const float* columns, const float* half_squares,
                            std::size_t subdim, std::size_t size, std::uint8_t* codes, std::size_t m) {
    Vec best[kRows];
    IntVec number[kRows], lane;
    for (std::size_t l = 0; l < kWidth; ++l) lane[l] = static_cast<std::int32_t>(l);
    for (int r = 0; r < kRows; ++r) {
        best[r] = __builtin_inff() + Vec{};
        number[r] = lane;
    }
    for (std::size_t v = 0; v < size; v += kWidth, lane += static_cast<std::int32_t>(kWidth)) {
        Vec products[kRows] = {};
        for (std::size_t d = 0; d < subdim; ++d) {
            const Vec column = load(columns + d * size + v);
#pragma GCC unroll 4
            for (int r = 0; r < kRows; ++r) products[r] += part[r * stride + d] * column;
        }
        const Vec half = load(half_squares + v);
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) {
            const Vec score = half - products[r];
            const IntVec nearer = score < best[r];
            best[r] = nearer ? score : best[r];
            number[r] = nearer ? lane : number[r];
        }
    }
    for (int r = 0; r < kRows; ++r) {
        const IntVec at_least = best[r] == least<kWidth>(best[r]) + Vec{};
        codes[r * m] = static_cast<std::uint8_t>(least<kWidth>(at_least ? number[r] : 255 + IntVec{}));
    }
}

void nearest_codes(const float* rows, std::size_t n, const float* columns, const float* half_squares, std::size_t m,
                   std::size_t subdim, std::size_t size, std::uint8_t* codes) {
    constexpr std::size_t kRows = 4, kBlock = 16;  // rows of a block stay in the cache for all parts
    const std::size_t dim = m * subdim;
    for (std::size_t first = 0; first < n; first += kBlock) {
        const std::size_t end = first + kBlock < n ? first + kBlock : n;
        for (std::size_t j = 0; j < m; ++j) {
            const float* of_part = columns + j * subdim * size;
            const float* squares = half_squares + j * size;
            const float* parts = rows + j * subdim;
            std::size_t i = first;
            for (; i + kRows <= end; i += kRows)
                nearest_in_part<kRows>(parts + i * dim, dim, of_part, squares, subdim, size, codes + i * m + j, m);
            for (; i < end; ++i)
                nearest_in_part<1>(parts + i * dim, dim, of_part, squares, subdim, size, codes + i * m + j, m);
        }
    }
}

// kRows rows share the loads of the feedback; `wanted` (kRows, dim) begins as the cells.
template <std::size_t kRows>
inline void shaped_rows(const float* cells, std::size_t dim, const float* feedback, float* wanted,
                        std::uint8_t* codes) {
    for (std::size_t e = dim; e-- > 0;) {
        float missing[kRows];
        for (std::size_t r = 0; r < kRows; ++r) {
            float x = wanted[r * dim + e];
            x = x < 0 ? 0.0f : x > 255 ? 255.0f : x;
            x = (x + 0x1.8p23f) - 0x1.8p23f;  // to nearest, ties to even
            codes[r * dim + e] = static_cast<std::uint8_t>(x);
            const float less = cells[r * dim + e] - x;
            missing[r] = less < -4 ? -4.0f : less > 4 ? 4.0f : less;
        }
        const float* const factors = feedback + e * (e - 1) / 2;
        std::size_t d = 0;
        for (; d + kWidth <= e; d += kWidth) {
            const Vec factor = load(factors + d);
#pragma GCC unroll 4
            for (std::size_t r = 0; r < kRows; ++r) {
                float* const at = wanted + r * dim + d;
                store(at, load(at) + factor * missing[r]);
            }
        }
        for (; d < e; ++d)
            for (std::size_t r = 0; r < kRows; ++r) wanted[r * dim + d] += factors[d] * missing[r];
    }
}

void shaped_codes(const float* cells, std::size_t n, std::size_t dim, const float* feedback, std::uint8_t* codes) {
    constexpr std::size_t kRows = 4;
    float* const wanted = new float[kRows * dim];
    std::size_t i = 0;
    for (; i + kRows <= n; i += kRows) {
        __builtin_memcpy(wanted, cells + i * dim, kRows * dim * sizeof(float));
        shaped_rows<kRows>(cells + i * dim, dim, feedback, wanted, codes + i * dim);
    }
    for (; i < n; ++i) {
        __builtin_memcpy(wanted, cells + i * dim, dim * sizeof(float));
        shaped_rows<1>(cells + i * dim, dim, feedback, wanted, codes + i * dim);
    }
    delete[] wanted;
}

constexpr EncodeOps encode_ops(const char* isa) {
    return {isa, project, row_dots, grid_steps, grid_codes, level_codes, nearest_codes, shaped_codes};
}

}  // namespace
}  // namespace vecstore
