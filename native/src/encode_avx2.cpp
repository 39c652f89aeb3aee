#include "encode_kernels.h"

namespace vecstore {
EncodeOps avx2_encode_ops() { return encode_ops("avx2"); }
}  // namespace vecstore
