
#include "ops_choice.h"
#include "posting_kernels.h"

namespace vecstore {

namespace {

std::size_t filter_by_rows(const IndexFilter& filter, const std::uint32_t* indices, std::size_t count,
                           std::uint32_t* places) {
    return filter_one_by_one(filter, indices, 0, count, places, 0);
}

}  // namespace

PostingOps baseline_posting_ops() { return {"baseline", add_list, add_dense, at_least_by_largest, filter_by_rows}; }

const PostingOps& current_posting_ops() {
#if defined(__x86_64__)
    if (isa_is("avx512")) return ops_of<avx512_posting_ops>();
    if (isa_is("avx2")) return ops_of<avx2_posting_ops>();
#endif
    return ops_of<baseline_posting_ops>();
}

}  // namespace vecstore
