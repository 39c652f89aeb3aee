// Rows read from a file where they stand, for columns that are too large to keep mapped.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vecstore {

// Row numbers[i], of `row_bytes` each counted from the file's start, to out + i * row_bytes; -1 leaves its place
// as it is. Returns how many rows were read, or minus the errno of a failure (EIO past the end).
std::int64_t read_rows(int file, const std::int64_t* numbers, std::size_t n, std::size_t row_bytes, std::uint8_t* out);

}  // namespace vecstore
