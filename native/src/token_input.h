// Checks of token rows that bindings share.
#pragma once

#include "bindings.h"
#include "maxsim.h"

namespace vecstore {

// Rows whose offsets were not looked at yet.
inline TokenRows token_rows(const char* name, const Input& offsets, const Input& tokens, std::size_t dim) {
    check("offsets", offsets, kInt64, {kAny});
    if (offsets.shape(0) == 0) fail(std::string(name) + " need at least one offset");
    const bool half = kFloat16.matches(tokens);
    if (!half && !kFloat32.matches(tokens)) fail(std::string(name) + " must have dtype float32 or float16");
    check_shape(name, tokens, {kAny, dim});
    return {data_of<std::int64_t>(offsets), offsets.shape(0) - 1, data_of<std::uint8_t>(tokens), tokens.shape(1), half};
}

inline void check_offsets(const char* name, const std::int64_t* offsets, std::size_t n, std::size_t total) {
    if (offsets[0] < 0 || offsets[n] > static_cast<std::int64_t>(total))
        fail(std::string("offsets of ") + name + " lie outside what they cut");
    for (std::size_t i = 0; i < n; ++i)
        if (offsets[i] > offsets[i + 1]) fail(std::string("offsets of ") + name + " must ascend");
}

inline TokenRows query_rows(const Input& offsets, const Input& tokens) {
    if (!kFloat32.matches(tokens)) fail("queries must have dtype float32");
    const TokenRows queries = token_rows("queries", offsets, tokens, kAny);
    check_offsets("queries", queries.offsets, queries.n, tokens.shape(0));
    return queries;
}

}  // namespace vecstore
