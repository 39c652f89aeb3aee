#include "elements.h"
#include "lanes_avx2.h"

#include "nearest_kernels.h"

namespace vecstore {
NearestOps avx2_nearest_ops() { return {products<6>}; }  // 12 accumulators of the 16 registers
}  // namespace vecstore
