// Bindings of encoding; see vecstore/kernels/encode.py for what each call does.
#include "bindings.h"
#include "encode.h"

namespace vecstore {
namespace {

constexpr Type kInt32{nb::dlpack::dtype_code::Int, 32, "int32"};
constexpr Type kFloat64{nb::dlpack::dtype_code::Float, 64, "float64"};

template <class T>
T* to(const Output& array) {
    return static_cast<T*>(array.data());
}

void project(Input rows, Input matrix, Output out) {
    check("rows", rows, kFloat32, {kAny, kAny});
    check("matrix", matrix, kFloat32, {rows.shape(1), kAny});
    const std::size_t dim = rows.shape(1), columns = matrix.shape(1);
    check("out", out, kFloat32, {rows.shape(0), columns});
    const EncodeOps& ops = current_encode_ops();
    for_row_pieces(rows.shape(0), dim * columns / 4, [&](std::size_t begin, std::size_t end) {
        ops.project(data_of<float>(rows) + begin * dim, end - begin, dim, data_of<float>(matrix), columns,
                    to<float>(out) + begin * columns);
    });
}

void row_dots(Input a, Input b, Output out) {
    check("a", a, kFloat32, {kAny, kAny});
    check("b", b, kFloat32, {a.shape(0), a.shape(1)});
    check("out", out, kFloat64, {a.shape(0)});
    const std::size_t dim = a.shape(1);
    const EncodeOps& ops = current_encode_ops();
    for_row_pieces(a.shape(0), dim, [&](std::size_t begin, std::size_t end) {
        ops.row_dots(data_of<float>(a) + begin * dim, data_of<float>(b) + begin * dim, end - begin, dim,
                     to<double>(out) + begin);
    });
}

void grid_steps(Input rows, int half, double normal_step, Output out) {
    check("rows", rows, kFloat32, {kAny, kAny});
    check("out", out, kFloat32, {rows.shape(0)});
    if (half < 1 || half > 128) fail("half must be in 1..128");
    const std::size_t dim = rows.shape(1);
    if (dim > 1 << 20) fail("rows are wider than 2^20");  // lanes of squares stay below 2^31
    const EncodeOps& ops = current_encode_ops();
    for_row_pieces(rows.shape(0), dim * grid_step_count(half), [&](std::size_t begin, std::size_t end) {
        ops.grid_steps(data_of<float>(rows) + begin * dim, end - begin, dim, half, normal_step, to<float>(out) + begin);
    });
}

void grid_codes(Input rows, Input inverse_rows, Input inverse_dims, Input halves, Output codes) {
    check("rows", rows, kFloat32, {kAny, kAny});
    const std::size_t dim = rows.shape(1);
    check("inverse_rows", inverse_rows, kFloat32, {rows.shape(0)});
    check("inverse_dims", inverse_dims, kFloat32, {dim});
    check("halves", halves, kFloat32, {dim});
    for (std::size_t d = 0; d < dim; ++d) {
        const float half = data_of<float>(halves)[d];
        if (!(half >= 1 && half <= 32768)) fail("halves must be in 1..32768");
    }
    check("codes", codes, kUInt16, {rows.shape(0), dim});
    const EncodeOps& ops = current_encode_ops();
    for_row_pieces(rows.shape(0), dim, [&](std::size_t begin, std::size_t end) {
        ops.grid_codes(data_of<float>(rows) + begin * dim, end - begin, dim, data_of<float>(inverse_rows) + begin,
                       data_of<float>(inverse_dims), data_of<float>(halves), to<std::uint16_t>(codes) + begin * dim);
    });
}

void level_codes(Input rows, Input inverse_rows, Input bounds, Output codes) {
    check("rows", rows, kFloat32, {kAny, kAny});
    const std::size_t dim = rows.shape(1);
    check("inverse_rows", inverse_rows, kFloat32, {rows.shape(0)});
    check("bounds", bounds, kFloat32, {kAny});
    check("codes", codes, kUInt16, {rows.shape(0), dim});
    const EncodeOps& ops = current_encode_ops();
    for_row_pieces(rows.shape(0), dim, [&](std::size_t begin, std::size_t end) {
        ops.level_codes(data_of<float>(rows) + begin * dim, end - begin, dim, data_of<float>(inverse_rows) + begin,
                        data_of<float>(bounds), bounds.shape(0), to<std::uint16_t>(codes) + begin * dim);
    });
}

void nearest_codes(Input rows, Input columns, Input half_squares, Output codes) {
    check("columns", columns, kFloat32, {kAny, kAny, kAny});
    const std::size_t m = columns.shape(0), subdim = columns.shape(1), size = columns.shape(2);
    if (size == 0 || size % 16 != 0 || size > 256) fail("codebooks must have a multiple of 16 entries, at most 256");
    check("half_squares", half_squares, kFloat32, {m, size});
    check("rows", rows, kFloat32, {kAny, m * subdim});
    check("codes", codes, kUInt8, {rows.shape(0), m});
    const EncodeOps& ops = current_encode_ops();
    for_row_pieces(rows.shape(0), m * (subdim + 4) * size / 8, [&](std::size_t begin, std::size_t end) {
        ops.nearest_codes(data_of<float>(rows) + begin * m * subdim, end - begin, data_of<float>(columns),
                          data_of<float>(half_squares), m, subdim, size, to<std::uint8_t>(codes) + begin * m);
    });
}

void shaped_codes(Input cells, Input feedback, Output codes) {
    check("cells", cells, kFloat32, {kAny, kAny});
    const std::size_t dim = cells.shape(1);
    check("feedback", feedback, kFloat32, {dim == 0 ? 0 : dim * (dim - 1) / 2});
    check("codes", codes, kUInt8, {cells.shape(0), dim});
    const EncodeOps& ops = current_encode_ops();
    for_row_pieces(cells.shape(0), dim * dim / 8, [&](std::size_t begin, std::size_t end) {
        ops.shaped_codes(data_of<float>(cells) + begin * dim, end - begin, dim, data_of<float>(feedback),
                         to<std::uint8_t>(codes) + begin * dim);
    });
}

void gather(Input codes, Input fields, Output out) {
    check("codes", codes, kUInt16, {kAny, kAny});
    check("fields", fields, kInt32, {kAny, 5});
    check("out", out, kUInt8, {codes.shape(0), kAny});
    const auto* listed = reinterpret_cast<const BitField*>(data_of<std::int32_t>(fields));
    const auto below = [](std::int32_t value, std::size_t bound) {
        return value >= 0 && static_cast<std::size_t>(value) < bound;
    };
    for (std::size_t f = 0; f < fields.shape(0); ++f) {
        const BitField& field = listed[f];
        if (!below(field.byte, out.shape(1)) || !below(field.dim, codes.shape(1)) || !below(field.shift, 16) ||
            !below(field.mask, 256) || !below(field.position, 8))
            fail("a field of gather_bits is out of range");
    }
    gather_bits(data_of<std::uint16_t>(codes), codes.shape(0), codes.shape(1), listed, fields.shape(0), out.shape(1),
                to<std::uint8_t>(out));
}

}  // namespace

void bind_encode(nb::module_& m) {
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    m.def("project", &project, array("rows"), array("matrix"), array("out"), Release());
    m.def("row_dots", &row_dots, array("a"), array("b"), array("out"), Release());
    m.def("grid_steps", &grid_steps, array("rows"), nb::arg("half"), nb::arg("normal_step"), array("out"), Release());
    m.def("grid_codes", &grid_codes, array("rows"), array("inverse_rows"), array("inverse_dims"), array("halves"),
          array("codes"), Release());
    m.def("level_codes", &level_codes, array("rows"), array("inverse_rows"), array("bounds"), array("codes"),
          Release());
    m.def("nearest_codes", &nearest_codes, array("rows"), array("columns"), array("half_squares"), array("codes"),
          Release());
    m.def("shaped_codes", &shaped_codes, array("cells"), array("feedback"), array("codes"), Release());
    m.def("gather_bits", &gather, array("codes"), array("fields"), array("out"), Release());
}

}  // namespace vecstore
