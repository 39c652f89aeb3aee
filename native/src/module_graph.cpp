// Bindings of the graph index: two objects that check their arrays once and keep them alive.
#include <atomic>
#include <memory>

#include <nanobind/stl/vector.h>

#include "bindings.h"
#include "graph_builder.h"
#include "graph_search.h"

namespace vecstore {
namespace {

constexpr Type kInt8{nb::dlpack::dtype_code::Int, 8, "int8"};
constexpr std::size_t kRowsMax = (std::size_t{1} << 31) - 1;  // a candidate's row has 31 bits
constexpr std::size_t kDimMax = 1 << 16;

void check_below(const char* name, const std::uint32_t* values, std::size_t count, std::size_t bound) {
    std::uint32_t top = 0;
    for (std::size_t i = 0; i < count; ++i) top = std::max(top, values[i]);
    if (count != 0 && top >= bound)
        fail(std::string(name) + " hold " + std::to_string(top) + ", not below " + std::to_string(bound));
}

class NativeGraph {
 public:
    NativeGraph(int metric, Input rows, Input inverse_norms, Input neighbours, Input codes, Input entries, Input mean,
                Input directions, Input direction_scales, Input fields, Input field_weights, float add_unit,
                float scale_unit)
        : kept_{rows, inverse_norms, neighbours,       codes,  entries,
                mean, directions,    direction_scales, fields, field_weights} {
        if (metric < 0 || metric > 2) fail("metric must be 0 (l2), 1 (dot) or 2 (cosine)");
        check_shape("rows", rows, {kAny, kAny});
        const std::size_t n = rows.shape(0), dim = rows.shape(1);
        if (n == 0 || n > kRowsMax) fail("a graph has 1 to 2^31 - 1 rows");
        if (dim == 0 || dim > kDimMax) fail("rows must have 1 to 65536 components");
        const Element element = element_of(rows);
        const std::size_t bytes = element == Element::f32 ? 4 : 2;
        GraphArrays a{};
        a.metric = static_cast<Metric>(metric);
        a.rows = {{data_of<std::uint8_t>(rows), n, dim * bytes, nullptr}, dim, element, nullptr};
        if (a.metric == Metric::cosine) {
            if (!inverse_norms.is_valid()) fail("cosine needs inverse_norms");
            check("inverse_norms", inverse_norms, kFloat32, {n});
            a.rows.inverse_norms = data_of<float>(inverse_norms);
        }
        check("neighbours", neighbours, kUInt32, {n, kAny});
        a.degree = neighbours.shape(1);
        a.neighbours = data_of<std::uint32_t>(neighbours);
        check_below("neighbours", a.neighbours, n * a.degree, n);
        check("codes", codes, kUInt8, {n, kAny});
        a.lines = codes.shape(1) / kCodeLine;
        if (a.lines == 0 || codes.shape(1) % kCodeLine != 0) fail("codes must come in lines of 64 bytes");
        a.codes = data_of<std::uint8_t>(codes);
        check("entries", entries, kUInt32, {kAny});
        a.nentries = entries.shape(0);
        a.entries = data_of<std::uint32_t>(entries);
        if (a.nentries == 0) fail("a graph needs an entry");
        check_below("entries", a.entries, a.nentries, n);
        check("mean", mean, kFloat32, {dim});
        a.mean = data_of<float>(mean);
        check("directions", directions, kInt8, {kAny, dim});
        a.ndirections = directions.shape(0);
        a.directions = data_of<std::int8_t>(directions);
        check("direction_scales", direction_scales, kFloat32, {a.ndirections});
        a.direction_scales = data_of<float>(direction_scales);
        check("fields", fields, kInt32, {kAny, 4});
        check("field_weights", field_weights, kFloat32, {fields.shape(0)});
        a.nfields = fields.shape(0);
        a.fields = reinterpret_cast<const CodeField*>(data_of<std::int32_t>(fields));
        a.field_weights = data_of<float>(field_weights);
        check_fields(a);
        a.add_unit = add_unit;
        a.scale_unit = scale_unit;
        graph_ = std::make_unique<Graph>(a);
    }

    void search(Input queries, std::size_t ef, std::size_t rescored, bool detours, Input allowed, Input skipped,
                float reach, float least, std::size_t near, std::size_t kept, Output out_rows, Output out_distances,
                Output out_counters) const {
        const GraphOutput output = checked(queries, rescored, allowed, out_rows, out_distances, out_counters);
        if (ef < output.k) fail("ef must be at least k");
        if (!(reach >= 0 && least >= 0 && near >= 1 && near <= kept))
            fail("a narrow walk needs reach and least of at least 0 and 1 <= near <= kept");
        if (skipped.is_valid()) {
            check("skipped", skipped, kInt64, {queries.shape(0)});
            for (std::size_t q = 0; q < skipped.shape(0); ++q)
                if (data_of<std::int64_t>(skipped)[q] >= static_cast<std::int64_t>(n()))
                    fail("skipped is past the rows");
        }
        if (queries.shape(0) == 0) return;
        graph_->search(data_of<float>(queries), queries.shape(0),
                       {output.k,
                        std::min(ef, n()),
                        rescored,
                        detours ? Detour::two_hops : Detour::none,
                        data_of<std::uint64_t>(allowed),
                        data_of<std::int64_t>(skipped),
                        {reach, least, near, kept}},
                       tuning_, output);
    }

