// Values of byte tokens for all lanes of a query: the best of them, or each. See TokenScales for what a value is.
#pragma once

#include "centroid_kernels.h"
#include "token_bytes_lanes.h"

namespace vecstore {
namespace {

// kRows tokens from `first` on by one register of lanes from `lane` on.
template <class L, int kRows>
inline void token_values(const ByteLanes& q, std::size_t lane, const TokenBytes& t, const TokenScales& scales,
                         std::size_t first, typename L::Floats* values) {
    typename L::Sum sums[kRows];
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) sums[r] = L::start(q.starts + lane);
    const std::int8_t* lanes = q.values + 4 * lane;
    const std::size_t token_bytes = 4 * t.groups;
    for (std::size_t p = 0; p < t.planes; ++p) {
        const std::uint8_t* bytes = t.bytes + p * t.plane_stride + first * token_bytes;
        for (std::size_t g = 0; g < t.groups; ++g, lanes += 4 * q.width) {
            const typename L::Query query = L::query(lanes);
#pragma GCC unroll 8
            for (int r = 0; r < kRows; ++r) sums[r] = L::dot(sums[r], L::token(bytes + r * token_bytes + 4 * g), query);
        }
    }
    const typename L::Floats steps = L::load(q.steps + lane);
#pragma GCC unroll 8
    for (int r = 0; r < kRows; ++r) {
        typename L::Floats value = L::mul(steps, L::floats(sums[r]));
        if (scales.homes != nullptr)
            value = L::add(L::load(scales.bases + scales.homes[first + r] * q.width + lane), value);
        values[r] = L::mul(value, L::set(scales.scales[first + r]));
    }
}

template <class L, int kRows, class Take>
inline void each_value(const ByteLanes& q, std::size_t lane, const TokenBytes& t, const TokenScales& scales,
                       const Take& take) {
    std::size_t i = 0;
    typename L::Floats values[kRows];
    for (; i + kRows <= t.n; i += kRows) {
        token_values<L, kRows>(q, lane, t, scales, i, values);
#pragma GCC unroll 8
        for (int r = 0; r < kRows; ++r) take(i + r, values[r]);
    }
    for (; i < t.n; ++i) {
        token_values<L, 1>(q, lane, t, scales, i, values);
        take(i, values[0]);
    }
}

template <class L, int kRows>
inline void best_of_lanes(const ByteLanes& q, std::size_t lane, const TokenBytes& t, const TokenScales& scales,
                          float* best) {
    typename L::Floats top = L::load(best + lane);
    each_value<L, kRows>(q, lane, t, scales, [&](std::size_t, typename L::Floats value) { top = L::max(value, top); });
    L::store(best + lane, top);
}

template <class L, int kRows>
inline void values_of_lanes(const ByteLanes& q, std::size_t lane, const TokenBytes& t, const TokenScales& scales,
                            float* out) {
    each_value<L, kRows>(q, lane, t, scales,
                         [&](std::size_t i, typename L::Floats value) { L::store(out + i * q.width + lane, value); });
}

inline void best_bytes(const ByteLanes& q, const TokenBytes& t, const TokenScales& scales, float* best) {
    std::size_t lane = 0;
#if defined(__AVX512VNNI__)
    for (; lane + 16 <= q.width; lane += 16) best_of_lanes<ByteLanes16, 8>(q, lane, t, scales, best);
#endif
    for (; lane < q.width; lane += 8) best_of_lanes<ByteLanes8, 4>(q, lane, t, scales, best);
}

inline void values(const ByteLanes& q, const TokenBytes& t, const TokenScales& scales, float* out) {
    std::size_t lane = 0;
#if defined(__AVX512VNNI__)
    for (; lane + 16 <= q.width; lane += 16) values_of_lanes<ByteLanes16, 8>(q, lane, t, scales, out);
#endif
    for (; lane < q.width; lane += 8) values_of_lanes<ByteLanes8, 4>(q, lane, t, scales, out);
}

template <class L, int kRows>
inline void table_of_lanes(const ByteLanes& q, std::size_t lane, const TokenBytes& t, const TokenScales& scales,
                           float unit, std::size_t columns, std::uint8_t* out) {
    const typename L::Floats units = L::set(unit);
    each_value<L, kRows>(q, lane, t, scales, [&](std::size_t i, typename L::Floats value) {
        L::store_bytes(out + i * columns + lane, value, units);
    });
}

inline void table(const ByteLanes& q, const TokenBytes& t, const TokenScales& scales, float unit, std::size_t columns,
                  std::uint8_t* out, std::uint8_t* top) {
    std::size_t lane = 0;
#if defined(__AVX512VNNI__)
    for (; lane + 16 <= q.width; lane += 16) table_of_lanes<ByteLanes16, 8>(q, lane, t, scales, unit, columns, out);
#endif
    for (; lane < q.width; lane += 8) table_of_lanes<ByteLanes8, 4>(q, lane, t, scales, unit, columns, out);
    if (q.width < columns)
        for (std::size_t i = 0; i < t.n; ++i)
            for (std::size_t l = 0; l < kTokenLanes; ++l) out[i * columns + q.width + l] = 0;
    for (std::size_t c = 0; c < columns; c += kTableLanes) {
        Columns16::Reg most = Columns16::zero();
        for (std::size_t i = 0; i < t.n; ++i) most = Columns16::max(most, Columns16::load(out + i * columns + c));
        Columns16::store(top + c, most);
    }
}

template <class L, int kRows>
inline void nearest_of_lanes(const ByteLanes& q, std::size_t lane, const TokenBytes& t, const TokenScales& scales,
                             std::int32_t first, float* best, std::int32_t* numbers) {
    typename L::Floats top = L::load(best + lane);
    typename L::Sum held = L::load_numbers(numbers + lane);
    each_value<L, kRows>(q, lane, t, scales, [&](std::size_t i, typename L::Floats value) {
        L::keep(value, first + static_cast<std::int32_t>(i), top, held);
    });
    L::store(best + lane, top);
    L::store_numbers(numbers + lane, held);
}

inline void nearest(const ByteLanes& q, const TokenBytes& t, const TokenScales& scales, std::int32_t first, float* best,
                    std::int32_t* numbers) {
    std::size_t lane = 0;
#if defined(__AVX512VNNI__)
    for (; lane + 16 <= q.width; lane += 16) nearest_of_lanes<ByteLanes16, 8>(q, lane, t, scales, first, best, numbers);
#endif
    for (; lane < q.width; lane += 8) nearest_of_lanes<ByteLanes8, 4>(q, lane, t, scales, first, best, numbers);
}

inline void spread(const std::uint8_t* codes, std::size_t n, int bits, const std::uint8_t* levels, std::uint8_t* out,
                   std::size_t stride) {
    const int planes = 8 / bits;
    const int mask = (1 << bits) - 1;
    for (int p = 0; p < planes; ++p, out += stride) {
        std::size_t i = 0;
#if defined(__AVX2__)
        const __m256i table = _mm256_broadcastsi128_si256(_mm_loadu_si128(reinterpret_cast<const __m128i*>(levels)));
        const __m128i shift = _mm_cvtsi32_si128(p * bits);
        for (; i + 32 <= n; i += 32) {
            const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + i));
            const __m256i field =
                _mm256_and_si256(_mm256_srl_epi16(bytes, shift), _mm256_set1_epi8(static_cast<char>(mask)));
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + i), _mm256_shuffle_epi8(table, field));
        }
#endif
        for (; i < n; ++i) out[i] = levels[codes[i] >> (p * bits) & mask];
    }
}

}  // namespace
}  // namespace vecstore
