// Bindings of late interaction; see vecstore/kernels/base.py for what each call does.
#include <stdexcept>

#include "bindings.h"
#include "maxsim_bytes.h"
#include "token_input.h"

namespace vecstore {
namespace {

struct Scan {
    TokenRows queries, rows;
    const std::uint64_t* allowed;
    TopKOutput output;

    Scan(const Input& query_offsets, const Input& query_tokens, const Input& offsets, const Input& tokens,
         const Input& bits, const Output& out_rows, const Output& out_distances)
        : queries(query_rows(query_offsets, query_tokens)), rows(token_rows("tokens", offsets, tokens, queries.dim)) {
        check_offsets("rows", rows.offsets, rows.n, tokens.shape(0));
        allowed = bitmap_of(bits, words(rows.n));
        check("out_rows", out_rows, kInt64, {queries.n, kAny});
        check("out_distances", out_distances, kFloat32, {queries.n, out_rows.shape(1)});
        output = {out_rows.shape(1), static_cast<std::int64_t*>(out_rows.data()),
                  static_cast<float*>(out_distances.data())};
    }
};

void scan(Input query_offsets, Input query_tokens, Input offsets, Input tokens, Input allowed, Output out_rows,
          Output out_distances) {
    const Scan asked(query_offsets, query_tokens, offsets, tokens, allowed, out_rows, out_distances);
    if (out_rows.size() != 0) maxsim_scan(asked.queries, asked.rows, asked.allowed, asked.output);
}

std::size_t scan_by_bytes(Input query_offsets, Input query_tokens, Input offsets, Input tokens, Input allowed,
                          Input bytes, Input scales, Input errors, Input lengths, Output out_rows,
                          Output out_distances) {
    const Scan asked(query_offsets, query_tokens, offsets, tokens, allowed, out_rows, out_distances);
    check("errors", errors, kFloat32, {kAny});
    const std::size_t n = errors.shape(0), most = asked.rows.n;
    if (n > most) fail("errors are those of " + std::to_string(n) + " rows, and there are " + std::to_string(most));
    if (most > 0xffffffffu || asked.rows.offsets[0] != 0) fail("rows must be at most 2^32 - 1 and begin at offset 0");
    const auto held = static_cast<std::size_t>(asked.rows.offsets[n]), width = (asked.rows.dim + 3) / 4 * 4;
    check("lengths", lengths, kFloat32, {n});
    check("scales", scales, kFloat32, {held});
    check("bytes", bytes, kUInt8, {held, width});
    if (out_rows.size() == 0) return 0;
    const TokenRowBytes rounded{n,
                                data_of<std::uint8_t>(bytes),
                                width,
                                data_of<float>(scales),
                                data_of<float>(errors),
                                data_of<float>(lengths)};
    return maxsim_scan_by_bytes(asked.queries, asked.rows, rounded, asked.allowed, asked.output);
}

void rounded(Input offsets, Input tokens, Output bytes, Output scales, Output errors, Output lengths) {
    const TokenRows rows = token_rows("tokens", offsets, tokens, kAny);
    check_offsets("rows", rows.offsets, rows.n, tokens.shape(0));
    if (rows.offsets[0] != 0) fail("rows must begin at offset 0");
    const auto held = static_cast<std::size_t>(rows.offsets[rows.n]);
    check("bytes", bytes, kUInt8, {held, (rows.dim + 3) / 4 * 4});
    check("scales", scales, kFloat32, {held});
    check("errors", errors, kFloat32, {rows.n});
    check("lengths", lengths, kFloat32, {rows.n});
    round_tokens(rows, {static_cast<std::uint8_t*>(bytes.data()), static_cast<float*>(scales.data()),
                        static_cast<float*>(errors.data()), static_cast<float*>(lengths.data())});
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
    m.def("maxsim_scan_by_bytes", &scan_by_bytes, array("query_offsets"), array("query_tokens"), array("offsets"),
          array("tokens"), optional("allowed"), array("bytes"), array("scales"), array("errors"), array("lengths"),
          array("out_rows"), array("out_distances"), Release());
    m.def("token_bytes_pay", [] { return current_maxsim_ops().bytes_pay; });
    m.def("round_tokens", &rounded, array("offsets"), array("tokens"), array("bytes"), array("scales"), array("errors"),
          array("lengths"), Release());
    m.def("maxsim_rerank", &rerank, array("query_offsets"), array("query_tokens"), array("offsets"), array("tokens"),
          array("candidates"), array("out_distances"), Release());
}

}  // namespace vecstore
