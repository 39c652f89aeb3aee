// Scans of stored rows in probed lists, by exact distances.
#pragma once

#include "dense_scan.h"

namespace vecstore {

// Rows stay where they are; list i names those of places offsets[i] to offsets[i + 1].
struct DenseLists {
    DenseRows rows;
    const std::uint32_t* listed;  // the row of each place
    const std::int64_t* offsets;  // (nlist + 1,)

    std::size_t places(std::int32_t list) const {
        return list < 0 ? 0 : static_cast<std::size_t>(offsets[list + 1] - offsets[list]);
    }
};

// probes is (nq, nprobe), -1 for none; scanned is (nq,). Throws std::invalid_argument for a listed row >= n.
void dense_list_scan(Metric metric, const float* queries, std::size_t nq, const DenseLists& lists,
                     const std::int32_t* probes, std::size_t nprobe, const TopKOutput& output, std::int64_t* scanned);

}  // namespace vecstore
