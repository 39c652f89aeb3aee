#include "maxsim_kernels.h"

namespace vecstore {
MaxSimOps vnni_maxsim_ops() { return maxsim_ops("avx512"); }
}  // namespace vecstore
