#include "pool_kernels.h"

namespace vecstore {
PoolOps baseline_pool_ops() { return pool_ops("baseline"); }
}  // namespace vecstore
