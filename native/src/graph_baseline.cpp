#include <string_view>

#include "dispatch.h"
#include "graph_ops.h"
#include "graph_scalar.h"

namespace vecstore {

GraphOps scalar_graph_ops() { return {"scalar", visit_by_rows, offer_by_rows, estimates_by_rows}; }

const GraphOps& current_graph_ops() {
    static const GraphOps scalar = scalar_graph_ops();
    // Only names of instruction sets that this CPU has come from current_ops, and only their tables are asked for: even
    // to list functions may take a wide register.
    const std::string_view isa = current_ops().isa;
#if defined(__x86_64__)
    static const bool has_vnni = __builtin_cpu_supports("avx512vnni");
    if (isa == "avx512" && has_vnni) {
        static const GraphOps vnni = vnni_graph_ops();
        return vnni;
    }
    if (isa == "avx512" || isa == "avx2") {
        static const GraphOps avx2 = avx2_graph_ops();
        return avx2;
    }
#elif defined(__aarch64__)
    static const GraphOps neon = neon_graph_ops();
    if (isa == "neon") return neon;
#endif
    return scalar;
}

}  // namespace vecstore
