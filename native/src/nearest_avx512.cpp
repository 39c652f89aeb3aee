#include "elements.h"
#include "lanes_avx512.h"

#include "nearest_kernels.h"

namespace vecstore {
NearestOps avx512_nearest_ops() { return {products<12>}; }
}  // namespace vecstore
