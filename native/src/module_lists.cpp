// Python bindings of scans over probed lists of rows that are no codes.
#include "dense_lists.h"
#include "hamming_lists.h"
#include "row_bindings.h"

using namespace vecstore;

namespace {

struct Probed {
    const std::uint32_t* rows;
    const std::int64_t* offsets;
    const std::int32_t* probes;
    std::size_t nprobe;
};

// Of `places` rows in lists those that `nq` queries probe. What no query probes is not looked at.
Probed probed(const Input& rows, const Input& offsets, const Input& probes, std::size_t nq, std::size_t places) {
    check("offsets", offsets, kInt64, {kAny});
    check("probes", probes, kInt32, {nq, kAny});
    const std::size_t nlist = offsets.shape(0) == 0 ? 0 : offsets.shape(0) - 1;
    const Probed lists{data_of<std::uint32_t>(rows), data_of<std::int64_t>(offsets), data_of<std::int32_t>(probes),
                       probes.shape(1)};
    for (std::size_t i = 0; i < probes.size(); ++i) {
        const std::int32_t list = lists.probes[i];
        if (list < -1 || list >= static_cast<std::int64_t>(nlist))
            fail("probes holds " + std::to_string(list) + ", expected -1 to " + std::to_string(nlist) + " - 1");
        if (list < 0) continue;
        const std::int64_t first = lists.offsets[list], last = lists.offsets[list + 1];
        if (first < 0 || last < first) fail("offsets must ascend from 0");
        if (last > static_cast<std::int64_t>(places)) fail("offsets pass the end of the lists");
    }
    return lists;
}

std::int64_t* counts(const Output& out_scanned, std::size_t nq) {
    check("out_scanned", out_scanned, kInt64, {nq});
    return static_cast<std::int64_t*>(out_scanned.data());
}

void hamming(Input queries, Input codes, Input rows, Input offsets, Input probes, Input allowed, Output out_rows,
             Output out_distances, Output out_scanned) {
    check("queries", queries, kUInt8, {kAny, kAny});
    const std::size_t nq = queries.shape(0);
    const Rows packed = packed_rows("codes", codes, queries.shape(1), allowed);
    check("rows", rows, kUInt32, {packed.n});
    const Probed lists = probed(rows, offsets, probes, nq, packed.n);
    const TopKOutput output = top_k_output(nq, out_rows, out_distances);
    auto* const scanned = counts(out_scanned, nq);
    if (output.k == 0 || nq == 0) return;
    hamming_list_scan(data_of<std::uint8_t>(queries), nq, {packed, lists.rows, lists.offsets}, lists.probes,
                      lists.nprobe, output, scanned);
}

void dense(int metric, Input queries, Input rows, Input inverse_norms, Input list_rows, Input offsets, Input probes,
           Input allowed, Output out_rows, Output out_distances, Output out_scanned) {
    check("queries", queries, kFloat32, {kAny, kAny});
    const std::size_t nq = queries.shape(0);
    DenseRows stored = dense_rows(rows, queries.shape(1));
    const Metric by = metric_of(metric, inverse_norms, stored);
    stored.rows.allowed = bitmap_of(allowed, words(stored.rows.n));
    check("list_rows", list_rows, kUInt32, {kAny});
    const Probed lists = probed(list_rows, offsets, probes, nq, list_rows.shape(0));
    const TopKOutput output = top_k_output(nq, out_rows, out_distances);
    dense_list_scan(by, data_of<float>(queries), nq, {stored, lists.rows, lists.offsets}, lists.probes, lists.nprobe,
                    output, counts(out_scanned, nq));
}

}  // namespace

namespace vecstore {

void bind_lists(nb::module_& m) {
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    const auto optional = [](const char* name) { return nb::arg(name).noconvert().none(); };
    m.def("hamming_list_scan", &hamming, array("queries"), array("codes"), array("rows"), array("offsets"),
          array("probes"), optional("allowed"), array("out_rows"), array("out_distances"), array("out_scanned"),
          Release());
    m.def("dense_list_scan", &dense, nb::arg("metric"), array("queries"), array("rows"), optional("inverse_norms"),
          array("list_rows"), array("offsets"), array("probes"), optional("allowed"), array("out_rows"),
          array("out_distances"), array("out_scanned"), Release());
}

}  // namespace vecstore
