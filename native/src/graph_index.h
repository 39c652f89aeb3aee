// A graph index as the search reads it: neighbour lists, short codes, entries, and what turns a query into weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "dense_scan.h"
#include "graph_ops.h"

namespace vecstore {

// A field of a code: `width` bits (1, 2 or 4) from `shift` up of byte `byte`; it adds weight * (value - mean of its
// values) * <query, direction>.
struct CodeField {
    std::int32_t byte, shift, width, direction;
};

struct GraphArrays {
    DenseRows rows;  // what candidates are rescored by
    Metric metric;
    std::size_t degree;               // neighbours of each row
    const std::uint32_t* neighbours;  // (n, degree); a row that has fewer repeats its own number
    const std::uint8_t* codes;        // (n, lines * 64)
    std::size_t lines;
    const std::uint32_t* entries;  // where walks begin
    std::size_t nentries;
    const float* mean;              // (dim,), taken from queries under l2
    const std::int8_t* directions;  // (ndirections, dim), rows of the rotation
    const float* direction_scales;  // (ndirections,)
    std::size_t ndirections;
    const CodeField* fields;
    const float* field_weights;
    std::size_t nfields;
    float add_unit, scale_unit;
};

// Prepares queries for the walk: rotated by integer products, then rounded to byte weights for each pass of each line.
class CodeQueries {
 public:
    explicit CodeQueries(const GraphArrays& graph);

    struct Prepared {
        std::vector<std::int8_t> weights;
        float bias, query_scale;
        float base;  // what estimates leave out: the distance is base + estimate
    };

    void prepare(const float* queries, std::size_t nq, Prepared* out) const;
    CodeQuery view(const Prepared& prepared) const;

 private:
    void round(const float* rotated, Prepared& out) const;

    const GraphArrays& graph_;
    std::size_t groups_;                  // of four components, an even number
    std::vector<std::uint8_t> rotation_;  // directions in blocks of 32, as row codes of bytes
    std::vector<std::uint8_t> masks_, passes_;
    std::vector<std::size_t> places_;  // of each field among the weights
    std::size_t nweights_;
    float mean_square_;
};

}  // namespace vecstore
