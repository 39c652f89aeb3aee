// Encoding of rows into grid codes: threads over rows around the leaf routines of encode_ops.h.
#pragma once

#include <algorithm>

#include "encode_ops.h"
#include "thread_pool.h"

namespace vecstore {

// The routines that match the instruction set in use.
const EncodeOps& current_encode_ops();

// Calls body(begin, end) for pieces that cover rows 0..n-1; a row takes about `work` operations.
template <class Body>
void for_row_pieces(std::size_t n, std::size_t work, const Body& body) {
    constexpr std::size_t kPieceWork = 1 << 20;  // a fraction of a millisecond: waking a thread pays
    const std::size_t piece = std::max<std::size_t>(4, kPieceWork / std::max<std::size_t>(1, work) / 4 * 4);
    const std::size_t pieces = (n + piece - 1) / piece;
    parallel_for(pieces, std::min(pieces, threads()),
                 [&](std::size_t, std::size_t task) { body(task * piece, std::min(n, (task + 1) * piece)); });
}

// out (n, nbytes) from codes (n, dim): the sum of a row's fields, in any order.
void gather_bits(const std::uint16_t* codes, std::size_t n, std::size_t dim, const BitField* fields,
                 std::size_t nfields, std::size_t nbytes, std::uint8_t* out);

}  // namespace vecstore
