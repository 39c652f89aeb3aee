// Products of row codes with AVX-512 VNNI.
#include "isa.h"

#include "row_codes_lanes_vnni.h"

#include "row_codes_kernels.h"

namespace vecstore {

CodeDots vnni_code_dots() { return row_code_dots(); }

}  // namespace vecstore
