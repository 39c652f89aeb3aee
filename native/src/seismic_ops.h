// The leaf routines of a search through blocks of similar rows, for each instruction set.
//
// Everything is a sum of small integers: a code c of 1..255 under a weight w of 0..65535 counts (c * w) / 256, rounded
// down, and 1 more; a code of 0 is none and counts nothing. Weights are chosen so that no sum leaves 16 bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vecstore {

inline constexpr std::size_t kBlockRows = 64;
inline constexpr std::size_t kRecordPadding = 64;   // bytes that a leaf may read past a record
inline constexpr std::size_t kCollectPadding = 64;  // places that a leaf may write past the last

// One term in more than one row of a block: its record, and the sums of the block's rows.
struct BlockRead {
    const std::uint8_t* record;
    std::uint16_t* sums;  // (kBlockRows,)
};

// One term in one row: where its sum is, and the code.
struct RowRead {
    std::uint16_t at, code;
};

// What is to be added for one term. Both have room for one more than there are.
struct Reads {
    BlockRead* blocks;
    RowRead* rows;
    std::size_t nblocks, nrows;
};

// A term that many blocks hold finds the part of a block by counting bits.
struct PartWord {
    std::uint64_t bits;   // which of 64 blocks hold the term
    std::uint32_t parts;  // of the term in blocks before these
};

// The rows of each part, in 16 bits or, from there past its group's first one, a record.
inline constexpr std::size_t kGroupParts = 64;
inline constexpr std::uint32_t kOneRow = 1u << 15;
struct PartRows {
    const std::uint8_t* records;
    const std::int64_t* bases;   // by group
    const std::uint16_t* words;  // by part

    // Adds a part in the block at `slot` to what is read if `held`: without a branch, which would be guessed wrong
    // every other time.
    void add(std::size_t part, std::size_t slot, std::uint16_t* sums, std::uint32_t held, Reads& reads) const {
        const std::uint32_t word = words[part], single = word >> 15;
        const std::uint8_t* record = records + bases[part / kGroupParts] + (word & 0x7fff & (single - 1));
        reads.blocks[reads.nblocks] = {record, sums + slot * kBlockRows};
        reads.rows[reads.nrows] = {static_cast<std::uint16_t>(slot * kBlockRows + (word >> 8 & 63)),
                                   static_cast<std::uint16_t>(word & 255)};
        __builtin_prefetch(record);
        reads.nblocks += held & (single ^ 1);
        reads.nrows += held & single;
    }
};

inline void add_rows(const Reads& reads, std::uint32_t weight, std::uint16_t* sums) {
    for (std::size_t i = 0; i < reads.nrows; ++i) {
        const RowRead& read = reads.rows[i];
        sums[read.at] = static_cast<std::uint16_t>(sums[read.at] + ((read.code * weight) >> 8) + 1);
    }
}

struct SeismicOps {
    const char* isa;
    // Fills `reads` with a term, whose parts are first..last, in those of the blocks that hold it, and asks for its
    // records to be fetched. The sums of blocks[i] are sums + i * kBlockRows, at most 2^16 in all.
    void (*find)(const PartWord* words, const PartRows& parts, std::size_t first, std::size_t last,
                 const std::uint32_t* blocks, std::size_t count, std::uint16_t* sums, Reads& reads);
    // sums[i] += what codes[i] counts; `count` is a multiple of kBlockRows.
    void (*add_codes)(const std::uint8_t* codes, std::size_t count, std::uint16_t weight, std::uint16_t* sums);
    void (*add_records)(const BlockRead* reads, std::size_t count, std::uint16_t weight);
    // How many sums are at least `least`, and the places of those; `count` is a multiple of kBlockRows.
    std::size_t (*count_from)(const std::uint16_t* sums, std::size_t count, std::uint16_t least);
    std::size_t (*collect)(const std::uint16_t* sums, std::size_t count, std::uint16_t least, std::uint32_t* places);
};

SeismicOps scalar_seismic_ops();
SeismicOps avx2_seismic_ops();
SeismicOps vbmi2_seismic_ops();

const SeismicOps& current_seismic_ops();

}  // namespace vecstore
