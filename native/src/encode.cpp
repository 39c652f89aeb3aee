#include "encode.h"

#include <cstring>

#include "ops_choice.h"

namespace vecstore {

const EncodeOps& current_encode_ops() {
#if defined(__x86_64__)
    if (isa_is("avx512")) return ops_of<avx512_encode_ops>();
    if (isa_is("avx2")) return ops_of<avx2_encode_ops>();
#endif
    return ops_of<baseline_encode_ops>();
}

void gather_bits(const std::uint16_t* codes, std::size_t n, std::size_t dim, const BitField* fields,
                 std::size_t nfields, std::size_t nbytes, std::uint8_t* out) {
    for_row_pieces(n, 2 * nfields, [&](std::size_t begin, std::size_t end) {
        for (std::size_t i = begin; i < end; ++i) {
            const std::uint16_t* code = codes + i * dim;
            std::uint8_t* bytes = out + i * nbytes;
            std::memset(bytes, 0, nbytes);
            for (std::size_t f = 0; f < nfields; ++f) {
                const BitField& field = fields[f];
                bytes[field.byte] |=
                    static_cast<std::uint8_t>((code[field.dim] >> field.shift & field.mask) << field.position);
            }
        }
    });
}

}  // namespace vecstore
