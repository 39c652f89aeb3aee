// Blocks of 64 similar rows with the codes of their terms: what vecstore/kernels/seismic.py describes, and what a
// search derives from it once.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "seismic_ops.h"

namespace vecstore {

struct SeismicArrays {
    std::size_t n, nterms, nsegments, ndense, nothers, nbytes;
    const std::uint32_t* rows;           // (n,) the segment's row at each place
    const std::uint32_t* terms;          // (nterms,) ascending
    const float* scales;                 // (nterms,)
    const std::int64_t* term_parts;      // (nterms + 1,) first part of each term
    const std::uint64_t* block_bits;     // (ndense, words) which blocks the terms have that many hold
    const std::uint16_t* part_blocks16;  // (nothers,) the block of each part of the other terms
    const std::uint32_t* part_blocks32;  // instead, where there are too many blocks
    const std::uint8_t* part_codes;      // (nsegments,)
    PartRows parts;                      // their records are (nbytes,)

    // Calls `visit` with the blocks of the parts of other terms, in the type that they have.
    template <class Visit>
    auto with_blocks(Visit&& visit) const {
        return part_blocks16 != nullptr ? visit(part_blocks16) : visit(part_blocks32);
    }
};

class SeismicIndex {
 public:
    static constexpr std::uint32_t kNone = 0xffffffffu;

    // Throws std::invalid_argument for arrays that do not fit together.
    explicit SeismicIndex(const SeismicArrays& arrays);

    const SeismicArrays& arrays() const { return a_; }
    std::size_t blocks() const { return blocks_; }
    std::size_t padded_blocks() const { return words_ * 64; }

    // The place of an index among the terms, or kNone.
    std::uint32_t term(std::uint32_t index) const;

    // A dense term, which many blocks hold, has its parts' codes in a row of all blocks, and finds the part of a block
    // by counting bits. Null for others.
    const std::uint8_t* table(std::size_t term) const {
        return tables_of_[term] == kNone ? nullptr : tables_.data() + tables_of_[term] * padded_blocks();
    }
    const PartWord* ranks(std::size_t term) const { return ranks_.data() + tables_of_[term] * words_; }
    // Where the blocks of a term's parts begin that is not dense.
    std::size_t first_block(std::size_t term) const { return first_blocks_[term]; }

 private:
    void check() const;
    void place_terms();
    void fill_tables();
    void check_parts() const;
    std::size_t check_part(std::size_t part, std::size_t block, std::size_t at) const;

    SeismicArrays a_;
    std::size_t blocks_, words_;
    std::vector<std::uint32_t> direct_;     // by index, where the largest is small
    std::vector<std::uint32_t> tables_of_;  // by term
    std::vector<std::size_t> first_blocks_;
    std::vector<std::uint8_t> tables_;
    std::vector<PartWord> ranks_;
};

}  // namespace vecstore
