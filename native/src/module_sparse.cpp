// Bindings of searches over sparse rows.
#include "sparse_bindings.h"
#include "sparse_scan.h"

using namespace vecstore;

namespace {

void scan(Input query_offsets, Input query_indices, Input query_values, Input offsets, Input indices, Input values,
          const NativePacked* packed, Input lengths, float base, float slope, Input allowed, Output out_rows,
          Output out_distances) {
    const SparseView queries = query_view(query_offsets, query_indices, query_values);
    const SparseView rows = stored_view(offsets, indices, values, packed);
    const Saturation saturation = saturation_of(lengths, base, slope, rows);
    const std::uint64_t* mask = bitmap_of(allowed, words(rows.n));
    check("out_rows", out_rows, kInt64, {queries.n, kAny});
    check("out_distances", out_distances, kFloat32, {queries.n, out_rows.shape(1)});
    if (out_rows.size() == 0) return;
    sparse_scan(
        queries, rows, lengths.is_valid() ? &saturation : nullptr, mask,
        {out_rows.shape(1), static_cast<std::int64_t*>(out_rows.data()), static_cast<float*>(out_distances.data())});
}

void rerank(Input query_offsets, Input query_indices, Input query_values, Input offsets, Input indices, Input values,
            const NativePacked* packed, Input lengths, float base, float slope, Input candidates,
            Output out_distances) {
    const SparseView queries = query_view(query_offsets, query_indices, query_values);
    const SparseView rows = stored_view(offsets, indices, values, packed);
    check("candidates", candidates, kInt64, {queries.n, kAny});
    check("out_distances", out_distances, kFloat32, {queries.n, candidates.shape(1)});
    const Saturation saturation = saturation_of(lengths, base, slope, rows);
    sparse_rerank(queries, rows, lengths.is_valid() ? &saturation : nullptr, data_of<std::int64_t>(candidates),
                  candidates.shape(1), static_cast<float*>(out_distances.data()));
}

void document_frequency(Input terms, Input offsets, Input indices, Input values, const NativePacked* packed,
                        Input allowed, Output out) {
    check("terms", terms, kUInt32, {kAny});
    const SparseView rows = stored_view(offsets, indices, values, packed);
    check("out", out, kInt64, {terms.shape(0)});
    sparse_document_frequency(data_of<std::uint32_t>(terms), terms.shape(0), rows, bitmap_of(allowed, words(rows.n)),
                              static_cast<std::int64_t*>(out.data()));
}

// Whether these may be a query as they are; arrays of any form may be asked about.
bool ready(const Input& indices, const Input& values, double squared_max) {
    if (!kUInt32.matches(indices) || !kFloat32.matches(values) || indices.ndim() != 1 || values.ndim() != 1)
        return false;
    const std::size_t n = indices.shape(0);
    if (values.shape(0) != n || (n > 1 && (indices.stride(0) != 1 || values.stride(0) != 1))) return false;
    const auto* index = data_of<std::uint32_t>(indices);
    const auto* value = data_of<float>(values);
    double squared = 0;
    bool good = true;
    for (std::size_t i = 0; i < n; ++i) {
        squared += static_cast<double>(value[i]) * static_cast<double>(value[i]);
        good &= value[i] != 0 && (i == 0 || index[i] > index[i - 1]);
    }
    return good && squared <= squared_max;  // what is not a number compares to nothing
}

}  // namespace

void vecstore::bind_sparse(nb::module_& m) {
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    const auto optional = [](const char* name) { return nb::arg(name).noconvert().none(); };
    m.def("sparse_scan", &scan, array("query_offsets"), array("query_indices"), array("query_values"),
          optional("offsets"), optional("indices"), optional("values"), nb::arg("packed").none(), optional("lengths"),
          nb::arg("base"), nb::arg("slope"), optional("allowed"), array("out_rows"), array("out_distances"), Release());
    m.def("sparse_rerank", &rerank, array("query_offsets"), array("query_indices"), array("query_values"),
          optional("offsets"), optional("indices"), optional("values"), nb::arg("packed").none(), optional("lengths"),
          nb::arg("base"), nb::arg("slope"), array("candidates"), array("out_distances"), Release());
    m.def("sparse_document_frequency", &document_frequency, array("terms"), optional("offsets"), optional("indices"),
          optional("values"), nb::arg("packed").none(), optional("allowed"), array("out"), Release());
    m.def("sparse_ready", &ready, array("indices"), array("values"), nb::arg("squared_max"));
}
