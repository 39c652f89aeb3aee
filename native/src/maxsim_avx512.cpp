#include "maxsim_kernels.h"

namespace vecstore {
MaxSimOps avx512_maxsim_ops() { return maxsim_ops("avx512"); }
}  // namespace vecstore
