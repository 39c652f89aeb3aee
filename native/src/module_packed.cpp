// Bindings of packed sparse rows.
#include <algorithm>

#include "sparse_bindings.h"

namespace vecstore {
namespace {

constexpr std::size_t kSpare = 16;  // entries that leaves may read past the last

}  // namespace

NativePacked::NativePacked(Input offsets, Input terms, Input flags, Input lows, Input starts, Input highs, Input values,
                           float step)
    : kept_{offsets, terms, flags, lows, starts, highs, values} {
    check("offsets", offsets, kInt64, {kAny});
    if (offsets.shape(0) == 0) fail("offsets must have an entry for the end of the last row");
    const std::size_t n = offsets.shape(0) - 1;
    check("terms", terms, kUInt32, {kAny});
    check_shape("values", values, {kAny});
    const std::size_t nnz = values.shape(0);
    const bool bytes = kUInt8.matches(values), half = kFloat16.matches(values);
    if (!bytes && !half && !kFloat32.matches(values)) fail("values must have dtype uint8, float16 or float32");
    packed_.low_bytes = kUInt8.matches(lows) ? 1 : kUInt16.matches(lows) ? 2 : 4;
    const bool gaps = packed_.low_bytes == 1;
    if (packed_.low_bytes == 4 && !kUInt32.matches(lows)) fail("lows must have dtype uint8, uint16 or uint32");
    check_shape("lows", lows, {nnz + (gaps ? kSpare : 0)});
    packed_.high_bytes = kUInt16.matches(highs) ? 2 : 1;
    if (packed_.high_bytes == 1 && !kUInt8.matches(highs)) fail("highs must have dtype uint8 or uint16");
    check_shape("highs", highs, {kAny});
    if (gaps) {
        check("flags", flags, kUInt8, {nnz / 8 + 4});
        check("starts", starts, kUInt32, {n + 1});
        if (highs.shape(0) < kSpare) fail("highs must end with 16 spare entries");
    }
    packed_.terms = data_of<std::uint32_t>(terms);
    packed_.nterms = terms.shape(0);
    packed_.flags = data_of<std::uint8_t>(flags);
    packed_.starts = data_of<std::uint32_t>(starts);
    packed_.lows = lows.data();
    packed_.highs = highs.data();
    packed_.step = step;
    for (std::size_t place = 1; place < packed_.nterms; ++place)
        if (packed_.terms[place] <= packed_.terms[place - 1]) fail("terms must ascend");
    direct_ = direct_places(packed_.terms, packed_.nterms);
    packed_.direct = direct_.empty() ? nullptr : direct_.data();
    packed_.ndirect = direct_.size();
    const auto* cut = data_of<std::int64_t>(offsets);
    check_packed(packed_, cut, n, nnz, gaps ? highs.shape(0) - kSpare : 0);
    const ValueKind kind = bytes ? ValueKind::byte : half ? ValueKind::half : ValueKind::single;
    view_ = {cut, nullptr, values.data(), kind, n, nnz, &packed_};
}

void NativePacked::places(const Input& rows, const Input& offsets, const Output& out) const {
    check("rows", rows, kInt64, {kAny});
    check("offsets", offsets, kInt64, {rows.shape(0) + 1});
    check("out", out, kUInt32, {kAny});
    std::vector<std::uint32_t> room;
    for (std::size_t i = 0; i < rows.shape(0); ++i) {
        const std::int64_t row = data_of<std::int64_t>(rows)[i];
        if (row < 0 || row >= static_cast<std::int64_t>(view_.n)) fail("there is no row " + std::to_string(row));
        const auto count = static_cast<std::size_t>(view_.offsets[row + 1] - view_.offsets[row]);
        const std::int64_t at = data_of<std::int64_t>(offsets)[i];
        if (at < 0 || static_cast<std::size_t>(at) + count > out.shape(0)) fail("out is too short");
        const std::uint32_t* found = view_.keys(static_cast<std::size_t>(row), room);
        std::copy(found, found + count, static_cast<std::uint32_t*>(out.data()) + at);
    }
}

void bind_packed(nb::module_& m) {
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    nb::class_<NativePacked>(m, "Packed")
        .def(nb::init<Input, Input, Input, Input, Input, Input, Input, float>(), array("offsets"), array("terms"),
             array("flags"), array("lows"), array("starts"), array("highs"), array("values"), nb::arg("step"))
        .def("places", &NativePacked::places, array("rows"), array("offsets"), array("out"));
}

}  // namespace vecstore
