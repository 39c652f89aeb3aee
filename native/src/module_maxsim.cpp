// Bindings of late interaction; see vecstore/kernels/base.py for what each call does.
#include <stdexcept>

#include "bindings.h"
#include "maxsim.h"
#include "token_input.h"

namespace vecstore {
namespace {

void scan(Input query_offsets, Input query_tokens, Input offsets, Input tokens, Input allowed, Output out_rows,
          Output out_distances) {
    const TokenRows queries = query_rows(query_offsets, query_tokens);
    const TokenRows rows = token_rows("tokens", offsets, tokens, queries.dim);
    check_offsets("rows", rows.offsets, rows.n, tokens.shape(0));
    const std::uint64_t* bits = bitmap_of(allowed, words(rows.n));
    check("out_rows", out_rows, kInt64, {queries.n, kAny});
    check("out_distances", out_distances, kFloat32, {queries.n, out_rows.shape(1)});
    if (out_rows.size() == 0) return;
    maxsim_scan(
        queries, rows, bits,
        {out_rows.shape(1), static_cast<std::int64_t*>(out_rows.data()), static_cast<float*>(out_distances.data())});
}

void rerank(Input query_offsets, Input query_tokens, Input offsets, Input tokens, Input candidates,
            Output out_distances) {
    const TokenRows queries = query_rows(query_offsets, query_tokens);
    const TokenRows rows = token_rows("tokens", offsets, tokens, queries.dim);
    check("candidates", candidates, kInt64, {queries.n, kAny});
    check("out_distances", out_distances, kFloat32, {queries.n, candidates.shape(1)});
    try {
        maxsim_rerank(queries, rows, tokens.shape(0), data_of<std::int64_t>(candidates), candidates.shape(1),
                      static_cast<float*>(out_distances.data()));
    } catch (const std::out_of_range& error) {
        fail(error.what());
    }
}

}  // namespace

void bind_maxsim(nb::module_& m) {
    const auto optional = [](const char* name) { return nb::arg(name).noconvert().none(); };
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    m.def("maxsim_scan", &scan, array("query_offsets"), array("query_tokens"), array("offsets"), array("tokens"),
          optional("allowed"), array("out_rows"), array("out_distances"), Release());
    m.def("maxsim_rerank", &rerank, array("query_offsets"), array("query_tokens"), array("offsets"), array("tokens"),
          array("candidates"), array("out_distances"), Release());
}

}  // namespace vecstore
