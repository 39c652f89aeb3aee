// Bindings of token codes: an object that checks its arrays once and keeps them alive.
#include "bindings.h"
#include "fde.h"
#include "token_codes.h"
#include "token_input.h"
#include "token_pool.h"

namespace vecstore {
namespace {

constexpr std::size_t kDimMax = 1 << 16;  // sums of byte products stay below 2^31
constexpr std::size_t kRowsMax = (std::size_t{1} << 32) - 1;

class NativeTokens {
 public:
    NativeTokens(std::size_t dim, Input offsets, Input homes, Input centroids, Input centroid_scales, Input codes,
                 int bits, Input levels, float step, Input scales, Input scale_values, Input list_starts, Input lists)
        : kept_{offsets, homes, centroids, centroid_scales, codes, levels, scales, scale_values, list_starts, lists} {
        if (dim == 0 || dim > kDimMax) fail("tokens must have 1 to 65536 components");
        check("offsets", offsets, kInt64, {kAny});
        if (offsets.shape(0) == 0 || offsets.shape(0) > kRowsMax) fail("offsets must cut 0 to 2^32 - 2 rows");
        codes_.n = offsets.shape(0) - 1;
        codes_.dim = dim;
        codes_.offsets = data_of<std::int64_t>(offsets);
        codes_.bits = bits;
        codes_.step = step;
        if (homes.is_valid()) take_centroids(homes, centroids, centroid_scales, list_starts, lists);
        if (codes.is_valid()) take_codes(codes, levels, scales, scale_values);
        if (homes.is_valid() && codes.is_valid() && homes.shape(0) != codes.shape(0))
            fail("homes and codes are of " + std::to_string(homes.shape(0)) + " and " + std::to_string(codes.shape(0)) +
                 " tokens");
        if (!homes.is_valid() && !codes.is_valid()) fail("tokens need centroids or codes");
        const std::size_t total = homes.is_valid() ? homes.shape(0) : codes.shape(0);
        check_offsets("rows", codes_.offsets, codes_.n, total);
        if (codes_.offsets[0] != 0) fail("offsets of rows must begin at 0");
    }

    void search(Input query_offsets, Input query_tokens, std::size_t lists, Input allowed, Output out_rows,
                Output out_distances, Output out_counters) const {
        if (codes_.homes == nullptr) fail("these tokens have no centroids");
        const TokenRows queries = checked_queries(query_offsets, query_tokens);
        const std::uint64_t* bits = bitmap_of(allowed, words(codes_.n));
        check("out_rows", out_rows, kInt64, {queries.n, kAny});
        check("out_distances", out_distances, kFloat32, {queries.n, out_rows.shape(1)});
        check("out_counters", out_counters, kInt64, {queries.n, 2});
        centroid_search(codes_, queries,
                        {lists, bits, out_rows.shape(1), static_cast<std::int64_t*>(out_rows.data()),
                         static_cast<float*>(out_distances.data()), static_cast<std::int64_t*>(out_counters.data())});
    }

    void rerank(Input query_offsets, Input query_tokens, Input candidates, Output out_distances) const {
        if (codes_.codes == nullptr) fail("these tokens have no codes");
        const TokenRows queries = checked_queries(query_offsets, query_tokens);
        check("candidates", candidates, kInt64, {queries.n, kAny});
        check("out_distances", out_distances, kFloat32, {queries.n, candidates.shape(1)});
        const auto* rows = data_of<std::int64_t>(candidates);
        for (std::size_t i = 0; i < candidates.size(); ++i)
            if (rows[i] < -1 || rows[i] >= static_cast<std::int64_t>(codes_.n))
                fail("candidate row " + std::to_string(rows[i]) + " is not in -1.." +
                     std::to_string(static_cast<std::int64_t>(codes_.n) - 1));
        token_rerank(codes_, queries, rows, candidates.shape(1), static_cast<float*>(out_distances.data()));
    }

 private:
    TokenRows checked_queries(const Input& offsets, const Input& tokens) const {
        const TokenRows queries = query_rows(offsets, tokens);
        if (queries.dim != codes_.dim)
            fail("queries have " + std::to_string(queries.dim) + " components, tokens " + std::to_string(codes_.dim));
        return queries;
    }

