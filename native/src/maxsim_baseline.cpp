#include "maxsim_kernels.h"

namespace vecstore {
MaxSimOps baseline_maxsim_ops() { return maxsim_ops("baseline"); }
}  // namespace vecstore
