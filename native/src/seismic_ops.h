// The leaf routines of a search through blocks of similar rows, for each instruction set.
//
// Everything is a sum of small integers: a code c of 1..255 under a weight w of 0..65535 counts (c * w) / 256, rounded
// down, and 1 more; a code of 0 is none and counts nothing. Weights are chosen so that no sum leaves 16 bits.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vecstore {

inline constexpr std::size_t kBlockRows = 64;
inline constexpr std::size_t kMaskBytes = 8;        // a record's first bytes: which rows of the block it has codes for
inline constexpr std::size_t kRecordPadding = 64;   // bytes that a leaf may read past a record
inline constexpr std::size_t kCollectPadding = 64;  // places that a leaf may write past the last

// One term in one block: its record, a mask and a code for each bit set, and the sums of the block's rows.
struct BlockRead {
    const std::uint8_t* record;
    std::uint16_t* sums;  // (kBlockRows,)
};

// A term that many blocks hold finds the part of a block by counting bits.
struct PartWord {
    std::uint64_t bits;   // which of 64 blocks hold the term
    std::uint32_t parts;  // of the term in blocks before these
};

// Where each part's record begins: its group's first one, and from there.
inline constexpr std::size_t kGroupParts = 64;
struct RecordStarts {
    const std::uint8_t* records;
    const std::int64_t* bases;    // by group
    const std::uint16_t* within;  // by part

    const std::uint8_t* of(std::size_t part) const { return records + bases[part / kGroupParts] + within[part]; }
};

struct SeismicOps {
    const char* isa;
    // Fills `reads` with the records of a term, whose parts are first..last, in those of the blocks that hold it, asks
    // for them to be fetched, and returns how many. The sums of blocks[i] are sums + i * kBlockRows; `reads` has room
    // for `count` and one more.
    std::size_t (*find)(const PartWord* words, const RecordStarts& starts, std::size_t first, std::size_t last,
                        const std::uint32_t* blocks, std::size_t count, std::uint16_t* sums, BlockRead* reads);
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
