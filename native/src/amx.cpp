#include "amx.h"

#if defined(__x86_64__) && defined(__linux__)
#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdint>

namespace vecstore {
namespace {

// Leaf 7 tells of the CPU's tiles; compilers' own tests know them from different versions on.
bool cpu_has_tiles_of_bytes() {
    unsigned a = 0, b = 0, c = 0, d = 0;
    constexpr unsigned kTile = 1u << 24, kInt8 = 1u << 25;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (d & kTile) != 0 && (d & kInt8) != 0;
}

// Linux saves the tiles of those processes that asked (Documentation/arch/x86/xstate.rst).
bool system_lends_tiles() {
    constexpr long kRequestPermission = 0x1023, kTileData = 18;
    return syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
}

}  // namespace

bool has_amx() {
    static const bool has = cpu_has_tiles_of_bytes() && system_lends_tiles();
    return has;
}

}  // namespace vecstore
#else
namespace vecstore {

bool has_amx() { return false; }

}  // namespace vecstore
#endif
