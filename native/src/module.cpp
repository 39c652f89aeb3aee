// Python bindings: shapes, types and layout are checked here, before any pointer is followed, with the GIL released.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <atomic>
#include <initializer_list>
#include <string>

#include "block_scan.h"
#include "dispatch.h"
#include "hadamard.h"
#include "hamming_scan.h"
#include "nearest.h"
#include "row_bytes.h"
#include "row_bindings.h"
#include "stop.h"

using namespace vecstore;

namespace {

struct Scan {
    DenseRows rows;
    Metric metric;
    TopKOutput output;

    Scan(int by, const Input& queries, const Input& stored, const Input& inverse_norms, const Input& allowed,
         const Output& out_rows, const Output& out_distances)
        : rows(dense_rows(stored, queries.shape(1))),
          metric(metric_of(by, inverse_norms, rows)),
          output(top_k_output(queries.shape(0), out_rows, out_distances)) {
        rows.rows.allowed = bitmap_of(allowed, words(rows.rows.n));
    }

    std::size_t run(const Input& queries, const RowBytes* bytes) const {
        if (output.k == 0 || queries.shape(0) == 0) return 0;
        return dense_scan(metric, data_of<float>(queries), queries.shape(0), rows, output, bytes);
    }
};

void scan(int metric, Input queries, Input rows, Input inverse_norms, Input allowed, Output out_rows,
          Output out_distances) {
    check("queries", queries, kFloat32, {kAny, kAny});
    Scan(metric, queries, rows, inverse_norms, allowed, out_rows, out_distances).run(queries, nullptr);
}

std::size_t scan_by_bytes(int metric, Input queries, Input rows, Input inverse_norms, Input allowed, Input blocks,
                          Input scales, Input squares, Input errors, Input lengths, Output out_rows,
                          Output out_distances) {
    check("queries", queries, kFloat32, {kAny, kAny});
    const Scan scan(metric, queries, rows, inverse_norms, allowed, out_rows, out_distances);
    check("scales", scales, kFloat32, {kAny});
    const std::size_t n = scales.shape(0), most = scan.rows.rows.n;
    if (n > most) fail("scales are those of " + std::to_string(n) + " rows, and there are " + std::to_string(most));
    const std::size_t nblocks = (n + 31) / 32, width = (scan.rows.dim + 7) / 8 * 8;
    const bool l2 = scan.metric == Metric::l2;
    check("blocks", blocks, kUInt8, {nblocks, width / 4, 32, 4});
    check("squares", squares, kFloat32, {l2 ? n : 0});
    check("errors", errors, kFloat32, {nblocks});
    check("lengths", lengths, kFloat32, {nblocks});
    const RowBytes bytes{n,
                         data_of<std::uint8_t>(blocks),
                         width,
                         data_of<float>(scales),
                         l2 ? data_of<float>(squares) : nullptr,
                         data_of<float>(errors),
                         data_of<float>(lengths)};
    return scan.run(queries, &bytes);
}

void rounded(int metric, Input rows, Input inverse_norms, Output blocks, Output scales, Output squares, Output errors,
             Output lengths) {
    DenseRows dense = dense_rows(rows, kAny);
    const Metric by = metric_of(metric, inverse_norms, dense);
    const std::size_t n = dense.rows.n, nblocks = (n + 31) / 32;
    const bool l2 = by == Metric::l2;
    check("blocks", blocks, kUInt8, {nblocks, (dense.dim + 7) / 8 * 2, 32, 4});
    check("scales", scales, kFloat32, {n});
    check("squares", squares, kFloat32, {l2 ? n : 0});
    check("errors", errors, kFloat32, {nblocks});
    check("lengths", lengths, kFloat32, {nblocks});
    const auto floats = [](const Output& array) { return static_cast<float*>(array.data()); };
    round_rows(by, dense,
               {static_cast<std::uint8_t*>(blocks.data()), floats(scales), l2 ? floats(squares) : nullptr,
                floats(errors), floats(lengths)});
}

std::size_t nearest(int metric, Input queries, Input rows, Input query_bounds, Input row_bounds, Input base,
                    Output out_rows, Output out_distances) {
    check("queries", queries, kFloat32, {kAny, kAny});
    check("rows", rows, kFloat32, {kAny, queries.shape(1)});
    const std::size_t nq = queries.shape(0), n = rows.shape(0);
    check("query_bounds", query_bounds, kFloat32, {nq, kAny});
    check("row_bounds", row_bounds, kFloat32, {n, query_bounds.shape(1)});
    check("base", base, kFloat32, {nq});
    check("out_rows", out_rows, kInt64, {nq});
    check("out_distances", out_distances, kFloat32, {nq});
    const DenseRows dense = dense_rows(rows, queries.shape(1));
    if (metric != 0 && metric != 1) fail("metric must be 0 (l2) or 1 (dot)");
    if (n == 0 || n > 0xffffffffu) fail("rows must be 1 to 2^32 - 1, not " + std::to_string(n));
    if (nq == 0) return 0;
    const NearestBounds bounds{query_bounds.shape(1), data_of<float>(query_bounds), data_of<float>(row_bounds),
                               data_of<float>(base)};
    return nearest_rows(static_cast<Metric>(metric), data_of<float>(queries), nq, dense, bounds,
                        static_cast<std::int64_t*>(out_rows.data()), static_cast<float*>(out_distances.data()));
}

void hamming(Input queries, Input rows, Input allowed, Output out_rows, Output out_distances) {
    check("queries", queries, kUInt8, {kAny, kAny});
    check("rows", rows, kUInt8, {kAny, queries.shape(1)});
    Rows packed{data_of<std::uint8_t>(rows), rows.shape(0), rows.shape(1), nullptr};
    packed.allowed = bitmap_of(allowed, words(packed.n));
    const TopKOutput output = top_k_output(queries.shape(0), out_rows, out_distances);
    if (output.k == 0 || queries.shape(0) == 0) return;
    hamming_scan(data_of<std::uint8_t>(queries), queries.shape(0), packed, output);
}

void rerank(int metric, Input queries, Input rows, Input inverse_norms, Input candidates, Output out_distances) {
    check("queries", queries, kFloat32, {kAny, kAny});
    DenseRows dense = dense_rows(rows, queries.shape(1));
    const Metric by = metric_of(metric, inverse_norms, dense);
    check("candidates", candidates, kInt64, {queries.shape(0), kAny});
    check("out_distances", out_distances, kFloat32, {queries.shape(0), candidates.shape(1)});
    dense_rerank(by, data_of<float>(queries), queries.shape(0), dense, data_of<std::int64_t>(candidates),
                 candidates.shape(1), static_cast<float*>(out_distances.data()));
}

void inverse_norms(Input rows, Output out) {
    const DenseRows dense = dense_rows(rows, kAny);
    check("out", out, kFloat32, {dense.rows.n});
    dense_inverse_norms(dense, static_cast<float*>(out.data()));
}

void blocks(Input queries, Input data, Input inverse_norms, Input kept, Input allowed, Output out_rows,
            Output out_distances) {
    const Element element = element_of(data);
    check_shape("blocks", data, {kAny, kAny, kAny});
    const std::size_t nblocks = data.shape(0), n = data.shape(1), width = data.shape(2);
    check("queries", queries, kFloat32, {kAny, nblocks * width});
    const std::size_t nq = queries.shape(0);
    check("kept", kept, kInt32, {nq, kAny});
    if (inverse_norms.is_valid()) check("inverse_norms", inverse_norms, kFloat32, {n});
    const auto* numbers = data_of<std::int32_t>(kept);
    for (std::size_t i = 0; i < kept.size(); ++i)
        if (numbers[i] < -1 || numbers[i] >= static_cast<std::int64_t>(nblocks))
            fail("kept block " + std::to_string(numbers[i]) + " is not in -1.." + std::to_string(nblocks - 1));
    Rows rows{data_of<std::uint8_t>(data), n, width, nullptr};
    rows.allowed = bitmap_of(allowed, words(rows.n));
    const TopKOutput output = top_k_output(nq, out_rows, out_distances);
    if (output.k == 0 || nq == 0) return;
    const DimensionBlocks blocked{rows.data, nblocks, n, width, element, data_of<float>(inverse_norms), rows.allowed};
    block_scan(data_of<float>(queries), nq, blocked, numbers, kept.shape(1), output);
}

void hadamard(Input rows, Input permutations, Input factors, std::size_t block, Output out) {
    check("rows", rows, kFloat32, {kAny, kAny});
    check("permutations", permutations, kInt32, {kAny, kAny});
    const std::size_t width = permutations.shape(1), dim = rows.shape(1);
    check("factors", factors, kFloat32, {permutations.shape(0), width});
    check("out", out, kFloat32, {rows.shape(0), width});
    if (dim > width) fail("rows are wider than the rotation");
    if (block == 0 || (block & (block - 1)) != 0 || width % block != 0)
        fail("block must be a power of two that divides");
    const auto* from = data_of<std::int32_t>(permutations);
    for (std::size_t i = 0; i < permutations.size(); ++i)
        if (from[i] < 0 || static_cast<std::size_t>(from[i]) >= width) fail("permutations point outside the rotation");
    hadamard_rounds(data_of<float>(rows), rows.shape(0), dim, width, from, data_of<float>(factors),
                    permutations.shape(0), block, static_cast<float*>(out.data()));
}

void stop_by(Input flag, double seconds) {
    if (!flag.is_valid()) return set_stop(nullptr, seconds);
    check("flag", flag, kInt32, {1});
    auto* const value = const_cast<std::int32_t*>(data_of<std::int32_t>(flag));
    static_assert(sizeof(std::atomic<std::int32_t>) == sizeof(std::int32_t));
    set_stop(reinterpret_cast<std::atomic<std::int32_t>*>(value), seconds);
}

std::uint64_t read_bytes(Input array) {
    check("array", array, kUInt8, {kAny});
    const Ops& ops = current_ops();
    const std::size_t tasks = array.shape(0) / kTaskBytes + 1;
    std::atomic<std::uint64_t> sum{0};
    parallel_for(tasks, workers_for(array.shape(0)), [&](std::size_t, std::size_t task) {
        const std::size_t begin = task * kTaskBytes;
        const std::size_t end = std::min(array.shape(0), begin + kTaskBytes);
        sum += ops.read(data_of<std::uint8_t>(array) + begin, end - begin);
    });
    return sum;
}

}  // namespace

