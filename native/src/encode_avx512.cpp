#include "encode_kernels.h"

namespace vecstore {
EncodeOps avx512_encode_ops() { return encode_ops("avx512"); }
}  // namespace vecstore
