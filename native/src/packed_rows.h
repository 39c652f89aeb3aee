// Sparse rows whose indices are stored as gaps between places in a list of terms: vecstore/packed_sparse.py has the
// format. Decoding a row gives places, which ascend as indices do; a query's indices are turned into places once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace vecstore {

inline constexpr std::size_t kUnpackPadding = 16;  // places that a leaf may write past the last one

// The gaps of one row: `count` low bytes, a bit for each from bit `first_bit` of `flags` on, and a high part for each
// bit set. Place i is the sum of the gaps up to i, plus i.
struct RowGaps {
    const std::uint8_t* flags;
    std::size_t first_bit;
    const std::uint8_t* lows;
    const void* highs;  // as wide as the leaf's name says
    std::size_t count;
};

struct UnpackOps {
    void (*high8)(const RowGaps& gaps, std::uint32_t* places);
    void (*high16)(const RowGaps& gaps, std::uint32_t* places);
};

UnpackOps baseline_unpack_ops();
UnpackOps avx2_unpack_ops();
UnpackOps avx512_unpack_ops();

const UnpackOps& current_unpack_ops();

// Arrays that fit together: `check_packed` has said so, once.
struct PackedView {
    const std::uint32_t* terms;  // (nterms,) ascending
    std::size_t nterms;
    const std::uint8_t* flags;
    const std::uint32_t* starts;  // (n + 1,) where each row's high parts begin
    const void* lows;             // low bytes of gaps, or whole places of 2 or 4 bytes
    std::size_t low_bytes;
    const void* highs;
    std::size_t high_bytes;       // 1 or 2
    float step;                   // of values that are bytes
    const std::uint32_t* direct;  // (ndirect,) the place of an index, or nterms; null where indices are large
    std::size_t ndirect;

    // The place of an index among the terms, or nterms.
    std::size_t place_of(std::uint32_t index) const;

    // The places of entries begin..end-1, which are those of `row`: in `room`, of as many and kUnpackPadding, or where
    // they are stored.
    const std::uint32_t* places(std::size_t row, std::size_t begin, std::size_t end, std::uint32_t* room) const;

    void prefetch(std::size_t row, std::size_t begin, std::size_t end) const;
};

// The direct table of these terms, empty where their indices are large.
std::vector<std::uint32_t> direct_places(const std::uint32_t* terms, std::size_t nterms);

// Throws std::invalid_argument unless the high parts of each row are as many as its bits say.
void check_packed(const PackedView& packed, const std::int64_t* offsets, std::size_t n, std::size_t nnz,
                  std::size_t nhighs);

}  // namespace vecstore
