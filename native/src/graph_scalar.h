// Estimates one row at a time, for every CPU.
#pragma once

#include <cstring>

#include "graph_ops.h"
#include "half.h"

namespace vecstore {
namespace {

inline float finish_estimate(const CodeQuery& query, const std::uint8_t* code, std::int32_t sum) {
    std::uint16_t header[2];
    std::memcpy(header, code, sizeof header);
    const float along = query.query_scale * (static_cast<float>(sum) - query.bias);
    return query.add_unit * half_to_float(header[0]) + half_to_float(header[1]) * along;
}

inline std::int32_t code_sum(const CodeQuery& query, const std::uint8_t* code) {
    const std::int8_t* weights = query.weights;
    std::int32_t sum = 0;
    for (std::size_t line = 0; line < query.lines; ++line) {
        const std::uint8_t* bytes = code + line * kCodeLine;
        const std::uint8_t* masks = query.masks + line * kCodeLine;
        const int passes = query.passes[line];
        for (int p = 0; p < passes; ++p, weights += kCodeLine)
            for (std::size_t b = 0; b < kCodeLine; ++b) sum += (bytes[b] >> (8 / passes * p) & masks[b]) * weights[b];
    }
    return sum;
}

inline void estimates_by_rows(const CodeQuery& query, const std::uint8_t* codes, const std::uint32_t* rows,
                              std::size_t count, float* out) {
    for (std::size_t i = 0; i < count; ++i) {
        const std::uint8_t* code = codes + rows[i] * query.lines * kCodeLine;
        out[i] = finish_estimate(query, code, code_sum(query, code));
    }
}

}  // namespace
}  // namespace vecstore