    void scan(Input queries, std::size_t rescored, Input allowed, Output out_rows, Output out_distances,
              Output out_counters) const {
        const GraphOutput output = checked(queries, rescored, allowed, out_rows, out_distances, out_counters);
        if (queries.shape(0) == 0) return;
        graph_->scan(data_of<float>(queries), queries.shape(0),
                     {output.k, 0, rescored, Detour::none, data_of<std::uint64_t>(allowed)}, output);
    }

    void tune(std::size_t interleave, std::size_t code_lines, std::size_t heads, std::size_t sparse_from) {
        if (interleave == 0 || interleave > 64) fail("interleave must be in 1..64");
        if (heads > 64) fail("heads must be in 0..64");
        tuning_ = {interleave, code_lines, heads, sparse_from};
    }

 private:
    std::size_t n() const { return graph_->arrays().rows.rows.n; }

    GraphOutput checked(const Input& queries, std::size_t rescored, const Input& allowed, const Output& out_rows,
                        const Output& out_distances, const Output& out_counters) const {
        check("queries", queries, kFloat32, {kAny, graph_->arrays().rows.dim});
        const std::size_t nq = queries.shape(0);
        check("out_rows", out_rows, kInt64, {nq, kAny});
        const std::size_t k = out_rows.shape(1);
        check("out_distances", out_distances, kFloat32, {nq, k});
        check("out_counters", out_counters, kInt64, {nq, kGraphCounters});
        if (allowed.is_valid()) check("allowed", allowed, kUInt64, {words(n())});
        if (k == 0) fail("out_rows must have columns");
        if (rescored != 0 && rescored < k) fail("rescored must be 0 or at least k");
        return {k, static_cast<std::int64_t*>(out_rows.data()), static_cast<float*>(out_distances.data()),
                static_cast<std::int64_t*>(out_counters.data())};
    }

    static void check_fields(const GraphArrays& a) {
        const std::size_t nbytes = a.lines * kCodeLine;
        std::vector<std::int32_t> width(nbytes, 0);
        for (std::size_t f = 0; f < a.nfields; ++f) {
            const CodeField& field = a.fields[f];
            const bool inside = field.byte >= static_cast<std::int32_t>(kCodeHeader) && field.direction >= 0 &&
                                static_cast<std::size_t>(field.byte) < nbytes &&
                                static_cast<std::size_t>(field.direction) < a.ndirections;
            const bool shaped = field.width == 1 || field.width == 2 || field.width == 4;
            if (!inside || !shaped || field.shift < 0 || field.shift > 7 || field.shift % field.width != 0)
                fail("a field of the codes is out of range");
            if (width[field.byte] != 0 && width[field.byte] != field.width) fail("a byte of the codes mixes widths");
            width[field.byte] = field.width;
        }
    }

    std::vector<Input> kept_;
    GraphTuning tuning_;
    std::unique_ptr<Graph> graph_;
};

class NativeGraphBuilder {
 public:
    NativeGraphBuilder(Input bytes, Input scales, Input squares, Input sums, std::size_t leaf_rows,
                       std::size_t leaf_nearest, std::size_t reservoir, std::vector<std::size_t> fanout,
                       std::uint64_t seed, float alpha, Output neighbours)
        : kept_{bytes, scales, squares, sums}, neighbours_(neighbours), reservoir_(reservoir) {
        check("bytes", bytes, kInt8, {kAny, kAny});
        n_ = bytes.shape(0);
        if (n_ == 0 || n_ > kRowsMax) fail("a graph has 1 to 2^31 - 1 rows");
        if (bytes.shape(1) == 0 || bytes.shape(1) % 8 != 0) fail("bytes must have a multiple of 8 columns");
        check("scales", scales, kFloat32, {n_});
        check("squares", squares, kFloat32, {n_});
        check("sums", sums, kInt32, {n_});
        check("neighbours", neighbours, kUInt32, {n_, kAny});
        const std::size_t degree = neighbours.shape(1);
        if (degree == 0 || degree > 1024) fail("degree must be in 1..1024");
        if (leaf_rows < 16 || leaf_nearest == 0 || reservoir == 0 || reservoir > 1024 || fanout.empty())
            fail("the builder's parameters are out of range");
        for (const std::size_t f : fanout)
            if (f == 0) fail("a fanout must be at least 1");
        const ByteRows rows{
            data_of<std::int8_t>(bytes), n_, bytes.shape(1), data_of<float>(scales), data_of<float>(squares),
            data_of<std::int32_t>(sums)};
        builder_ = std::make_unique<GraphBuilder>(
            rows, GraphBuildParams{degree, leaf_rows, leaf_nearest, reservoir, fanout, seed, alpha},
            static_cast<std::uint32_t*>(neighbours.data()));
    }

