// Python bindings of searches over packed bits.
#include "bindings.h"
#include "hamming_lists.h"
#include "mih_search.h"

using namespace vecstore;

namespace {

// Packed rows; `segment_rows` is how many rows the mask speaks of.
Rows packed_rows(const char* name, const Input& rows, std::size_t nbytes, const Input& allowed,
                 std::size_t segment_rows) {
    check(name, rows, kUInt8, {kAny, nbytes});
    if (rows.shape(0) > UINT32_MAX) fail(std::string(name) + " must have fewer than 2^32 rows");
    const std::size_t nwords = segment_rows == kAny ? kAny : words(segment_rows);
    return {data_of<std::uint8_t>(rows), rows.shape(0), nbytes, bitmap_of(allowed, nwords)};
}

TopKOutput places(std::size_t nq, const Output& out_rows, const Output& out_distances) {
    check("out_rows", out_rows, kInt64, {nq, kAny});
    check("out_distances", out_distances, kFloat32, {nq, out_rows.shape(1)});
    return {out_rows.shape(1), static_cast<std::int64_t*>(out_rows.data()), static_cast<float*>(out_distances.data())};
}

void list_scan(Input queries, Input codes, Input rows, Input offsets, Input probes, Input allowed, Output out_rows,
               Output out_distances, Output out_scanned) {
    check("queries", queries, kUInt8, {kAny, kAny});
    const std::size_t nq = queries.shape(0);
    const Rows packed = packed_rows("codes", codes, queries.shape(1), allowed, codes.shape(0));
    check("rows", rows, kUInt32, {packed.n});
    check("offsets", offsets, kInt64, {kAny});
    check("probes", probes, kInt32, {nq, kAny});
    check("out_scanned", out_scanned, kInt64, {nq});
    const std::size_t nlist = offsets.shape(0) == 0 ? 0 : offsets.shape(0) - 1;
    const auto* bounds = data_of<std::int64_t>(offsets);
    for (std::size_t i = 0; i < nlist; ++i)
        if (bounds[i] < 0 || bounds[i + 1] < bounds[i]) fail("offsets must ascend from 0");
    if (nlist != 0 && bounds[nlist] > static_cast<std::int64_t>(packed.n)) fail("offsets pass the end of codes");
    const auto* lists = data_of<std::int32_t>(probes);
    for (std::size_t i = 0; i < probes.size(); ++i)
        if (lists[i] < -1 || lists[i] >= static_cast<std::int64_t>(nlist))
            fail("probes holds " + std::to_string(lists[i]) + ", expected -1 to " + std::to_string(nlist) + " - 1");
    const TopKOutput output = places(nq, out_rows, out_distances);
    if (output.k == 0 || nq == 0) return;
    hamming_list_scan(data_of<std::uint8_t>(queries), nq, {packed, data_of<std::uint32_t>(rows), bounds}, lists,
                      probes.shape(1), output, static_cast<std::int64_t*>(out_scanned.data()));
}

void mih(Input queries, Input rows, Input starts, Input buckets, Input table_rows, std::size_t max_distance,
         std::size_t budget, Input allowed, Output out_rows, Output out_distances, Output out_counters) {
    check("queries", queries, kUInt8, {kAny, kAny});
    const std::size_t nq = queries.shape(0);
    const Rows packed = packed_rows("rows", rows, queries.shape(1), allowed, rows.shape(0));
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
    const TopKOutput output = places(nq, out_rows, out_distances);
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
    m.def("hamming_list_scan", &list_scan, array("queries"), array("codes"), array("rows"), array("offsets"),
          array("probes"), optional("allowed"), array("out_rows"), array("out_distances"), array("out_scanned"),
          Release());
    m.def("mih_search", &mih, array("queries"), array("rows"), array("starts"), array("buckets"), array("table_rows"),
          nb::arg("max_distance"), nb::arg("budget"), optional("allowed"), array("out_rows"), array("out_distances"),
          array("out_counters"), Release());
}

}  // namespace vecstore
