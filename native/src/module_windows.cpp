// Bindings of postings: windows are checked once, when they are opened, and kept.
#include <cmath>
#include <memory>
#include <utility>

#include <nanobind/stl/vector.h>

#include "sparse_bindings.h"
#include "window_search.h"

namespace vecstore {
namespace {

void check_postings(const WindowView& window, std::size_t count) {
    std::size_t begin = 0;
    for (std::size_t list = 0; list < window.nlists; ++list) {
        if (list > 0 && window.terms[list] < window.terms[list - 1]) fail("terms of a window must ascend");
        if (list > 1 && window.terms[list] == window.terms[list - 2]) fail("a term has more than two lists");
        const std::size_t end = window.starts[list + 1];
        if (window.starts[list] != begin || end < begin || end > count) fail("starts must ascend to the postings' end");
        if (!std::isfinite(window.steps[list])) fail("steps must be finite");
        for (std::size_t i = begin; i < end; ++i) {
            if (window.ids[i] >= window.n) fail("a posting's row is not in its window");
            if (i > begin && window.ids[i] <= window.ids[i - 1]) fail("rows of a list must ascend");
        }
        begin = end;
    }
    if (begin != count) fail("starts must ascend to the postings' end");
    for (std::size_t i = 0; i < window.ndense; ++i) {
        const std::size_t list = window.dense_lists[i];
        if (list >= window.nlists || (i > 0 && list <= window.dense_lists[i - 1]))
            fail("dense lists must ascend within the lists");
        if (window.starts[list] != window.starts[list + 1]) fail("a dense list has postings besides");
    }
}

class NativeWindow {
 public:
    NativeWindow(std::size_t first_row, std::size_t n, Input terms, Input starts, Input steps, Input ids, Input codes,
                 Input dense_lists, Input dense, float slope)
        : kept_{terms, starts, steps, ids, codes, dense_lists, dense} {
        if (n > kWindowRows) fail("a window has at most 65536 rows");
        if (first_row % 64 != 0) fail("a window's first row must be a multiple of 64");
        if (!(slope >= 0) || !std::isfinite(slope)) fail("slope must be finite and not negative");
        check("terms", terms, kUInt32, {kAny});
        check("starts", starts, kUInt32, {terms.shape(0) + 1});
        check("steps", steps, kFloat32, {terms.shape(0)});
        check("ids", ids, kUInt16, {kAny});
        check("codes", codes, kUInt8, {ids.shape(0)});
        check("dense_lists", dense_lists, kUInt32, {kAny});
        check("dense", dense, kUInt8, {dense_lists.shape(0), (n + 63) / 64 * 64});
        view_ = {first_row,
                 n,
                 terms.shape(0),
                 dense_lists.shape(0),
                 data_of<std::uint32_t>(terms),
                 data_of<std::uint32_t>(starts),
                 data_of<float>(steps),
                 data_of<std::uint16_t>(ids),
                 data_of<std::uint8_t>(codes),
                 data_of<std::uint32_t>(dense_lists),
                 data_of<std::uint8_t>(dense),
                 slope};
        if (view_.starts[0] != 0) fail("starts must begin at 0");
        check_postings(view_, ids.shape(0));
    }

    const WindowView& view() const { return view_; }

