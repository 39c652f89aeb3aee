// Table look-ups with AVX-512 VBMI and VNNI.
#include "isa.h"

#include "elements.h"
#include "lanes_avx512.h"
#include "table_sums_vbmi.h"

#include "table_kernels.h"

namespace vecstore {

TableEstimatesFn vbmi_table_estimates() { return table_estimates; }

}  // namespace vecstore
