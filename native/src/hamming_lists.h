// Scans of packed bits in probed lists, by Hamming distance.
#pragma once

#include "scan.h"

namespace vecstore {

// Rows in list order; list i holds places offsets[i] to offsets[i + 1].
struct HammingLists {
    Rows codes;                   // its `allowed` goes by the segment's rows, not by place
    const std::uint32_t* rows;    // the segment's row of each place
    const std::int64_t* offsets;  // (nlist + 1,)
};

// probes is (nq, nprobe), -1 for none; scanned is (nq,).
void hamming_list_scan(const std::uint8_t* queries, std::size_t nq, const HammingLists& lists,
                       const std::int32_t* probes, std::size_t nprobe, const TopKOutput& output, std::int64_t* scanned);

}  // namespace vecstore
