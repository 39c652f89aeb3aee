// Python bindings of multi-index hashing.
#include "mih_search.h"
#include "row_bindings.h"

using namespace vecstore;

namespace {

void mih(Input queries, Input rows, Input starts, Input buckets, Input table_rows, std::size_t max_distance,
         std::size_t budget, Input allowed, Output out_rows, Output out_distances, Output out_counters) {
    check("queries", queries, kUInt8, {kAny, kAny});
    const std::size_t nq = queries.shape(0);
    const Rows packed = packed_rows("rows", rows, queries.shape(1), allowed);
    check("starts", starts, kInt32, {kAny});
    if (starts.shape(0) < 2) fail("starts must have at least 2 elements");
    const std::size_t chunks = starts.shape(0) - 1;
    const auto* first = data_of<std::int32_t>(starts);
    std::size_t nbuckets = 0;
    for (std::size_t j = 0; j < chunks; ++j) {
        const std::int32_t bits = first[j + 1] - first[j];
        if (bits < 1 || bits > 24) fail("starts must ascend by 1 to 24 bits");
        nbuckets += (std::size_t{1} << bits) + 1;
    }
    if (first[0] != 0 || static_cast<std::size_t>(first[chunks]) != packed.row_bytes * 8)
        fail("starts must run from 0 to the bits of a row");
    check("buckets", buckets, kUInt32, {nbuckets});
    check("table_rows", table_rows, kUInt32, {chunks, packed.n});
    check("out_counters", out_counters, kInt64, {nq, 3});
    const TopKOutput output = top_k_output(nq, out_rows, out_distances);
    if (output.k == 0 || nq == 0) return;
    const MihTables tables{chunks, first, data_of<std::uint32_t>(buckets), data_of<std::uint32_t>(table_rows)};
    mih_search(data_of<std::uint8_t>(queries), nq, packed, tables, max_distance, budget,
               {output, static_cast<std::int64_t*>(out_counters.data())});
}

}  // namespace

namespace vecstore {

void bind_binary(nb::module_& m) {
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    const auto optional = [](const char* name) { return nb::arg(name).noconvert().none(); };
    m.def("mih_search", &mih, array("queries"), array("rows"), array("starts"), array("buckets"), array("table_rows"),
          nb::arg("max_distance"), nb::arg("budget"), optional("allowed"), array("out_rows"), array("out_distances"),
          array("out_counters"), Release());
}

}  // namespace vecstore
