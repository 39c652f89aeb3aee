// Scans of packed bits by Hamming distance.
#pragma once

#include "scan.h"

namespace vecstore {

// queries is (nq, rows.row_bytes), packed like the rows.
void hamming_scan(const std::uint8_t* queries, std::size_t nq, const Rows& rows, const TopKOutput& output);

}  // namespace vecstore
