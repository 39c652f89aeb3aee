// Table look-ups as products of tiles: AMX with int8, beside AVX-512 VBMI and VNNI.
#include "isa.h"

#include "elements.h"
#include "lanes_avx512.h"
#include "table_sums_amx.h"

#include "table_kernels.h"

namespace vecstore {

TableEstimatesFn amx_table_estimates() { return table_estimates; }

}  // namespace vecstore