    void take_centroids(const Input& homes, const Input& centroids, const Input& scales, const Input& list_starts,
                        const Input& lists) {
        check("homes", homes, kUInt16, {kAny});
        check("centroids", centroids, kUInt8, {kAny, (codes_.dim + 3) / 4 * 4});
        codes_.ncentroids = centroids.shape(0);
        codes_.centroid_bytes = centroids.shape(1);
        check("centroid_scales", scales, kFloat32, {codes_.ncentroids});
        const auto* numbers = data_of<std::uint16_t>(homes);
        for (std::size_t t = 0; t < homes.shape(0); ++t)
            if (numbers[t] >= codes_.ncentroids)
                fail("homes hold " + std::to_string(numbers[t]) + ", which is no centroid");
        check("list_starts", list_starts, kInt64, {codes_.ncentroids + 1});
        check("lists", lists, kUInt8, {kAny});
        codes_.list_starts = data_of<std::int64_t>(list_starts);
        check_offsets("lists", codes_.list_starts, codes_.ncentroids, lists.shape(0));
        if (codes_.list_starts[0] != 0 ||
            codes_.list_starts[codes_.ncentroids] != static_cast<std::int64_t>(lists.shape(0)))
            fail("lists do not fill their bytes");
        codes_.lists = data_of<std::uint8_t>(lists);
        for (std::size_t c = 0; c < codes_.ncentroids; ++c)
            check_list(codes_.lists + codes_.list_starts[c], codes_.lists + codes_.list_starts[c + 1]);
        codes_.homes = numbers;
        codes_.centroids = data_of<std::uint8_t>(centroids);
        codes_.centroid_scales = data_of<float>(scales);
        codes_.centroid_length = longest_centroid(codes_);
    }

    void check_list(const std::uint8_t* at, const std::uint8_t* end) const {
        std::uint64_t next = 0;
        while (at < end) {
            std::uint64_t gap = 0;
            for (int shift = 0;; shift += 7) {
                if (at == end) fail("lists end within a row");
                if (shift == 35) fail("lists hold a row of more than 5 bytes");
                gap |= static_cast<std::uint64_t>(*at & 127) << shift;
                if (*at++ < 128) break;
            }
            next += gap + 1;
            if (next > codes_.n) fail("lists hold row " + std::to_string(next - 1));
        }
    }

    void take_codes(const Input& codes, const Input& levels, const Input& scales, const Input& scale_values) {
        if (codes_.bits != 1 && codes_.bits != 2 && codes_.bits != 4 && codes_.bits != 8)
            fail("bits must be 1, 2, 4 or 8");
        const std::size_t bytes = ((codes_.dim * static_cast<std::size_t>(codes_.bits) + 7) / 8 + 3) / 4 * 4;
        check("codes", codes, kUInt8, {kAny, bytes});
        codes_.codes = data_of<std::uint8_t>(codes);
        codes_.code_bytes = bytes;
        check("levels", levels, kUInt8, {16});
        codes_.levels = data_of<std::uint8_t>(levels);
        if (scale_values.is_valid()) {
            check("scale_values", scale_values, kFloat32, {256});
            codes_.scale_values = data_of<float>(scale_values);
            check("scales", scales, kUInt8, {codes.shape(0)});
        } else {
            codes_.half_scales = kFloat16.matches(scales);
            check("scales", scales, codes_.half_scales ? kFloat16 : kFloat32, {codes.shape(0)});
        }
        codes_.scales = data_of<std::uint8_t>(scales);
    }

