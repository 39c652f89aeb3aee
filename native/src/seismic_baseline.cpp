
#include "ops_choice.h"
#include "seismic_find.h"

namespace vecstore {
namespace {

inline std::uint16_t counted(std::uint32_t code, std::uint32_t weight) {
    return static_cast<std::uint16_t>(((code * weight) >> 8) + 1);
}

void add_codes(const std::uint8_t* codes, std::size_t count, std::uint16_t weight, std::uint16_t* sums) {
    for (std::size_t i = 0; i < count; ++i)
        sums[i] = static_cast<std::uint16_t>(sums[i] + (codes[i] != 0 ? counted(codes[i], weight) : 0));
}

void add_records(const BlockRead* reads, std::size_t count, std::uint16_t weight) { add_each(reads, count, weight); }

std::size_t count_from(const std::uint16_t* sums, std::size_t count, std::uint16_t least) {
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; ++i) found += sums[i] >= least;
    return found;
}

std::size_t collect(const std::uint16_t* sums, std::size_t count, std::uint16_t least, std::uint32_t* places) {
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; ++i) {
        places[found] = static_cast<std::uint32_t>(i);
        found += sums[i] >= least;
    }
    return found;
}

}  // namespace

SeismicOps scalar_seismic_ops() { return {"scalar", find_parts, add_codes, add_records, count_from, collect}; }

const SeismicOps& current_seismic_ops() {
#if defined(__x86_64__)
    static const bool has_vbmi2 = __builtin_cpu_supports("avx512vbmi2") && __builtin_cpu_supports("bmi2");
    if (isa_is("avx512") && has_vbmi2) return ops_of<vbmi2_seismic_ops>();
    if (isa_is("avx512") || isa_is("avx2")) return ops_of<avx2_seismic_ops>();
#endif
    return ops_of<scalar_seismic_ops>();
}

}  // namespace vecstore
