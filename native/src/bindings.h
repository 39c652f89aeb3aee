// What the binding files share: array types, and checks made before any pointer is followed.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <initializer_list>
#include <string>

#include "vecstore/ops.h"

namespace nb = nanobind;

namespace vecstore {

using Input = nb::ndarray<nb::ro, nb::device::cpu>;
using Output = nb::ndarray<nb::device::cpu>;
using Release = nb::call_guard<nb::gil_scoped_release>;

[[noreturn]] inline void fail(const std::string& message) { throw nb::value_error(message.c_str()); }

struct Type {
    nb::dlpack::dtype_code code;
    int bits;
    const char* name;

    template <class Array>
    bool matches(const Array& array) const {
        const nb::dlpack::dtype type = array.dtype();
        return type.code == static_cast<std::uint8_t>(code) && type.bits == bits && type.lanes == 1;
    }
};

constexpr Type kFloat32{nb::dlpack::dtype_code::Float, 32, "float32"};
constexpr Type kFloat64{nb::dlpack::dtype_code::Float, 64, "float64"};
constexpr Type kFloat16{nb::dlpack::dtype_code::Float, 16, "float16"};
constexpr Type kUInt16{nb::dlpack::dtype_code::UInt, 16, "uint16"};
constexpr Type kInt8{nb::dlpack::dtype_code::Int, 8, "int8"};
constexpr Type kUInt8{nb::dlpack::dtype_code::UInt, 8, "uint8"};
constexpr Type kUInt64{nb::dlpack::dtype_code::UInt, 64, "uint64"};
constexpr Type kUInt32{nb::dlpack::dtype_code::UInt, 32, "uint32"};
constexpr Type kInt32{nb::dlpack::dtype_code::Int, 32, "int32"};
constexpr Type kInt64{nb::dlpack::dtype_code::Int, 64, "int64"};

inline Element element_of(const Input& rows) {
    if (kFloat32.matches(rows)) return Element::f32;
    if (kFloat16.matches(rows)) return Element::f16;
    if (kUInt16.matches(rows)) return Element::bf16;
    fail("rows must have dtype float32, float16 or uint16 (bfloat16)");
}

constexpr std::size_t kAny = static_cast<std::size_t>(-1);

// Checks number of axes and their lengths.
template <class Array>
void check_lengths(const char* name, const Array& array, std::initializer_list<std::size_t> shape) {
    bool matches = array.ndim() == shape.size();
    std::string wanted, got;
    std::size_t axis = 0;
    for (const std::size_t length : shape) {
        if (matches && length != kAny && array.shape(axis) != length) matches = false;
        wanted += (axis++ ? ", " : "") + (length == kAny ? std::string("any") : std::to_string(length));
    }
    for (axis = 0; axis < array.ndim(); ++axis) got += (axis ? ", " : "") + std::to_string(array.shape(axis));
    if (!matches) fail(std::string(name) + " has shape (" + got + "), expected (" + wanted + ")");
}

// Checks number of axes, their lengths and that the array is C-contiguous.
template <class Array>
void check_shape(const char* name, const Array& array, std::initializer_list<std::size_t> shape) {
    check_lengths(name, array, shape);
    if (array.size() == 0) return;
    std::int64_t stride = 1;
    for (std::size_t axis = array.ndim(); axis-- > 0;) {
        if (array.shape(axis) != 1 && array.stride(axis) != stride) fail(std::string(name) + " must be C-contiguous");
        stride *= static_cast<std::int64_t>(array.shape(axis));
    }
}

template <class Array>
void check(const char* name, const Array& array, const Type& type, std::initializer_list<std::size_t> shape) {
    if (!type.matches(array)) fail(std::string(name) + " must have dtype " + type.name);
    check_shape(name, array, shape);
}

inline std::size_t words(std::size_t n) { return (n + 63) / 64; }

template <class T>
const T* data_of(const Input& array) {
    return array.is_valid() ? static_cast<const T*>(array.data()) : nullptr;
}

// The bitmap of allowed rows, of so many words; null where there is none, which means "all".
inline const std::uint64_t* bitmap_of(const Input& allowed, std::size_t nwords) {
    if (!allowed.is_valid()) return nullptr;
    check("allowed", allowed, kUInt64, {nwords});
    static constexpr std::uint64_t kNone = 0;  // an empty array may come without a pointer
    return allowed.size() == 0 ? &kNone : data_of<std::uint64_t>(allowed);
}

// Adds the scans over lists of codes.
void bind_codes(nb::module_& m);

// Adds multi-index hashing.
void bind_binary(nb::module_& m);

// Adds the scans over lists of rows that are no codes.
void bind_lists(nb::module_& m);

// Adds reading from files.
void bind_files(nb::module_& m);

// Adds rank expressions.
void bind_formula(nb::module_& m);

// Adds encoding.
void bind_encode(nb::module_& m);

// Adds late interaction: exact, and over codes.
void bind_maxsim(nb::module_& m);
void bind_tokens(nb::module_& m);

// Adds the graph index.
void bind_graph(nb::module_& m);

// Adds searches over sparse rows, and their packed form.
void bind_sparse(nb::module_& m);
void bind_packed(nb::module_& m);

// Adds the index of blocks of similar rows.
void bind_seismic(nb::module_& m);

// Adds postings.
void bind_windows(nb::module_& m);

}  // namespace vecstore
