// Python bindings of reading rows from files, and bytes from between offsets.
#include "bindings.h"
#include "file_rows.h"

using namespace vecstore;

namespace {

std::int64_t rows_of_file(int file, std::int64_t n, Input numbers, Output out) {
    check("numbers", numbers, kInt64, {kAny});
    check_shape("out", out, {numbers.shape(0), kAny});
    const auto* wanted = data_of<std::int64_t>(numbers);
    for (std::size_t i = 0; i < numbers.shape(0); ++i)
        if (wanted[i] < -1 || wanted[i] >= n)
            fail("row " + std::to_string(wanted[i]) + " is not in -1.." + std::to_string(n - 1));
    const std::size_t row_bytes = out.shape(1) * out.dtype().bits / 8;
    return read_rows(file, wanted, numbers.shape(0), row_bytes, static_cast<std::uint8_t*>(out.data()));
}

// The bytes of some rows as a list, `empty` for rows without any. Rows are far apart, so all are asked for before the
// first is copied.
nb::list cut_rows(Input content, Input offsets, Input rows, nb::object empty) {
    check("content", content, kUInt8, {kAny});
    check("offsets", offsets, kUInt64, {kAny});
    check("rows", rows, kInt64, {kAny});
    const auto* const bytes = data_of<std::uint8_t>(content);
    const auto* const bounds = data_of<std::uint64_t>(offsets);
    const auto* const wanted = data_of<std::int64_t>(rows);
    const std::size_t count = rows.shape(0);
    const auto n = static_cast<std::int64_t>(offsets.shape(0)) - 1;
    for (std::size_t i = 0; i < count; ++i) {
        if (wanted[i] < 0 || wanted[i] >= n)
            fail("row " + std::to_string(wanted[i]) + " is not in 0.." + std::to_string(n - 1));
        __builtin_prefetch(bounds + wanted[i]);
    }
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t low = bounds[wanted[i]], high = bounds[wanted[i] + 1];
        if (low > high || high > content.shape(0)) fail("offsets do not rise within the bytes");
        __builtin_prefetch(bytes + low);
    }
    PyObject* const list = PyList_New(static_cast<Py_ssize_t>(count));
    if (list == nullptr) nb::raise_python_error();
    nb::list found = nb::steal<nb::list>(list);
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint64_t low = bounds[wanted[i]], high = bounds[wanted[i] + 1];
        PyObject* const cut = low == high
                                  ? nb::object(empty).release().ptr()
                                  : PyBytes_FromStringAndSize(reinterpret_cast<const char*>(bytes + low), high - low);
        if (cut == nullptr) nb::raise_python_error();
        PyList_SetItem(list, static_cast<Py_ssize_t>(i), cut);
    }
    return found;
}

}  // namespace

void vecstore::bind_files(nb::module_& m) {
    m.def("cut_rows", &cut_rows, nb::arg("content").noconvert(), nb::arg("offsets").noconvert(),
          nb::arg("rows").noconvert(), nb::arg("empty").none());
    m.def("read_rows", &rows_of_file, nb::arg("file"), nb::arg("n"), nb::arg("numbers").noconvert(),
          nb::arg("out").noconvert(), Release());
}
