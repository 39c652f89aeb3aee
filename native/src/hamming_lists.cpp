#include "hamming_lists.h"

#include <cstring>

#include "allowed.h"
#include "counting_top_k.h"
#include "dispatch.h"
#include "stop.h"

namespace vecstore {
namespace {

struct Worker {
    std::vector<std::uint8_t> query;
    std::vector<float> distances;
    std::vector<std::uint32_t> positions;
    StopPoll poll;
};

}  // namespace

void hamming_list_scan(const std::uint8_t* queries, std::size_t nq, const HammingLists& lists,
                       const std::int32_t* probes, std::size_t nprobe, const TopKOutput& output,
                       std::int64_t* scanned) {
    const Ops& ops = current_ops();
    const Rows& codes = lists.codes;
    std::size_t places = 0;
    for (std::size_t i = 0; i < nq * nprobe; ++i)
        if (probes[i] >= 0) places += static_cast<std::size_t>(lists.offsets[probes[i] + 1] - lists.offsets[probes[i]]);
    const std::size_t workers = std::min(workers_for(places * codes.row_bytes), nq);
    std::vector<Worker> state(std::max<std::size_t>(workers, 1));
    parallel_for(nq, workers, [&](std::size_t w, std::size_t q) {
        Worker& worker = state[w];
        worker.query.resize(hamming_query_stride(codes.row_bytes));
        worker.distances.resize(kSinglePassRows + kOutPadding);
        worker.positions.resize(kSinglePassRows);
        std::memcpy(worker.query.data(), queries + q * codes.row_bytes, codes.row_bytes);
        CountingTopK nearest(output.k, codes.row_bytes * 8, false);
        scanned[q] = 0;
        for (std::size_t p = 0; p < nprobe; ++p) {
            const std::int32_t list = probes[q * nprobe + p];
            if (list < 0) continue;
            const auto end = static_cast<std::size_t>(lists.offsets[list + 1]);
            auto first = static_cast<std::size_t>(lists.offsets[list]);
            scanned[q] += static_cast<std::int64_t>(end - first);
            for (; first < end; first += kSinglePassRows) {
                const std::size_t count = std::min(kSinglePassRows, end - first);
                worker.poll(count * codes.row_bytes);
                const RowBlock block{codes.data + first * codes.row_bytes, codes.row_bytes, nullptr, count, count};
                ops.hamming(worker.query.data(), 1, codes.row_bytes, block, worker.distances.data(), 0);
                const std::size_t found =
                    ops.below(worker.distances.data(), count, nearest.bound(), worker.positions.data());
                for (std::size_t i = 0; i < found; ++i) {
                    const std::size_t at = worker.positions[i];
                    const std::uint32_t row = lists.rows[first + at];
                    if (worker.distances[at] < nearest.bound() && is_allowed(codes.allowed, row))
                        nearest.add(worker.distances[at], row);
                }
            }
        }
        nearest.finish(output.rows + q * output.k, output.distances + q * output.k, output.k);
    });
}

}  // namespace vecstore
