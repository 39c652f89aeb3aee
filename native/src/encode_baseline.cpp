#include "encode_kernels.h"

namespace vecstore {
EncodeOps baseline_encode_ops() { return encode_ops("baseline"); }
}  // namespace vecstore
