// Bindings of the index of blocks of similar rows.
#include <memory>

#include "seismic_search.h"
#include "sketch_nearest.h"
#include "sparse_bindings.h"

namespace vecstore {
namespace {

class NativeSeismic {
 public:
    NativeSeismic(Input rows, Input terms, Input scales, Input term_parts, Input block_bits, Input part_blocks,
                  Input part_codes, Input part_records, Input record_bases, Input records)
        : kept_{rows,        terms,      scales,       term_parts,   block_bits,
                part_blocks, part_codes, part_records, record_bases, records} {
        check("rows", rows, kUInt32, {kAny});
        check("terms", terms, kUInt32, {kAny});
        const std::size_t nterms = terms.shape(0), nblocks = (rows.shape(0) + kBlockRows - 1) / kBlockRows;
        check("scales", scales, kFloat32, {nterms});
        check("term_parts", term_parts, kInt64, {nterms + 1});
        check("block_bits", block_bits, kUInt64, {kAny, (nblocks + 63) / 64});
        const bool narrow = kUInt16.matches(part_blocks);
        check("part_blocks", part_blocks, narrow ? kUInt16 : kUInt32, {kAny});
        check("part_codes", part_codes, kUInt8, {kAny});
        const std::size_t nsegments = part_codes.shape(0);
        check("part_records", part_records, kUInt16, {nsegments});
        check("record_bases", record_bases, kInt64, {(nsegments + kGroupParts - 1) / kGroupParts});
        check("records", records, kUInt8, {kAny});
        SeismicArrays a{};
        a.n = rows.shape(0);
        a.nterms = nterms;
        a.nsegments = nsegments;
        a.ndense = block_bits.shape(0);
        a.nothers = part_blocks.shape(0);
        a.nbytes = records.shape(0);
        a.rows = data_of<std::uint32_t>(rows);
        a.terms = data_of<std::uint32_t>(terms);
        a.scales = data_of<float>(scales);
        a.term_parts = data_of<std::int64_t>(term_parts);
        a.block_bits = data_of<std::uint64_t>(block_bits);
        if (narrow)
            a.part_blocks16 = data_of<std::uint16_t>(part_blocks);
        else
            a.part_blocks32 = data_of<std::uint32_t>(part_blocks);
        a.part_codes = data_of<std::uint8_t>(part_codes);
        a.parts = {data_of<std::uint8_t>(records), data_of<std::int64_t>(record_bases),
                   data_of<std::uint16_t>(part_records)};
        index_ = std::make_unique<SeismicIndex>(a);
    }

    void search(Input query_offsets, Input query_indices, Input query_values, Input offsets, Input indices,
                Input values, const NativePacked* packed, std::size_t depth, std::size_t first, double block_factor,
                std::size_t terms, double share, bool all, bool bounded, bool coded, Input allowed, Output out_rows,
                Output out_distances, Output out_counters) const {
        const SparseView queries = query_view(query_offsets, query_indices, query_values);
        const SparseView rows = stored_view(offsets, indices, values, packed);
        if (rows.n != index_->arrays().n) fail("the index is over another number of rows");
        const std::uint64_t* mask = bitmap_of(allowed, words(rows.n));
        check("out_rows", out_rows, kInt64, {queries.n, kAny});
        const std::size_t k = out_rows.shape(1);
        check("out_distances", out_distances, kFloat32, {queries.n, k});
        check("out_counters", out_counters, kInt64, {queries.n, kSeismicCounters});
        if (k == 0) fail("out_rows must have columns");
        if (!(block_factor > 0)) fail("block_factor must be positive");
        if (!(share > 0 && share <= 1)) fail("share must be in (0, 1]");
        if (terms == 0) fail("terms must be positive");
        seismic_search(*index_, rows, queries, {depth, first, block_factor, terms, share, all, bounded, coded}, mask,
                       {k, static_cast<std::int64_t*>(out_rows.data()), static_cast<float*>(out_distances.data()),
                        static_cast<std::int64_t*>(out_counters.data())});
    }

 private:
    std::vector<Input> kept_;
    std::unique_ptr<SeismicIndex> index_;
};

void nearest(Input ids, Input weights, Input members, Input centroids, Output out) {
    check("ids", ids, kUInt32, {kAny, kAny});
    const std::size_t n = ids.shape(0), width = ids.shape(1);
    check("weights", weights, kFloat32, {n, width});
    check("members", members, kInt64, {kAny});
    check("centroids", centroids, kFloat32, {kAny, kAny});
    check("out", out, kInt32, {members.shape(0)});
    if (centroids.shape(1) == 0) fail("centroids must have columns");
    for (std::size_t i = 0; i < members.shape(0); ++i)
        if (const std::int64_t row = data_of<std::int64_t>(members)[i]; row < 0 || row >= static_cast<std::int64_t>(n))
            fail("members hold row " + std::to_string(row));
    for (std::size_t i = 0; i < ids.size(); ++i)
        if (data_of<std::uint32_t>(ids)[i] >= centroids.shape(0)) fail("ids are past the centroids");
    sketch_nearest(data_of<std::uint32_t>(ids), data_of<float>(weights), width, data_of<std::int64_t>(members),
                   members.shape(0), data_of<float>(centroids), centroids.shape(1),
                   static_cast<std::int32_t*>(out.data()));
}

}  // namespace

void bind_seismic(nb::module_& m) {
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    const auto optional = [](const char* name) { return nb::arg(name).noconvert().none(); };
    nb::class_<NativeSeismic>(m, "Seismic")
        .def(nb::init<Input, Input, Input, Input, Input, Input, Input, Input, Input, Input>(), array("rows"),
             array("terms"), array("scales"), array("term_parts"), array("block_bits"), array("part_blocks"),
             array("part_codes"), array("part_records"), array("record_bases"), array("records"))
        .def("search", &NativeSeismic::search, array("query_offsets"), array("query_indices"), array("query_values"),
             optional("offsets"), optional("indices"), optional("values"), nb::arg("packed").none(), nb::arg("depth"),
             nb::arg("first"), nb::arg("block_factor"), nb::arg("terms"), nb::arg("share"), nb::arg("all"),
             nb::arg("bounded"), nb::arg("coded"), optional("allowed"), array("out_rows"), array("out_distances"),
             array("out_counters"), Release());
    m.def("sketch_nearest", &nearest, array("ids"), array("weights"), array("members"), array("centroids"),
          array("out"), Release());
}

}  // namespace vecstore
