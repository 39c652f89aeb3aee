// Byte products with VNNI: unsigned codes (value + 128) times signed queries, summed by fours into 32 bits. A sum
// starts at -128 * (the query's own sum), which takes the offset out again.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

namespace vecstore {
namespace {

struct CodeLanes {
    using Codes = __m512i;
    using Sum = __m512i;
    using Query = __m512i;
    using Levels = __m512i;

    static constexpr int kRows = 16;    // of one register
    static constexpr int kTile = 8;     // queries of one pass
    static constexpr bool kPay = true;  // products of bytes, beside those of floats
    static constexpr int parts(int) { return 2; }

    static Levels levels(const std::int8_t* values) {
        const __m128i sixteen = _mm_loadu_si128(reinterpret_cast<const __m128i*>(values));
        return _mm512_xor_si512(_mm512_broadcast_i32x4(sixteen), _mm512_set1_epi8(-128));
    }
    static Codes bytes(const std::uint8_t* p) { return _mm512_loadu_si512(p); }
    static void nibbles(const std::uint8_t* p, Levels levels, Codes& low, Codes& high) {
        const __m512i pairs = _mm512_loadu_si512(p);
        const __m512i nibble = _mm512_set1_epi8(15);
        low = _mm512_shuffle_epi8(levels, _mm512_and_si512(pairs, nibble));
        high = _mm512_shuffle_epi8(levels, _mm512_and_si512(_mm512_srli_epi16(pairs, 4), nibble));
    }
    static Query query(const std::int8_t* four) {
        std::int32_t dword;
        std::memcpy(&dword, four, 4);
        return _mm512_set1_epi32(dword);
    }
    static Sum start(std::int32_t query_sum) { return _mm512_set1_epi32(-128 * query_sum); }
    static Sum zero() { return _mm512_setzero_si512(); }
    static Sum dot(Sum sum, Codes x, Query q) { return _mm512_dpbusd_epi32(sum, x, q); }
    static Sum add(Sum a, Sum b) { return _mm512_add_epi32(a, b); }
    static void store(float* out, Sum sum) { _mm512_storeu_ps(out, _mm512_cvtepi32_ps(sum)); }
};

}  // namespace
}  // namespace vecstore
