// Bitmaps of allowed rows. Not for files with instruction-set flags of their own: it has external linkage.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vecstore {

// A null bitmap allows all.
inline bool is_allowed(const std::uint64_t* allowed, std::size_t row) {
    return allowed == nullptr || (allowed[row / 64] >> (row % 64) & 1) != 0;
}

}  // namespace vecstore
