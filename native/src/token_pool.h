// Fewer tokens for a document: Ward's clustering of unit tokens, each cluster one token.
#pragma once

#include <cstddef>
#include <cstdint>

namespace vecstore {

// Tokens (offsets[n], dim) of n rows to `out`, whose rows out_offsets cut: the first `kept` tokens of a row as they
// are, then out_offsets' number of clusters of the others in order of their first token. A cluster has the direction of
// the mean of its tokens' directions and the mean of their lengths; one of a single token is that token.
void pool_tokens(const float* tokens, std::size_t dim, const std::int64_t* offsets, std::size_t n, std::size_t kept,
                 const std::int64_t* out_offsets, float* out);

}  // namespace vecstore
