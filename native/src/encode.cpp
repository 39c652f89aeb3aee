#include "encode.h"

#include <cstring>
#include <string_view>

#include "dispatch.h"

namespace vecstore {

const EncodeOps& current_encode_ops() {
    static const EncodeOps baseline = baseline_encode_ops();
#if defined(__x86_64__)
    // Only names of instruction sets that this CPU has come from current_ops, and only their tables are asked for: even
    // to list functions may take a wide register.
    const std::string_view isa = current_ops().isa;
    if (isa == "avx512") {
        static const EncodeOps avx512 = avx512_encode_ops();
        return avx512;
    }
    if (isa == "avx2") {
        static const EncodeOps avx2 = avx2_encode_ops();
        return avx2;
    }
#endif
    return baseline;
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
