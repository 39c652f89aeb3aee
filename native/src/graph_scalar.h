// Estimates one row at a time, for every CPU.
#pragma once

#include <bit>
#include <cstring>

#include "graph_ops.h"
#include "half.h"

namespace vecstore {
namespace {

inline CandidateKey candidate_key(float estimate, std::uint32_t row) {
    std::uint32_t bits = std::bit_cast<std::uint32_t>(estimate + 0.0f);
    bits ^= (bits >> 31) != 0 ? 0xffffffffu : 0x80000000u;
    return static_cast<CandidateKey>(bits) << 32 | row << 1;
}

[[maybe_unused]] inline float key_estimate(CandidateKey key) {
    std::uint32_t bits = static_cast<std::uint32_t>(key >> 32);
    bits ^= (bits >> 31) != 0 ? 0x80000000u : 0xffffffffu;
    return std::bit_cast<float>(bits);
}

[[maybe_unused]] inline std::size_t visit_by_rows(const std::uint32_t* rows, std::size_t count, std::uint32_t* seen,
                                                  std::uint32_t* fresh) {
    std::size_t found = 0;
    for (std::size_t i = 0; i < count; ++i) {
        std::uint32_t& word = seen[rows[i] >> 5];
        const std::uint32_t bit = std::uint32_t{1} << (rows[i] & 31);
        fresh[found] = rows[i];
        found += (word & bit) == 0;
        word |= bit;
    }
    return found;
}

[[maybe_unused]] inline Offered offer_by_rows(CandidateKey* keys, std::size_t* size, std::size_t capacity,
                                              const float* estimates, const std::uint32_t* rows, std::size_t count) {
    std::size_t first = capacity, held = *size, taken = 0;
    for (std::size_t i = 0; i < count; ++i) {
        if (held == capacity && !(estimates[i] < key_estimate(keys[held - 1]))) continue;
        const CandidateKey key = candidate_key(estimates[i], rows[i]);
        std::size_t place = 0;
        for (std::size_t length = held; length > 0;) {  // without branches to mispredict
            const std::size_t half = length / 2;
            const bool later = keys[place + half] < key;
            place = later ? place + half + 1 : place;
            length = later ? length - half - 1 : half;
        }
        held += held < capacity;
        std::memmove(keys + place + 1, keys + place, (held - 1 - place) * sizeof(CandidateKey));
        keys[place] = key;
        first = place < first ? place : first;
        ++taken;
    }
    *size = held;
    return {first, taken};
}

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
