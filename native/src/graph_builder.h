// Builds the neighbour lists of a graph index without any search (PiPNN, arXiv 2602.21247): rows are carved into small
// overlapping leaves, every leaf compares all its pairs, each row keeps its nearest in a reservoir, and what remains is
// pruned. Rows are bytes with a scale each, so that distances come from exact integer products: d(a, b) has the same
// bits as d(b, a), on every instruction set, and the graph is the same for any number of threads.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "byte_rows.h"
#include "graph_reservoirs.h"

namespace vecstore {

struct GraphBuildParams {
    std::size_t degree;
    std::size_t leaf_rows;            // at most
    std::size_t leaf_nearest;         // each row's nearest in a leaf that enter reservoirs
    std::size_t reservoir;            // nearest rows kept for each row
    std::vector<std::size_t> fanout;  // leaders that a row follows, at each level
    std::uint64_t seed;
    float alpha;  // a candidate is left out when alpha * (its distance to a chosen one) <= its distance to the row
};

class GraphBuilder {
 public:
    using Key = Reservoirs::Key;

    GraphBuilder(const ByteRows& rows, const GraphBuildParams& params, std::uint32_t* neighbours);

    // In this order; begin and end are leaves or rows. Rows are pruned in order, which gives up half their reservoirs.
    std::size_t carve();  // returns how many leaves there are
    void join(std::size_t begin, std::size_t end);
    // Known edges of `count` rows, (count, degree), into their reservoirs.
    void seed(const std::uint32_t* rows, std::size_t count, const std::uint32_t* neighbours, std::size_t degree);
    // Fills lists that pruning left shorter up with the row's own number.
    void prune(std::size_t begin, std::size_t end);
    // Instead of prune, for lists that are as it left them.
    void pruned(std::size_t begin, std::size_t end);
    // What the rows' reservoirs hold, (end - begin, reservoir), the row's own number for nothing: with `seed`, it is
    // what they can be filled with again.
    void held(std::size_t begin, std::size_t end, std::uint32_t* out) const;
    void reverse();
    void finish(std::size_t begin, std::size_t end);

 private:
    struct Scratch;

    void join_leaf(std::size_t leaf, Scratch& scratch);
    void keep(std::uint32_t row, std::vector<Key>& found, std::vector<Key>& merged);
    // Candidates from the rows in scratch.listed.
    void score_listed(std::uint32_t row, Scratch& scratch) const;
    // Of candidates in order, `kept` are those that no kept one is much nearer to than the row is; `others` come by how
    // many kept ones are nearer to them, then in order.
    void select(const std::vector<Key>& candidates, std::size_t most, Scratch& scratch, std::vector<Key>& kept,
                std::vector<Key>& others) const;
    template <class Body>
    void for_rows(std::size_t begin, std::size_t end, const Body& body);

    ByteRows rows_;
    GraphBuildParams params_;
    std::uint32_t* neighbours_;
    std::vector<std::uint32_t> leaf_rows_;
    std::vector<std::size_t> leaf_offsets_;
    Reservoirs reservoirs_;
    std::vector<std::uint8_t> locks_;
    std::vector<std::uint16_t> degrees_;  // neighbours that pruning kept
    std::vector<std::size_t> reverse_offsets_;
    std::vector<std::uint32_t> reverse_rows_;
};

}  // namespace vecstore