    std::size_t carve() { return leaves_ = builder_->carve(); }
    void join(std::size_t begin, std::size_t end) { builder_->join(ordered(begin, end, leaves_), end); }
    void seed(Input rows, Input neighbours) {
        check("rows", rows, kUInt32, {kAny});
        check("neighbours", neighbours, kUInt32, {rows.shape(0), kAny});
        check_below("rows", data_of<std::uint32_t>(rows), rows.size(), n_);
        check_below("neighbours", data_of<std::uint32_t>(neighbours), neighbours.size(), n_);
        builder_->seed(data_of<std::uint32_t>(rows), rows.shape(0), data_of<std::uint32_t>(neighbours),
                       neighbours.shape(1));
    }
    void prune(std::size_t begin, std::size_t end) {
        if (begin != pruned_) fail("rows are pruned in order");
        leaves_ = 0;  // they are gone
        builder_->prune(ordered(begin, end, n_), end);
        pruned_ = end;
    }
    void pruned(std::size_t begin, std::size_t end) {
        if (begin != pruned_) fail("rows are pruned in order");
        ordered(begin, end, n_);
        const std::size_t degree = neighbours_.shape(1);
        check_below("neighbours", static_cast<const std::uint32_t*>(neighbours_.data()) + begin * degree,
                    (end - begin) * degree, n_);
        builder_->pruned(begin, end);
        pruned_ = end;
    }
    void held(std::size_t begin, std::size_t end, Output out) const {
        ordered(begin, end, n_);
        check("out", out, kUInt32, {end - begin, reservoir_});
        builder_->held(begin, end, static_cast<std::uint32_t*>(out.data()));
    }
    void reverse() {
        if (pruned_ != n_) fail("reverse comes after all rows are pruned");
        builder_->reverse(), reversed_ = true;
    }
    void finish(std::size_t begin, std::size_t end) {
        if (!reversed_) fail("finish comes after reverse");
        builder_->finish(ordered(begin, end, n_), end);
    }

 private:
    static std::size_t ordered(std::size_t begin, std::size_t end, std::size_t most) {
        if (begin > end || end > most) fail("a range ends past " + std::to_string(most));
        return begin;
    }

    std::vector<Input> kept_;
    Output neighbours_;
    std::size_t reservoir_;
    std::size_t n_ = 0, leaves_ = 0, pruned_ = 0;
    bool reversed_ = false;
    std::unique_ptr<GraphBuilder> builder_;
};

}  // namespace

void bind_graph(nb::module_& m) {
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    nb::class_<NativeGraph>(m, "Graph")
        .def(nb::init<int, Input, Input, Input, Input, Input, Input, Input, Input, Input, Input, float, float>(),
             nb::arg("metric"), array("rows"), nb::arg("inverse_norms").noconvert().none(), array("neighbours"),
             array("codes"), array("entries"), array("mean"), array("directions"), array("direction_scales"),
             array("fields"), array("field_weights"), nb::arg("add_unit"), nb::arg("scale_unit"))
        .def("search", &NativeGraph::search, array("queries"), nb::arg("ef"), nb::arg("rescored"), nb::arg("detours"),
             nb::arg("allowed").noconvert().none(), nb::arg("skipped").noconvert().none(), nb::arg("reach"),
             nb::arg("least"), nb::arg("near"), nb::arg("kept"), array("out_rows"), array("out_distances"),
             array("out_counters"), Release())
        .def("scan", &NativeGraph::scan, array("queries"), nb::arg("rescored"), nb::arg("allowed").noconvert().none(),
             array("out_rows"), array("out_distances"), array("out_counters"), Release())
        .def("tune", &NativeGraph::tune, nb::arg("interleave"), nb::arg("code_lines"), nb::arg("heads"),
             nb::arg("sparse_from") = GraphTuning{}.sparse_from);
    nb::class_<NativeGraphBuilder>(m, "GraphBuilder")
        .def(nb::init<Input, Input, Input, Input, std::size_t, std::size_t, std::size_t, std::vector<std::size_t>,
                      std::uint64_t, float, Output>(),
             array("bytes"), array("scales"), array("squares"), array("sums"), nb::arg("leaf_rows"),
             nb::arg("leaf_nearest"), nb::arg("reservoir"), nb::arg("fanout"), nb::arg("seed"), nb::arg("alpha"),
             array("neighbours"))
        .def("carve", &NativeGraphBuilder::carve, Release())
        .def("join", &NativeGraphBuilder::join, nb::arg("begin"), nb::arg("end"), Release())
        .def("prune", &NativeGraphBuilder::prune, nb::arg("begin"), nb::arg("end"), Release())
        .def("pruned", &NativeGraphBuilder::pruned, nb::arg("begin"), nb::arg("end"), Release())
        .def("held", &NativeGraphBuilder::held, nb::arg("begin"), nb::arg("end"), array("out"), Release())
        .def("seed", &NativeGraphBuilder::seed, array("rows"), array("neighbours"), Release())
        .def("reverse", &NativeGraphBuilder::reverse, Release())
        .def("finish", &NativeGraphBuilder::finish, nb::arg("begin"), nb::arg("end"), Release());
}

}  // namespace vecstore
