// Python bindings of reading from files.
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

}  // namespace

void vecstore::bind_files(nb::module_& m) {
    m.def("read_rows", &rows_of_file, nb::arg("file"), nb::arg("n"), nb::arg("numbers").noconvert(),
          nb::arg("out").noconvert(), Release());
}
