// What the bindings of searches over sparse rows share.
#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "bindings.h"
#include "sparse_query.h"

namespace vecstore {

inline SparseView sparse_view(const std::string& name, const Input& offsets, const Input& indices,
                              const Input& values) {
    check((name + " offsets").c_str(), offsets, kInt64, {kAny});
    if (offsets.shape(0) == 0) fail(name + " offsets must have an entry for the end of the last row");
    check((name + " indices").c_str(), indices, kUInt32, {kAny});
    const bool half = kFloat16.matches(values);
    if (!half && !kFloat32.matches(values)) fail(name + " values must have dtype float32 or float16");
    check_shape((name + " values").c_str(), values, {indices.shape(0)});
    return {data_of<std::int64_t>(offsets),
            data_of<std::uint32_t>(indices),
            values.data(),
            half ? ValueKind::half : ValueKind::single,
            offsets.shape(0) - 1,
            indices.shape(0)};
}

// Packed rows whose arrays were checked; keeps them.
class NativePacked {
 public:
    NativePacked(Input offsets, Input terms, Input flags, Input lows, Input starts, Input highs, Input values,
                 float step);

    const SparseView& view() const { return view_; }
    void places(const Input& rows, const Input& offsets, const Output& out) const;

 private:
    std::vector<Input> kept_;
    std::vector<std::uint32_t> direct_;
    PackedView packed_{};
    SparseView view_{};
};

// Stored rows in either form: three arrays, or none of them and `packed`.
inline SparseView stored_view(const Input& offsets, const Input& indices, const Input& values,
                              const NativePacked* packed) {
    if (packed != nullptr) return packed->view();
    if (!offsets.is_valid() || !indices.is_valid() || !values.is_valid()) fail("rows are missing");
    return sparse_view("row", offsets, indices, values);
}

inline SparseView query_view(const Input& offsets, const Input& indices, const Input& values) {
    const SparseView view = sparse_view("query", offsets, indices, values);
    if (view.kind != ValueKind::single) fail("query values must have dtype float32");
    return view;
}

// Not to be used where `lengths` is not valid.
inline Saturation saturation_of(const Input& lengths, float base, float slope, const SparseView& rows) {
    if (!lengths.is_valid()) return {};
    check("lengths", lengths, kFloat32, {rows.n});
    if (!(base >= 0) || !(slope >= 0) || !std::isfinite(base) || !std::isfinite(slope))
        fail("base and slope must be finite and not negative");
    return {data_of<float>(lengths), base, slope};
}

}  // namespace vecstore
