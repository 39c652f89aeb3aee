// Sums over blocks with AVX2; records are read bit by bit, since there is nothing that spreads bytes by a mask.
#include <immintrin.h>

#include "seismic_find.h"

namespace vecstore {
namespace {

constexpr std::size_t kStep = 16;

// Where sums >= least: all ones.
inline __m256i at_least(const std::uint16_t* sums, __m256i least) {
    const __m256i sum = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(sums));
    return _mm256_cmpeq_epi16(_mm256_max_epu16(sum, least), sum);
}

void add_codes(const std::uint8_t* codes, std::size_t count, std::uint16_t weight, std::uint16_t* sums) {
    const __m256i by = _mm256_set1_epi16(static_cast<short>(weight)), one = _mm256_set1_epi16(1);
    for (std::size_t i = 0; i < count; i += kStep) {
        const __m256i code = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + i)));
        const __m256i product = _mm256_mulhi_epu16(_mm256_slli_epi16(code, 8), by);
        auto* place = reinterpret_cast<__m256i*>(sums + i);
        const __m256i sum = _mm256_add_epi16(_mm256_loadu_si256(place), product);
        _mm256_storeu_si256(place, _mm256_add_epi16(sum, _mm256_min_epu16(code, one)));
    }
}

void add_records(const BlockRead* reads, std::size_t count, std::uint16_t weight) { add_each(reads, count, weight); }

std::size_t count_from(const std::uint16_t* sums, std::size_t count, std::uint16_t least) {
    const __m256i bound = _mm256_set1_epi16(static_cast<short>(least));
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; i += kStep)
        found += static_cast<std::size_t>(
            __builtin_popcount(static_cast<unsigned>(_mm256_movemask_epi8(at_least(sums + i, bound)))));
    return found / 2;
}

std::size_t collect(const std::uint16_t* sums, std::size_t count, std::uint16_t least, std::uint32_t* places) {
    const __m256i bound = _mm256_set1_epi16(static_cast<short>(least));
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; i += kStep) {
        auto bits = static_cast<unsigned>(_mm256_movemask_epi8(at_least(sums + i, bound))) & 0x55555555u;
        for (; bits != 0; bits &= bits - 1)
            places[found++] = static_cast<std::uint32_t>(i + static_cast<std::size_t>(__builtin_ctz(bits)) / 2);
    }
    return found;
}

}  // namespace

SeismicOps avx2_seismic_ops() { return {"avx2", find_parts, add_codes, add_records, count_from, collect}; }

}  // namespace vecstore
