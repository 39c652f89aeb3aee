#include "pool_kernels.h"

namespace vecstore {
PoolOps avx2_pool_ops() { return pool_ops("avx2"); }
}  // namespace vecstore
