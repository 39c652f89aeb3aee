// Python bindings of scans over lists of codes. Offsets, dims and probes may come from files: all are checked here.
#include "bindings.h"
#include "byte_scan.h"
#include "row_codes.h"
#include "table_scan.h"

namespace vecstore {
namespace {

bool is_half(const char* name, const Input& array) {
    if (kFloat16.matches(array)) return true;
    if (!kFloat32.matches(array)) fail(std::string(name) + " must have dtype float32 or float16");
    return false;
}

void check_range(const char* name, const std::int32_t* values, std::size_t n, std::size_t end) {
    for (std::size_t i = 0; i < n; ++i)
        if (values[i] < -1 || values[i] >= static_cast<std::int64_t>(end))
            fail(std::string(name) + " holds " + std::to_string(values[i]) + ", which is not in -1.." +
                 std::to_string(static_cast<std::int64_t>(end) - 1));
}

ListLayout layout_of(const Input& offsets, const Input& counts, const Input& rows, std::size_t nblocks,
                     const Input& allowed) {
    check("counts", counts, kInt64, {kAny});
    check("offsets", offsets, kInt64, {counts.shape(0) + 1});
    check("rows", rows, kUInt32, {nblocks * kBlockRows});
    const std::uint64_t* bits = bitmap_of(allowed, kAny);
    return {counts.shape(0),
            data_of<std::int64_t>(offsets),
            data_of<std::int64_t>(counts),
            data_of<std::uint32_t>(rows),
            bits,
            allowed.is_valid() ? allowed.size() : 0};
}

ListProbes probes_of(const Input& lists, const Input& add, const Input& radius, std::size_t nq,
                     const ListLayout& layout, std::size_t nblocks) {
    check("probes", lists, kInt32, {nq, kAny});
    check("list_add", add, kFloat32, {nq, lists.shape(1)});
    check("list_radius", radius, kFloat32, {nq, lists.shape(1)});
    const auto* probes = data_of<std::int32_t>(lists);
    check_range("probes", probes, lists.size(), layout.nlist);
    for (std::size_t i = 0; i < layout.nlist; ++i) {
        const std::int64_t first = layout.offsets[i], end = layout.offsets[i + 1], count = layout.counts[i];
        if (first < 0 || end < first || end > static_cast<std::int64_t>(nblocks) || count < 0 ||
            count > (end - first) * static_cast<std::int64_t>(kBlockRows))
            fail("list " + std::to_string(i) + " is not within the codes");
    }
    return {nq, lists.shape(1), probes, data_of<float>(add), data_of<float>(radius)};
}

ListOutput list_output(std::size_t nq, std::size_t k, bool bounded, const Output& rows, const Output& distances,
                       const Output& counters) {
    check("out_rows", rows, kInt64, {nq, kAny});
    check("out_distances", distances, kFloat32, {nq, rows.shape(1)});
    check("out_counters", counters, kInt64, {nq, 3});
    if (k == 0) fail("k must be at least 1");
    if (k > rows.shape(1)) fail("k=" + std::to_string(k) + " is more than the output's places");
    return {k,
            rows.shape(1),
            bounded,
            static_cast<std::int64_t*>(rows.data()),
            static_cast<float*>(distances.data()),
            static_cast<std::int64_t*>(counters.data())};
}

void table_scan_of(Input offsets, Input counts, Input rows, Input blocks, Input factors, Input table_dims,
                   Input table_values, Input extra, Input extra_factors, Input extra_runs, Input extra_dims,
                   Input extra_steps, Input queries, Input probes, Input list_add, Input list_radius, std::size_t k,
                   float eps, Input allowed, Output out_rows, Output out_distances, Output out_counters) {
    check("queries", queries, kFloat32, {kAny, kAny});
    const std::size_t nq = queries.shape(0), dim = queries.shape(1);
    check("table_dims", table_dims, kInt32, {kAny, kAny});
    const std::size_t nibbles = table_dims.shape(0);
    check("blocks", blocks, kUInt8, {kAny, (nibbles + 7) / 8, kBlockRows, 4});
    const std::size_t nblocks = blocks.shape(0);
    TableCodes codes{};
    codes.layout = layout_of(offsets, counts, rows, nblocks, allowed);
    codes.nibbles = nibbles;
    codes.groups = blocks.shape(1);
    codes.blocks = data_of<std::uint8_t>(blocks);
    codes.half_factors = is_half("factors", factors);
    check_shape("factors", factors, {nblocks, kAny, kBlockRows});
    codes.columns = static_cast<int>(factors.shape(1));
    codes.factors = data_of<std::uint8_t>(factors);
    codes.width = table_dims.shape(1);
    check("table_values", table_values, kFloat32, {codes.nibbles, codes.width, 16});
    codes.table_dims = data_of<std::int32_t>(table_dims);
    codes.table_values = data_of<float>(table_values);
    check_range("table_dims", codes.table_dims, table_dims.size(), dim);
    if (codes.columns < 1 || codes.columns > 3) fail("factors must have 1 to 3 columns");
    if (extra.is_valid()) {
        check("extra_runs", extra_runs, kInt32, {kAny, 2});
        codes.extra_runs = data_of<std::int32_t>(extra_runs);
        codes.nruns = extra_runs.shape(0);
        for (std::size_t r = 0; r < codes.nruns; ++r) {
            const std::int32_t bits = codes.extra_runs[2 * r], count = codes.extra_runs[2 * r + 1];
            if ((bits != 1 && bits != 2 && bits != 4 && bits != 8) || count < 0 || count % 8 != 0)
                fail("extra_runs must hold 1, 2, 4 or 8 bits and a multiple of 8 dims");
            codes.extra_count += static_cast<std::size_t>(count);
            codes.extra_bytes += static_cast<std::size_t>(count) * bits / 8;
        }
        check("extra", extra, kUInt8, {nblocks * kBlockRows, codes.extra_bytes});
        check("extra_dims", extra_dims, kInt32, {codes.extra_count});
        check("extra_steps", extra_steps, kFloat32, {codes.extra_count});
        codes.half_extra_factors = is_half("extra_factors", extra_factors);
        check_shape("extra_factors", extra_factors, {nblocks * kBlockRows, kAny});
        codes.extra_columns = static_cast<int>(extra_factors.shape(1));
        if (codes.extra_columns < 1 || codes.extra_columns > 3) fail("extra_factors must have 1 to 3 columns");
        codes.extra = data_of<std::uint8_t>(extra);
        codes.extra_factors = data_of<std::uint8_t>(extra_factors);
        codes.extra_dims = data_of<std::int32_t>(extra_dims);
        codes.extra_steps = data_of<float>(extra_steps);
        check_range("extra_dims", codes.extra_dims, codes.extra_count, dim);
    }
    const ListProbes visits = probes_of(probes, list_add, list_radius, nq, codes.layout, nblocks);
    if (!(eps >= 0 && eps < std::numeric_limits<float>::infinity())) fail("eps must be finite and not negative");
    const int last_columns = codes.extra != nullptr ? codes.extra_columns : codes.columns;
    const ListOutput output = list_output(nq, k, eps > 0 && last_columns == 3, out_rows, out_distances, out_counters);
    if (nq != 0 && output.m != 0) table_scan(codes, data_of<float>(queries), dim, visits, eps, output);
}

CodeKind kind_of(int kind, const Input& blocks, std::size_t dim) {
    if (kind < 0 || kind > static_cast<int>(CodeKind::nibble)) fail("kind of codes must be 0 to 5");
    const auto codes = static_cast<CodeKind>(kind);
    if (codes <= CodeKind::bf16) {
        check("blocks", blocks, codes == CodeKind::f16 ? kFloat16 : kUInt16, {kAny, kBlockRows, dim});
    } else if (codes <= CodeKind::e5m2) {
        check("blocks", blocks, kUInt8, {kAny, kBlockRows, dim});
    } else {
        const std::size_t groups = (dim + 7) / 8 * (codes == CodeKind::int8 ? 2 : 1);
        check("blocks", blocks, kUInt8, {kAny, groups, kBlockRows, 4});
    }
    return codes;
}

void row_scan_of(int kind, int query_bytes, Input offsets, Input counts, Input rows, Input blocks, Input factors,
                 Input levels, Input queries, Input probes, Input list_add, Input allowed, Output out_rows,
                 Output out_distances, Output out_counters) {
    check("queries", queries, kFloat32, {kAny, kAny});
    const std::size_t nq = queries.shape(0);
    RowCodes codes{};
    codes.dim = queries.shape(1);
    codes.kind = kind_of(kind, blocks, codes.dim);
    const std::size_t nblocks = blocks.shape(0);
    codes.layout = layout_of(offsets, counts, rows, nblocks, allowed);
    codes.blocks = data_of<std::uint8_t>(blocks);
    codes.fine = query_bytes == 2;
    if (query_bytes != 1 && !(codes.fine && codes.kind == CodeKind::int8))
        fail("query_bytes must be 1, or 2 for int8 codes");
    codes.factors = {data_of<std::uint8_t>(factors), is_half("factors", factors), 0};
    check_shape("factors", factors, {nblocks, kAny, kBlockRows});
    codes.factors.columns = static_cast<int>(factors.shape(1));
    if (codes.factors.columns > 3) fail("factors must have 0 to 3 columns");
    if (codes.kind == CodeKind::nibble) {
        check("levels", levels, kInt8, {16});
        codes.levels = data_of<std::int8_t>(levels);
    }
    const ListProbes visits = probes_of(probes, list_add, list_add, nq, codes.layout, nblocks);
    const ListOutput output = list_output(nq, 1, false, out_rows, out_distances, out_counters);
    if (nq != 0 && output.m != 0) row_scan(codes, data_of<float>(queries), visits, output);
}

void byte_scan_of(Input offsets, Input counts, Input rows, Input bytes, Input factors, Input table_dims,
                  Input table_values, Input queries, Input probes, Input list_add, Input allowed, Output out_rows,
                  Output out_distances, Output out_counters) {
    check("queries", queries, kFloat32, {kAny, kAny});
    const std::size_t nq = queries.shape(0), dim = queries.shape(1);
    check("codes", bytes, kUInt8, {kAny, kAny});
    const std::size_t nblocks = bytes.shape(0) / kBlockRows;
    check("codes", bytes, kUInt8, {nblocks * kBlockRows, kAny});
    ByteCodes codes{};
    codes.layout = layout_of(offsets, counts, rows, nblocks, allowed);
    codes.bytes = bytes.shape(1);
    codes.codes = data_of<std::uint8_t>(bytes);
    check("factors", factors, kFloat32, {nblocks * kBlockRows, 2});
    codes.factors = data_of<float>(factors);
    check("table_dims", table_dims, kInt32, {codes.bytes, kAny});
    codes.table_dims = data_of<std::int32_t>(table_dims);
    check_range("table_dims", codes.table_dims, table_dims.size(), dim);
    codes.width = table_dims.shape(1);
    check("table_values", table_values, kFloat32, {codes.bytes, codes.width, 256});
    codes.table_values = data_of<float>(table_values);
    const ListProbes visits = probes_of(probes, list_add, list_add, nq, codes.layout, nblocks);
    const ListOutput output = list_output(nq, 1, false, out_rows, out_distances, out_counters);
    if (nq != 0) byte_scan(codes, data_of<float>(queries), dim, visits, output);
}

}  // namespace

void bind_codes(nb::module_& m) {
    const auto optional = [](const char* name) { return nb::arg(name).noconvert().none(); };
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    m.def("table_scan", &table_scan_of, array("offsets"), array("counts"), array("rows"), array("blocks"),
          array("factors"), array("table_dims"), array("table_values"), optional("extra"), optional("extra_factors"),
          optional("extra_runs"), optional("extra_dims"), optional("extra_steps"), array("queries"), array("probes"),
          array("list_add"), array("list_radius"), nb::arg("k"), nb::arg("eps"), optional("allowed"), array("out_rows"),
          array("out_distances"), array("out_counters"), Release());
    m.def("row_scan", &row_scan_of, nb::arg("kind"), nb::arg("query_bytes"), array("offsets"), array("counts"),
          array("rows"), array("blocks"), array("factors"), optional("levels"), array("queries"), array("probes"),
          array("list_add"), optional("allowed"), array("out_rows"), array("out_distances"), array("out_counters"),
          Release());
    m.def("byte_scan", &byte_scan_of, array("offsets"), array("counts"), array("rows"), array("codes"),
          array("factors"), array("table_dims"), array("table_values"), array("queries"), array("probes"),
          array("list_add"), optional("allowed"), array("out_rows"), array("out_distances"), array("out_counters"),
          Release());
}

}  // namespace vecstore
