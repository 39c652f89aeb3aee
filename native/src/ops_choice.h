// The table of functions of the instruction set that is in use. For files that are compiled for every CPU alone.
#pragma once

#include <string_view>

#include "dispatch.h"

namespace vecstore {

// What `Make` lists. It is called only where its table is used: even to list functions may take a wide register, which
// another CPU lacks.
template <auto Make>
const auto& ops_of() {
    static const auto ops = Make();
    return ops;
}

// Only names of instruction sets that this CPU has come from current_ops. AMX comes beside AVX-512.
inline bool isa_is(std::string_view isa) {
    const std::string_view current = current_ops().isa;
    return isa == current || (isa == "avx512" && current == "amx");
}

}  // namespace vecstore
