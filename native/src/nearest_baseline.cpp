#include "elements.h"
#if defined(__aarch64__)
#include "lanes_neon.h"
#else
#include "lanes_scalar.h"
#endif

#include "nearest_kernels.h"

namespace vecstore {
#if defined(__aarch64__)
NearestOps baseline_nearest_ops() { return {products<6>}; }  // 24 accumulators of the 32 registers
#else
NearestOps baseline_nearest_ops() { return {products<2>}; }  // 8 accumulators of the 16 registers
#endif
}  // namespace vecstore
