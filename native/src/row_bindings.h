// What the bindings of scans over stored rows share.
#pragma once

#include "bindings.h"
#include "dense_scan.h"

namespace vecstore {

// Rows may be some columns of a wider array: each contiguous, one stride apart.
inline DenseRows dense_rows(const Input& rows, std::size_t dim) {
    const Element element = element_of(rows);
    check_lengths("rows", rows, {kAny, dim});
    const std::size_t n = rows.shape(0);
    dim = rows.shape(1);
    const auto least = static_cast<std::int64_t>(dim);
    if (n > 0 && dim > 1 && rows.stride(1) != 1) fail("rows must be C-contiguous, but for a stride between them");
    if (n > 1 && rows.stride(0) < least) fail("rows must not overlap");
    const std::size_t stride = n > 1 ? static_cast<std::size_t>(rows.stride(0)) : dim;
    const std::size_t bytes = element == Element::f32 ? 4 : 2;
    return {{data_of<std::uint8_t>(rows), n, stride * bytes, nullptr, dim * bytes}, dim, element, nullptr};
}

inline Metric metric_of(int metric, const Input& inverse_norms, DenseRows& rows) {
    if (metric < 0 || metric > 2) fail("metric must be 0 (l2), 1 (dot) or 2 (cosine)");
    if (static_cast<Metric>(metric) == Metric::cosine) {
        if (!inverse_norms.is_valid()) fail("cosine needs inverse_norms");
        check("inverse_norms", inverse_norms, kFloat32, {rows.rows.n});
        rows.inverse_norms = data_of<float>(inverse_norms);
    }
    return static_cast<Metric>(metric);
}

// Packed bits that other arrays number in 32 bits, and which of them are allowed.
inline Rows packed_rows(const char* name, const Input& rows, std::size_t nbytes, const Input& allowed) {
    check(name, rows, kUInt8, {kAny, nbytes});
    if (rows.shape(0) > UINT32_MAX) fail(std::string(name) + " must have fewer than 2^32 rows");
    return {data_of<std::uint8_t>(rows), rows.shape(0), nbytes, bitmap_of(allowed, words(rows.shape(0)))};
}

inline TopKOutput top_k_output(std::size_t nq, const Output& out_rows, const Output& out_distances) {
    check("out_rows", out_rows, kInt64, {nq, kAny});
    check("out_distances", out_distances, kFloat32, {nq, out_rows.shape(1)});
    return {out_rows.shape(1), static_cast<std::int64_t*>(out_rows.data()), static_cast<float*>(out_distances.data())};
}

}  // namespace vecstore
