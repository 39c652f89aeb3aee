
#include "ops_choice.h"
#include "graph_ops.h"
#include "graph_scalar.h"

namespace vecstore {

GraphOps scalar_graph_ops() { return {"scalar", visit_by_rows, offer_by_rows, estimates_by_rows}; }

const GraphOps& current_graph_ops() {
#if defined(__x86_64__)
    static const bool has_vnni = __builtin_cpu_supports("avx512vnni");
    if (isa_is("avx512") && has_vnni) return ops_of<vnni_graph_ops>();
    if (isa_is("avx512") || isa_is("avx2")) return ops_of<avx2_graph_ops>();
#elif defined(__aarch64__)
    if (isa_is("neon")) return ops_of<neon_graph_ops>();
#endif
    return ops_of<scalar_graph_ops>();
}

}  // namespace vecstore