    Input kept_[10];
    TokenCodes codes_{};
};

void nearest(Input tokens, Input centroids, Input scales, Output homes) {
    check("tokens", tokens, kFloat32, {kAny, kAny});
    TokenCodes codes{};
    codes.dim = tokens.shape(1);
    if (codes.dim == 0 || codes.dim > kDimMax) fail("tokens must have 1 to 65536 components");
    check("centroids", centroids, kUInt8, {kAny, (codes.dim + 3) / 4 * 4});
    codes.ncentroids = centroids.shape(0);
    if (codes.ncentroids == 0 || codes.ncentroids > 1 << 16) fail("there must be 1 to 65536 centroids");
    check("scales", scales, kFloat32, {codes.ncentroids});
    check("homes", homes, kUInt16, {tokens.shape(0)});
    codes.centroids = data_of<std::uint8_t>(centroids);
    codes.centroid_bytes = centroids.shape(1);
    codes.centroid_scales = data_of<float>(scales);
    nearest_centroids(codes, data_of<float>(tokens), tokens.shape(0), static_cast<std::uint16_t*>(homes.data()));
}

void pool(Input tokens, Input offsets, std::size_t kept, Input out_offsets, Output out) {
    check("tokens", tokens, kFloat32, {kAny, kAny});
    check("offsets", offsets, kInt64, {kAny});
    if (offsets.shape(0) == 0) fail("rows need at least one offset");
    const std::size_t n = offsets.shape(0) - 1;
    check("out_offsets", out_offsets, kInt64, {n + 1});
    check("out", out, kFloat32, {kAny, tokens.shape(1)});
    const auto* from = data_of<std::int64_t>(offsets);
    const auto* to = data_of<std::int64_t>(out_offsets);
    check_offsets("rows", from, n, tokens.shape(0));
    check_offsets("out", to, n, out.shape(0));
    for (std::size_t row = 0; row < n; ++row) {
        const std::int64_t count = from[row + 1] - from[row], held = to[row + 1] - to[row];
        const std::int64_t whole = std::min(count, static_cast<std::int64_t>(kept));
        if (held > count || held < whole || (held == whole && count > whole))
            fail("out_offsets leave row " + std::to_string(row) + " with " + std::to_string(held) + " tokens");
    }
    if (tokens.shape(1) > kDimMax) fail("tokens must have at most 65536 components");
    pool_tokens(data_of<float>(tokens), tokens.shape(1), from, n, kept, to, static_cast<float*>(out.data()));
}

void encode_fde(Input signs, Input projected, Input offsets, std::size_t repetitions, std::size_t k_sim,
                std::size_t width, bool mean, bool fill, Output out) {
    if (k_sim > 16 || repetitions > 1 << 16 || width > kDimMax)
        fail("an encoding of more than 2^16 cells or repetitions");
    check("offsets", offsets, kInt64, {kAny});
    if (offsets.shape(0) == 0) fail("rows need at least one offset");
    const std::size_t n = offsets.shape(0) - 1;
    check("signs", signs, kFloat32, {kAny, repetitions * k_sim});
    check("projected", projected, kFloat32, {signs.shape(0), repetitions * width});
    check("out", out, kFloat32, {n, repetitions * width << k_sim});
    check_offsets("rows", data_of<std::int64_t>(offsets), n, signs.shape(0));
    fde_cells(data_of<float>(signs), data_of<float>(projected), data_of<std::int64_t>(offsets), n,
              {repetitions, k_sim, width, mean, fill}, static_cast<float*>(out.data()));
}

}  // namespace

void bind_tokens(nb::module_& m) {
    const auto optional = [](const char* name) { return nb::arg(name).noconvert().none(); };
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    m.def("nearest_centroids", &nearest, array("tokens"), array("centroids"), array("scales"), array("homes"),
          Release());
    m.def("pool_tokens", &pool, array("tokens"), array("offsets"), nb::arg("kept"), array("out_offsets"), array("out"),
          Release());
    m.def("fde_cells", &encode_fde, array("signs"), array("projected"), array("offsets"), nb::arg("repetitions"),
          nb::arg("k_sim"), nb::arg("width"), nb::arg("mean"), nb::arg("fill"), array("out"), Release());
    nb::class_<NativeTokens>(m, "Tokens")
        .def(nb::init<std::size_t, Input, Input, Input, Input, Input, int, Input, float, Input, Input, Input, Input>(),
             nb::arg("dim"), array("offsets"), optional("homes"), optional("centroids"), optional("centroid_scales"),
             optional("codes"), nb::arg("bits"), optional("levels"), nb::arg("step"), optional("scales"),
             optional("scale_values"), optional("list_starts"), optional("lists"))
        .def("search", &NativeTokens::search, array("query_offsets"), array("query_tokens"), nb::arg("lists"),
             optional("allowed"), array("out_rows"), array("out_distances"), array("out_counters"), Release())
        .def("rerank", &NativeTokens::rerank, array("query_offsets"), array("query_tokens"), array("candidates"),
             array("out_distances"), Release());
}

}  // namespace vecstore
