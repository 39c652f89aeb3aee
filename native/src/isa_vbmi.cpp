// Table look-ups with AVX-512 VBMI and VNNI.
#include "isa.h"

#include "elements.h"
#include "lanes_avx512.h"
#include "table_sums_vbmi.h"

namespace vecstore {
namespace {

template <bool kLower, class Found>
inline void near_blocks(const TableRun& run, const TableAsk* asks, std::size_t nq, const Found& found) {
    looked_up_near_blocks<kLower>(run, asks, nq, found);
}

}  // namespace
}  // namespace vecstore

#include "table_kernels.h"

namespace vecstore {

TableEstimatesFn vbmi_table_estimates() { return table_estimates; }

}  // namespace vecstore
