// Sums over blocks with AVX-512 BW and VBMI2: a record's codes are spread over the block's 64 rows in one step.
#include <immintrin.h>

#include <cstring>

#include "seismic_find.h"

namespace vecstore {
namespace {

constexpr std::size_t kStep = 32;

inline __m512i wide(__m256i codes) { return _mm512_slli_epi16(_mm512_cvtepu8_epi16(codes), 8); }

// sums += products, and 1 more where the mask says that there is a code.
inline void add(std::uint16_t* sums, __m512i products, __mmask32 coded) {
    const __m512i sum = _mm512_add_epi16(_mm512_loadu_si512(sums), products);
    _mm512_storeu_si512(sums, _mm512_mask_add_epi16(sum, coded, sum, _mm512_set1_epi16(1)));
}

void add_codes(const std::uint8_t* codes, std::size_t count, std::uint16_t weight, std::uint16_t* sums) {
    const __m512i by = _mm512_set1_epi16(static_cast<short>(weight));
    for (std::size_t i = 0; i < count; i += kStep) {
        const __m512i code = wide(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(codes + i)));
        add(sums + i, _mm512_mulhi_epu16(code, by), _mm512_test_epi16_mask(code, code));
    }
}

void add_records(const BlockRead* reads, std::size_t count, std::uint16_t weight) {
    constexpr std::uint64_t kEachByte = 0x0101010101010101;
    const __m512i by = _mm512_set1_epi16(static_cast<short>(weight));
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint8_t* record = reads[i].record;
        std::uint64_t rows;
        std::memcpy(&rows, record + 1, sizeof rows);
        const std::uint64_t mask = _pdep_u64(rows, _pdep_u64(*record, kEachByte) * 255);
        const __m512i held = _mm512_loadu_si512(record + 1 + __builtin_popcount(*record));
        const __m512i codes = _mm512_maskz_expand_epi8(mask, held);
        const __m512i low = wide(_mm512_castsi512_si256(codes)), high = wide(_mm512_extracti64x4_epi64(codes, 1));
        add(reads[i].sums, _mm512_mulhi_epu16(low, by), static_cast<__mmask32>(mask));
        add(reads[i].sums + kStep, _mm512_mulhi_epu16(high, by), static_cast<__mmask32>(mask >> kStep));
    }
}

inline std::uint32_t at_least(const std::uint16_t* sums, __m512i least) {
    return _mm512_cmpge_epu16_mask(_mm512_loadu_si512(sums), least);
}

std::size_t count_from(const std::uint16_t* sums, std::size_t count, std::uint16_t least) {
    const __m512i bound = _mm512_set1_epi16(static_cast<short>(least));
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; i += kStep)
        found += static_cast<std::size_t>(__builtin_popcount(at_least(sums + i, bound)));
    return found;
}

std::size_t collect(const std::uint16_t* sums, std::size_t count, std::uint16_t least, std::uint32_t* places) {
    const __m512i bound = _mm512_set1_epi16(static_cast<short>(least));
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; i += kStep)
        for (std::uint32_t bits = at_least(sums + i, bound); bits != 0; bits &= bits - 1)
            places[found++] = static_cast<std::uint32_t>(i + static_cast<std::size_t>(__builtin_ctz(bits)));
    return found;
}

}  // namespace

SeismicOps vbmi2_seismic_ops() { return {"avx512", find_parts, add_codes, add_records, count_from, collect}; }

}  // namespace vecstore
