#include "dispatch.h"

#include <atomic>
#include <stdexcept>

#include "amx.h"
#include "isa.h"

namespace vecstore {
namespace {

#if defined(__x86_64__)
Ops with_tiles(Ops ops) {
    ops.isa = "amx";
    ops.table_estimates = amx_table_estimates();
    ops.tables_pass_once = true;
    ops.code_dots = amx_code_dots();
    return ops;
}
#endif

// __builtin_cpu_supports also asks the operating system (XCR0) whether it saves the wide registers.
std::vector<Ops> detect() {
    std::vector<Ops> found;
#if defined(__x86_64__)
    const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                      __builtin_cpu_supports("f16c") && __builtin_cpu_supports("popcnt");
    const bool avx512 = avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
                        __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq");
    if (avx512) {
        Ops ops = avx512_ops();
        if (__builtin_cpu_supports("avx512vpopcntdq") && __builtin_cpu_supports("avx512vbmi"))
            ops.hamming = vpopcnt_hamming();
        ops.code_dots = __builtin_cpu_supports("avx512vnni") ? vnni_code_dots() : avx2_ops().code_dots;
        const bool bytes = __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vnni");
        if (bytes) ops.table_estimates = vbmi_table_estimates();
        if (bytes && __builtin_cpu_supports("gfni") && has_amx()) found.push_back(with_tiles(ops));
        found.push_back(ops);
    }
    if (avx2) found.push_back(avx2_ops());
#elif defined(__aarch64__)
    found.push_back(neon_ops());
#endif
    found.push_back(scalar_ops());
    return found;
}

const std::vector<Ops>& supported() {
    static const std::vector<Ops> ops = detect();
    return ops;
}

std::atomic<const Ops*> chosen{nullptr};

}  // namespace

std::vector<std::string> supported_isas() {
    std::vector<std::string> names;
    for (const Ops& ops : supported()) names.emplace_back(ops.isa);
    return names;
}

const Ops& current_ops() {
    const Ops* ops = chosen.load(std::memory_order_acquire);
    return ops != nullptr ? *ops : supported().front();
}

void use_isa(const std::string& name) {
    std::string names;
    for (const Ops& ops : supported()) {
        if (name == ops.isa) {
            chosen.store(&ops, std::memory_order_release);
            return;
        }
        names += (names.empty() ? "" : ", ") + std::string(ops.isa);
    }
    throw std::invalid_argument("instruction set '" + name + "' is not available here; this machine supports " + names);
}

}  // namespace vecstore