 private:
    std::vector<Input> kept_;
    WindowView view_;
};

template <class T, class... Shape>
nb::object owned(std::vector<T>&& values, Shape... shape) {
    auto* kept = new std::vector<T>(std::move(values));
    nb::capsule owner(kept, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    static T none;  // an array needs a pointer even where it has no element
    return nb::cast(nb::ndarray<nb::numpy, T>(kept->empty() ? &none : kept->data(), {shape...}, owner));
}

// terms, starts, steps, ids, codes, dense_lists, dense
nb::tuple build(Input offsets, Input indices, Input values, Input lengths, float base, float slope) {
    const SparseView rows = sparse_view("row", offsets, indices, values);
    const Saturation saturation = saturation_of(lengths, base, slope, rows);
    WindowArrays a;
    {
        nb::gil_scoped_release released;
        a = build_window(rows, lengths.is_valid() ? &saturation : nullptr);
    }
    const std::size_t nlists = a.terms.size(), count = a.ids.size(), ndense = a.dense_lists.size();
    return nb::make_tuple(owned(std::move(a.terms), nlists), owned(std::move(a.starts), nlists + 1),
                          owned(std::move(a.steps), nlists), owned(std::move(a.ids), count),
                          owned(std::move(a.codes), count), owned(std::move(a.dense_lists), ndense),
                          owned(std::move(a.dense), ndense, (rows.n + 63) / 64 * 64));
}

Inverted inverted(const std::vector<const NativeWindow*>& windows, const SparseView& rows, const Input& allowed) {
    Inverted index{{}, rows, nullptr, bitmap_of(allowed, words(rows.n))};
    for (const NativeWindow* window : windows) index.windows.push_back(window->view());
    return index;
}

void search(const std::vector<const NativeWindow*>& windows, Input query_offsets, Input query_indices,
            Input query_values, Input offsets, Input indices, Input values, const NativePacked* packed, Input lengths,
            float base, float slope, Input allowed, Output out_rows, Output out_distances, Output out_counters) {
    const SparseView queries = query_view(query_offsets, query_indices, query_values);
    const SparseView rows = stored_view(offsets, indices, values, packed);
    const Saturation saturation = saturation_of(lengths, base, slope, rows);
    Inverted index = inverted(windows, rows, allowed);
    if (lengths.is_valid()) index.saturation = &saturation;
    check("out_rows", out_rows, kInt64, {queries.n, kAny});
    check("out_distances", out_distances, kFloat32, {queries.n, out_rows.shape(1)});
    check("out_counters", out_counters, kInt64, {queries.n, kInvertedCounters});
    inverted_search(
        queries, index,
        {out_rows.shape(1), static_cast<std::int64_t*>(out_rows.data()), static_cast<float*>(out_distances.data())},
        static_cast<std::int64_t*>(out_counters.data()));
}

void document_frequency(const std::vector<const NativeWindow*>& windows, Input terms, Input offsets, Input indices,
                        Input values, const NativePacked* packed, Input allowed, Output out) {
    check("terms", terms, kUInt32, {kAny});
    const SparseView rows = stored_view(offsets, indices, values, packed);
    check("out", out, kInt64, {terms.shape(0)});
    inverted_document_frequency(data_of<std::uint32_t>(terms), terms.shape(0), inverted(windows, rows, allowed),
                                static_cast<std::int64_t*>(out.data()));
}

}  // namespace
}  // namespace vecstore

void vecstore::bind_windows(nb::module_& m) {
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    const auto optional = [](const char* name) { return nb::arg(name).noconvert().none(); };
    nb::class_<NativeWindow>(m, "Window")
        .def(nb::init<std::size_t, std::size_t, Input, Input, Input, Input, Input, Input, Input, float>(),
             nb::arg("first_row"), nb::arg("n"), array("terms"), array("starts"), array("steps"), array("ids"),
             array("codes"), array("dense_lists"), array("dense"), nb::arg("slope"), Release());
    m.def("build_window", &build, array("offsets"), array("indices"), array("values"), optional("lengths"),
          nb::arg("base"), nb::arg("slope"));
    m.def("inverted_search", &search, nb::arg("windows"), array("query_offsets"), array("query_indices"),
          array("query_values"), optional("offsets"), optional("indices"), optional("values"), nb::arg("packed").none(),
          optional("lengths"), nb::arg("base"), nb::arg("slope"), optional("allowed"), array("out_rows"),
          array("out_distances"), array("out_counters"), Release());
    m.def("inverted_document_frequency", &document_frequency, nb::arg("windows"), array("terms"), optional("offsets"),
          optional("indices"), optional("values"), nb::arg("packed").none(), optional("allowed"), array("out"),
          Release());
}
