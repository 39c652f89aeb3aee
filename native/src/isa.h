// What the instruction sets' files offer to the dispatcher. Call one only after the CPU was seen to support it.
#pragma once

#include "vecstore/ops.h"

namespace vecstore {

Ops scalar_ops();
Ops avx2_ops();
Ops avx512_ops();
Ops neon_ops();
HammingFn vpopcnt_hamming();
CodeDots vnni_code_dots();
TableEstimatesFn vbmi_table_estimates();
TableEstimatesFn amx_table_estimates();
CodeDots amx_code_dots();

}  // namespace vecstore
