#include "maxsim_kernels.h"

namespace vecstore {
MaxSimOps avx2_maxsim_ops() { return maxsim_ops("avx2"); }
}  // namespace vecstore
