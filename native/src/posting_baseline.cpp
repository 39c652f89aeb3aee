#include <string_view>

#include "dispatch.h"
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
    static const PostingOps baseline = baseline_posting_ops();
#if defined(__x86_64__)
    // Only names of instruction sets that this CPU has come from current_ops, and only their tables are asked for: even
    // to list functions may take a wide register.
    const std::string_view isa = current_ops().isa;
    if (isa == "avx512") {
        static const PostingOps avx512 = avx512_posting_ops();
        return avx512;
    }
    if (isa == "avx2") {
        static const PostingOps avx2 = avx2_posting_ops();
        return avx2;
    }
#endif
    return baseline;
}

}  // namespace vecstore
