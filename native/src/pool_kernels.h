// The leaf routines of pool_ops.h over compiler vectors. Of 99 tokens of 128 dimensions to 49 clusters, on a core of
// 4.3 GHz with AVX-512: 0.7 million products of bytes at 128 a cycle take 1.3 us (measured: 2.8), 50 KB of tokens read
// three times at 32 bytes a cycle 1.1 us, their bytes turned 0.5 us (rounding, turning and means: 4.6). 50 merges read
// two rows of distances and write a row and a column of 99 places, which at one place a cycle is 1.2 us; the rest of
// theirs (5.3) is finding the two nearest: 74 times the least of 99 bounds and 65 times that of a row, where a
// register's least and its place are 40 cycles that wait for each other.
#pragma once

#include "pool_lanes.h"

namespace vecstore {
namespace {

constexpr std::uint32_t kSigns = 0x80808080u;  // a byte + 128 and the byte, as two's complement

// Calls take(d, part, elements) for all of a row, whose last part is filled up with zeros; part is 0..kParts - 1.
template <class Take>
inline void each_part(const float* row, std::size_t dim, const Take& take) {
    const std::size_t whole = dim / kPoolLanes * kPoolLanes;
    for (std::size_t d = 0; d < whole; d += kPoolLanes)
        for (std::size_t p = 0; p < kParts; ++p) take(d + p * kWidth, p, load(row + d + p * kWidth));
    if (whole == dim) return;
    float last[kPoolLanes] = {};
    std::memcpy(last, row + whole, (dim - whole) * sizeof(float));
    for (std::size_t p = 0; p < kParts; ++p) take(whole + p * kWidth, p, load(last + p * kWidth));
}

inline void token_to_bytes(const PoolState& s, const float* token, std::size_t t) {
    IntVec tops[kParts] = {};  // bits of floats without a sign are ordered as they are
    each_part(token, s.dim, [&](std::size_t, std::size_t p, Vec x) {
        tops[p] = greater(reinterpret_cast<IntVec>(x) & 0x7fffffff, tops[p]);
    });
    Vec sizes[kParts];
    for (std::size_t p = 0; p < kParts; ++p) sizes[p] = reinterpret_cast<Vec>(tops[p]);
    const float top = folded(sizes, greater);
    const float inverse = top >= kPoolDirection ? 127.0f / top : 0.0f;
    Vec squares[kParts] = {}, sums[kParts] = {};
    std::uint8_t* row = s.rows + t * 4 * s.groups;
    each_part(token, s.dim, [&](std::size_t d, std::size_t p, Vec x) {
        const Vec scaled = x * inverse;
        squares[p] += scaled * scaled;
        const Vec rounded = (scaled + 12582912.0f) - 12582912.0f;  // to even at halves: no bits below the unit
        sums[p] += rounded;
        const ByteVec bytes =
            __builtin_convertvector(__builtin_convertvector(rounded, IntVec), ByteVec) ^ static_cast<std::int8_t>(-128);
        std::memcpy(row + d, &bytes, kWidth);  // past the end into the next token, which comes later
    });
    s.starts[t] = -128 * static_cast<std::int32_t>(folded(sums, Sum{}));  // whole numbers, up to 127 * 65,536
    const float square = folded(squares, Sum{});
    s.weights[t] = square > 0 ? inverse / __builtin_sqrtf(square) : 0.0f;
}

void to_bytes(const PoolState& s, const float* tokens) {
    for (std::size_t t = 0; t < s.n; ++t) token_to_bytes(s, tokens + t * s.dim, t);
    const std::size_t row = 4 * s.groups, line = 4 * kPoolLanes;
    for (std::size_t t = 0; t < s.n; t += 4) {
        const std::uint8_t* in = s.rows + t * row;
        std::int8_t* out = s.lanes + t / kPoolLanes * s.groups * line + t % kPoolLanes * 4;
        std::size_t g = 0;
        for (; g + 4 <= s.groups; g += 4) turn_four(in + 4 * g, row, out + g * line, line, kSigns);
        for (; g < s.groups; ++g) {
            for (std::size_t i = 0; i < 4; ++i) {
                std::uint32_t four;
                std::memcpy(&four, in + i * row + 4 * g, 4);
                four ^= kSigns;
                std::memcpy(out + g * line + 4 * i, &four, 4);
            }
        }
    }
}

// The least of get(place) from 0 to `end`, and the first place that has it. No branch depends on what is there but one
// in 128 places: what nothing foretells costs more than it saves.
template <class Get>
inline float find_least(std::size_t end, std::size_t& place, const Get& get) {
    Vec low[kParts];
    for (Vec& part : low) part = kNone + Vec{};
    for (std::size_t j = 0; j < end; j += kPoolLanes)
        for (std::size_t p = 0; p < kParts; ++p) low[p] = lesser(get(j + p * kWidth), low[p]);
    const float least = folded(low, lesser);
    for (std::size_t first = 0;; first += 128) {
        std::uint64_t halves[2] = {};
        const std::size_t last = end < first + 128 ? end : first + 128;
        for (std::size_t j = first; j < last; j += kWidth) halves[(j - first) / 64] |= equal(get(j), least) << j % 64;
        const bool second = halves[0] == 0;
        if ((halves[0] | halves[1]) == 0) continue;
        place = first + (second ? 64 : 0) + static_cast<std::size_t>(__builtin_ctzll(second ? halves[1] : halves[0]));
        return least;
    }
}

// The nearest cluster after cluster `a`, by its row.
inline void find_nearest(const PoolState& s, std::size_t a) {
    const float *row = s.distances + a * s.stride, *dead = s.dead;
    const auto number = static_cast<std::int32_t>(a);
    std::size_t place;
    s.least[a] = find_least(s.stride, place, [&](std::size_t j) {
        return numbers_from(j) > number ? greater(load(dead + j), load(row + j)) : kNone + Vec{};
    });
    s.nearest[a] = static_cast<std::int32_t>(place);
}

void start(const PoolState& s) {
    for (std::size_t t = 0; t < s.stride; ++t) {
        const float square =
            t < s.n ? s.products[t / kPoolLanes * s.stride * kPoolLanes + t * kPoolLanes + t % kPoolLanes] : 0.0f;
        s.inverses[t] = square > 0 ? 1.0f / __builtin_sqrtf(square) : 0.0f;
        s.sizes[t] = 1.0f;
        s.dead[t] = t < s.n ? 0.0f : kNone;
        s.nearest[t] = -1;
        s.parents[t] = static_cast<std::int32_t>(t);
        s.least[t] = kNone;
    }
    for (std::size_t t = 0; t < s.n; ++t) {
        float* row = s.distances + t * s.stride;
        Vec low[kParts];
        for (Vec& part : low) part = kNone + Vec{};
        for (std::size_t j = t / kPoolLanes * kPoolLanes; j < s.stride; j += kPoolLanes) {
            const float* products = s.products + j * s.stride + t * kPoolLanes;
            for (std::size_t p = 0; p < kParts; ++p) {
                const std::size_t at = j + p * kWidth;
                const Vec apart = 1.0f - load(products + p * kWidth) * (load(s.inverses + at) * s.inverses[t]);
                const Vec there =
                    numbers_from(at) > static_cast<std::int32_t>(t) ? greater(load(s.dead + at), apart) : kNone + Vec{};
                store(row + at, there);
                low[p] = lesser(there, low[p]);
            }
        }
        s.least[t] = folded(low, lesser);
    }
    const std::size_t bytes = s.stride * sizeof(float);
    for (std::size_t t = 0; t < s.stride; t += 4) {
        for (std::size_t j = t + 4; j < s.stride; j += 4)
            turn_four(s.distances + t * s.stride + j, bytes, s.distances + j * s.stride + t, bytes, 0);
        for (std::size_t i = 1; i < 4; ++i)
            for (std::size_t j = 0; j < i; ++j)
                s.distances[(t + i) * s.stride + t + j] = s.distances[(t + j) * s.stride + t + i];
    }
}

// Cluster b goes into a, a < b: Lance and Williams' update for Ward, of squared distances.
inline void join(const PoolState& s, std::size_t a, std::size_t b, float height) {
    const std::size_t stride = s.stride;
    float *const row = s.distances + a * stride, *const least = s.least;
    const float *const other = s.distances + b * stride, *const sizes = s.sizes, *const dead = s.dead;
    std::int32_t* const nearest = s.nearest;
    const float size_a = sizes[a], size_b = sizes[b];
    const auto first = static_cast<std::int32_t>(a), second = static_cast<std::int32_t>(b);
    s.dead[b] = kNone;
    Vec low[kParts];
    for (Vec& part : low) part = kNone + Vec{};
    for (std::size_t j = 0; j < stride; j += kPoolLanes) {
        for (std::size_t p = 0; p < kParts; ++p) {
            const std::size_t place = j + p * kWidth;
            const IntVec at = numbers_from(place);
            const Vec size = load(sizes + place), with_a = size + size_a;
            const Vec sum = with_a * load(row + place) + (size + size_b) * load(other + place) - size * height;
            const Vec apart = greater(load(dead + place), sum / (with_a + size_b));
            store(row + place, apart);
            low[p] = lesser(at > first ? apart : kNone + Vec{}, low[p]);
            const Vec bound = load(least + place), before = at < first ? apart : kNone + Vec{};
            const IntVec held = load(nearest + place);
            const IntVec lost = (held == first) | (held == second) | (before <= bound);
            store(nearest + place, lost | held);  // all bits of -1
            store(least + place, lesser(before, bound));
        }
    }
    least[a] = folded(low, lesser);
    nearest[a] = -1;
    least[b] = kNone;
    float* column = s.distances + a;
    for (std::size_t x = 0; x < s.n; ++x, column += stride) *column = row[x];
    s.sizes[a] = size_a + size_b;
    s.parents[b] = first;
}

void merge(const PoolState& s, std::size_t times) {
    const float* least = s.least;
    while (times > 0) {
        std::size_t a;
        const float height = find_least(s.stride, a, [&](std::size_t j) { return load(least + j); });
        if (s.nearest[a] < 0) {
            find_nearest(s, a);
            if (least[a] > height) continue;
        }
        join(s, a, static_cast<std::size_t>(s.nearest[a]), height);
        --times;
    }
}

void add(const PoolState& s, const float* tokens, const std::int32_t* labels, float* sums) {
    for (std::size_t t = 0; t < s.n; ++t) {
        const float* token = tokens + t * s.dim;
        const float weight = s.weights[t];
        float* sum = sums + static_cast<std::size_t>(labels[t]) * s.dim;
        std::size_t d = 0;
        for (; d + kWidth <= s.dim; d += kWidth) store(sum + d, load(sum + d) + load(token + d) * weight);
        for (; d < s.dim; ++d) sum[d] += token[d] * weight;
    }
}

void lengthen(float* row, std::size_t dim, float length) {
    Vec squares[kParts] = {};
    each_part(row, dim, [&](std::size_t, std::size_t p, Vec x) { squares[p] += x * x; });
    const float square = folded(squares, Sum{});
    const float by = square > 0 ? length / __builtin_sqrtf(square) : 0.0f;
    std::size_t d = 0;
    for (; d + kWidth <= dim; d += kWidth) store(row + d, load(row + d) * by);
    for (; d < dim; ++d) row[d] *= by;
}

constexpr PoolOps pool_ops(const char* isa) { return {isa, to_bytes, start, merge, add, lengthen}; }

}  // namespace
}  // namespace vecstore