NB_MODULE(_native, m) {
    // A graph that is still open when the interpreter ends is no leak.
    nb::set_leak_warnings(false);
    m.doc() = "SIMD kernels; see vecstore.kernels.base for what each call does.";
    const auto optional = [](const char* name) { return nb::arg(name).noconvert().none(); };
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    m.def("scan", &scan, nb::arg("metric"), array("queries"), array("rows"), optional("inverse_norms"),
          optional("allowed"), array("out_rows"), array("out_distances"), Release());
    m.def("nearest", &nearest, nb::arg("metric"), array("queries"), array("rows"), array("query_bounds"),
          array("row_bounds"), array("base"), array("out_rows"), array("out_distances"), Release());
    m.def("scan_by_bytes", &scan_by_bytes, nb::arg("metric"), array("queries"), array("rows"),
          optional("inverse_norms"), optional("allowed"), array("blocks"), array("scales"), array("squares"),
          array("errors"), array("lengths"), array("out_rows"), array("out_distances"), Release());
    m.def("row_bytes_pay", [] { return current_ops().code_dots.pay; });
    m.def("round_rows", &rounded, nb::arg("metric"), array("rows"), optional("inverse_norms"), array("blocks"),
          array("scales"), array("squares"), array("errors"), array("lengths"), Release());
    m.def("hamming_scan", &hamming, array("queries"), array("rows"), optional("allowed"), array("out_rows"),
          array("out_distances"), Release());
    m.def("rerank", &rerank, nb::arg("metric"), array("queries"), array("rows"), optional("inverse_norms"),
          array("candidates"), array("out_distances"), Release());
    m.def("block_scan", &blocks, array("queries"), array("blocks"), optional("inverse_norms"), array("kept"),
          optional("allowed"), array("out_rows"), array("out_distances"), Release());
    m.def("hadamard", &hadamard, array("rows"), array("permutations"), array("factors"), nb::arg("block"), array("out"),
          Release());
    m.def("inverse_norms", &inverse_norms, array("rows"), array("out"), Release());
    m.def("read_bytes", &read_bytes, array("array"), Release(),
          "Reads every byte with this instruction set's widest loads, for comparison in benchmarks.");
    bind_binary(m);
    bind_codes(m);
    bind_encode(m);
    bind_files(m);
    bind_formula(m);
    bind_graph(m);
    bind_lists(m);
    bind_maxsim(m);
    bind_tokens(m);
    bind_packed(m);
    bind_sparse(m);
    bind_seismic(m);
    bind_windows(m);
    nb::register_exception_translator([](const std::exception_ptr& error, void*) {
        try {
            std::rethrow_exception(error);
        } catch (const Stopped&) {
            PyErr_SetNone(nb::module_::import_("vecstore.kernels.stop").attr("Stopped").ptr());
        }
    });
    m.def("set_stop", &stop_by, optional("flag"), nb::arg("seconds"),
          "What may stop this thread's calls from now on, until it is set again; see vecstore.kernels.stop.");
    m.def("set_threads", &set_threads, nb::arg("threads"));
    m.def("threads", &threads);
    m.def("supported_isas", &supported_isas);
    m.def("use_isa", &use_isa, nb::arg("name"));
    m.def("current_isa", [] { return std::string(current_ops().isa); });
}
