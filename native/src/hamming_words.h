// Hamming leaf over 64-bit words, for instruction sets whose popcount is scalar; and the portable read loop.
#pragma once

#include <cstdint>
#include <cstring>

#include "vecstore/ops.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "partial words are assembled little-endian");

namespace vecstore {
namespace {

inline std::uint64_t load_word(const std::uint8_t* p) {
    std::uint64_t word;
    std::memcpy(&word, p, sizeof word);
    return word;
}

// The last nbytes % 8 bytes of a row in the low bytes of a word. Never reads outside the row.
inline std::uint64_t load_partial_word(const std::uint8_t* row, std::size_t nbytes) {
    const std::size_t tail = nbytes % 8;
    if (nbytes >= 8) return load_word(row + nbytes - 8) >> (8 * (8 - tail));
    std::uint64_t word = 0;
    for (std::size_t i = 0; i < tail; ++i) word |= std::uint64_t{row[i]} << (8 * i);
    return word;
}

// Differing bits of kRows rows.
template <int kRows>
inline void hamming_tile(const std::uint8_t* query, std::size_t nbytes, const std::uint8_t* const (&row)[kRows],
                         float* out) {
    std::uint64_t differing[kRows] = {};
    const std::size_t whole = nbytes / 8 * 8;
    for (std::size_t b = 0; b < whole; b += 8) {
        const std::uint64_t word = load_word(query + b);
#pragma GCC unroll 4
        for (int r = 0; r < kRows; ++r) differing[r] += __builtin_popcountll(word ^ load_word(row[r] + b));
    }
    if (whole != nbytes) {
        const std::uint64_t word = load_word(query + whole);
        for (int r = 0; r < kRows; ++r) differing[r] += __builtin_popcountll(word ^ load_partial_word(row[r], nbytes));
    }
    for (int r = 0; r < kRows; ++r) out[r] = static_cast<float>(static_cast<std::int64_t>(differing[r]));
}

// Calls visit(i, row) with the addresses of rows i..i+kRows-1, i stepping by kRows. Places past the block's end repeat
// its last row. Rows in sequence have a loop of their own: for narrow rows the addresses are a good part of the work.
template <int kRows, class Visit>
inline void for_each_tile(const RowBlock& rows, const Visit& visit) {
    const std::uint8_t* row[kRows];
    std::size_t i = 0;
    if (rows.offsets == nullptr) {
        for (; i + kRows <= rows.count; i += kRows) {
#pragma GCC unroll 8
            for (int r = 0; r < kRows; ++r) row[r] = rows.base + (i + r) * rows.stride;
            visit(i, row);
        }
    }
    for (; i < rows.count; i += kRows) {
        for (int r = 0; r < kRows; ++r) {
            const std::size_t k = i + r < rows.count ? i + r : rows.count - 1;
            row[r] = rows.base + (rows.offsets ? static_cast<std::size_t>(rows.offsets[k]) : k) * rows.stride;
        }
        visit(i, row);
    }
}

// Rows in sequence of kWords whole words: all of a query stays in registers, and no loop is left in a row.
template <int kWords>
void hamming_of_words(const std::uint8_t* queries, std::size_t nq, const RowBlock& rows, float* out,
                      std::size_t out_stride) {
    for (std::size_t q = 0; q < nq; ++q) {
        std::uint64_t query[kWords];
        for (int w = 0; w < kWords; ++w) query[w] = load_word(queries + q * hamming_query_stride(kWords * 8) + 8 * w);
        const std::uint8_t* row = rows.base;
        for (std::size_t i = 0; i < rows.count; ++i, row += kWords * 8) {
            std::uint64_t differing = 0;
#pragma GCC unroll 8
            for (int w = 0; w < kWords; ++w) differing += __builtin_popcountll(query[w] ^ load_word(row + 8 * w));
            out[q * out_stride + i] = static_cast<float>(static_cast<std::int32_t>(differing));
        }
    }
}

// False where rows are scattered or not of 1 to 8 whole words. Where popcount is an instruction, nothing is faster
// there on AVX2: the vectors of short rows are cut badly and their sums cost as much as their counts.
[[maybe_unused]] bool hamming_few_words(const std::uint8_t* queries, std::size_t nq, std::size_t nbytes,
                                        const RowBlock& rows, float* out, std::size_t out_stride) {
    if (rows.offsets != nullptr || rows.stride != nbytes || nbytes % 8 != 0) return false;
    using OfWords = void (*)(const std::uint8_t*, std::size_t, const RowBlock&, float*, std::size_t);
    constexpr OfWords kOfWords[] = {hamming_of_words<1>, hamming_of_words<2>, hamming_of_words<3>, hamming_of_words<4>,
                                    hamming_of_words<5>, hamming_of_words<6>, hamming_of_words<7>, hamming_of_words<8>};
    if (nbytes < 8 || nbytes > 64) return false;
    kOfWords[nbytes / 8 - 1](queries, nq, rows, out, out_stride);
    return true;
}

[[maybe_unused]] void hamming_by_words(const std::uint8_t* queries, std::size_t nq, std::size_t nbytes,
                                       const RowBlock& rows, float* out, std::size_t out_stride) {
    for_each_tile<4>(rows, [&](std::size_t i, const auto& row) {
        for (std::size_t q = 0; q < nq; ++q)
            hamming_tile(queries + q * hamming_query_stride(nbytes), nbytes, row, out + q * out_stride + i);
    });
}

[[maybe_unused]] std::uint64_t read_by_words(const std::uint8_t* data, std::size_t nbytes) {
    std::uint64_t sum[8] = {};
    std::size_t i = 0;
    for (; i + 64 <= nbytes; i += 64)
        for (int w = 0; w < 8; ++w) sum[w] += load_word(data + i + 8 * w);
    for (; i < nbytes; ++i) sum[0] += data[i];
    return sum[0] + sum[1] + sum[2] + sum[3] + sum[4] + sum[5] + sum[6] + sum[7];
}

}  // namespace
}  // namespace vecstore
