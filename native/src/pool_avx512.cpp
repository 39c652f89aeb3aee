#include "pool_kernels.h"

namespace vecstore {
PoolOps avx512_pool_ops() { return pool_ops("avx512"); }
}  // namespace vecstore
