#include "graph_carve.h"

#include <limits>
#include <numeric>

#include "thread_pool.h"

namespace vecstore {
namespace {

constexpr std::size_t kLeadersMax = 1024;
constexpr std::size_t kTopShare = 100;  // rows for each leader of a large cluster
constexpr std::size_t kPerLeaf = 4;     // leaders for each leaf that a small one should become

std::uint64_t mixed(std::uint64_t x) {  // splitmix64
    x += 0x9e3779b97f4a7c15u;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
    return x ^ (x >> 31);
}

struct Cluster {
    std::vector<std::uint32_t> rows;
    std::size_t level;
    std::uint64_t seed;
};

std::vector<std::uint32_t> draw(const Cluster& cluster, std::size_t count) {
    std::vector<std::uint32_t> pool = cluster.rows;
    for (std::size_t i = 0; i < count; ++i) {
        const std::size_t j = i + mixed(cluster.seed + i) % (pool.size() - i);
        std::swap(pool[i], pool[j]);
    }
    pool.resize(count);
    return pool;
}

// The `fanout` nearest leaders of each row, (rows, fanout).
std::vector<std::uint32_t> follow(const ByteRows& rows, const Cluster& cluster,
                                  const std::vector<std::uint32_t>& leaders, std::size_t fanout) {
    ByteBlocks blocks;
    blocks.pack(rows, leaders.data(), leaders.size());
    std::vector<std::uint32_t> followed(cluster.rows.size() * fanout);
    constexpr std::size_t kTask = 256;
    const std::size_t tasks = (cluster.rows.size() + kTask - 1) / kTask;
    parallel_for(tasks, threads(), [&](std::size_t, std::size_t task) {
        std::vector<float> products(kByteTile * blocks.columns());
        std::vector<std::int8_t> copy;
        std::vector<float> best(fanout);
        const std::size_t end = std::min(cluster.rows.size(), (task + 1) * kTask);
        for (std::size_t begin = task * kTask; begin < end; begin += kByteTile) {
            const std::size_t count = std::min(kByteTile, end - begin);
            byte_products(rows, cluster.rows.data() + begin, count, blocks, copy, products.data());
            for (std::size_t i = 0; i < count; ++i) {
                const std::uint32_t row = cluster.rows[begin + i];
                const float* product = products.data() + i * blocks.columns();
                std::uint32_t* to = followed.data() + (begin + i) * fanout;
                std::fill(best.begin(), best.end(), std::numeric_limits<float>::infinity());
                for (std::size_t l = 0; l < leaders.size(); ++l) {
                    const float d = rows.distance(row, leaders[l], product[l]);
                    if (!(d < best[fanout - 1])) continue;
                    std::size_t at = fanout - 1;
                    for (; at > 0 && d < best[at - 1]; --at) best[at] = best[at - 1], to[at] = to[at - 1];
                    best[at] = d, to[at] = static_cast<std::uint32_t>(l);
                }
            }
        }
    });
    return followed;
}

std::vector<std::vector<std::uint32_t>> children(const Cluster& cluster, const std::vector<std::uint32_t>& followed,
                                                 std::size_t leaders, std::size_t fanout) {
    std::vector<std::vector<std::uint32_t>> members(leaders);
    for (std::size_t i = 0; i < cluster.rows.size(); ++i)
        for (std::size_t f = 0; f < fanout; ++f) members[followed[i * fanout + f]].push_back(cluster.rows[i]);
    return members;
}

void add_leaf(Leaves& leaves, const std::vector<std::uint32_t>& rows) {
    leaves.rows.insert(leaves.rows.end(), rows.begin(), rows.end());
    leaves.offsets.push_back(leaves.rows.size());
}

}  // namespace

Leaves carve_rows(const ByteRows& rows, std::size_t leaf_rows, const std::vector<std::size_t>& fanout,
                  std::uint64_t seed) {
    Leaves leaves;
    leaves.offsets.push_back(0);
    std::vector<Cluster> open(1);
    open[0].rows.resize(rows.n);
    std::iota(open[0].rows.begin(), open[0].rows.end(), 0u);
    open[0].level = 0;
    open[0].seed = mixed(seed);
    const std::size_t least = leaf_rows / 8;
    while (!open.empty()) {
        const Cluster cluster = std::move(open.back());
        open.pop_back();
        const std::size_t size = cluster.rows.size();
        if (size <= leaf_rows) {
            add_leaf(leaves, cluster.rows);
            continue;
        }
        std::size_t count = std::max(size / kTopShare, kPerLeaf * size / leaf_rows);
        count = std::min(std::clamp<std::size_t>(count, 2, kLeadersMax), size);
        const std::size_t wanted = cluster.level < fanout.size() ? fanout[cluster.level] : 1;
        const std::size_t followed_each = std::min(wanted, count);
        const std::vector<std::uint32_t> leaders = draw(cluster, count);
        const auto followed = follow(rows, cluster, leaders, followed_each);
        auto members = children(cluster, followed, count, followed_each);
        std::vector<std::uint32_t> small;
        const auto flush = [&] {
            std::sort(small.begin(), small.end());
            small.erase(std::unique(small.begin(), small.end()), small.end());
            if (!small.empty()) add_leaf(leaves, small);
            small.clear();
        };
        for (std::size_t child = 0; child < count; ++child) {
            std::vector<std::uint32_t>& of = members[child];
            if (of.size() < least) {
                small.insert(small.end(), of.begin(), of.end());
                if (small.size() > leaf_rows / 2) flush();
            } else if (of.size() == size) {  // duplicates: no leader tells them apart
                for (std::size_t begin = 0; begin < size; begin += leaf_rows) {
                    const auto first = of.begin() + static_cast<std::ptrdiff_t>(begin);
                    const auto last = of.begin() + static_cast<std::ptrdiff_t>(std::min(size, begin + leaf_rows));
                    add_leaf(leaves, {first, last});
                }
            } else {
                open.push_back({std::move(of), cluster.level + 1, mixed(cluster.seed ^ (child + 1))});
            }
        }
        flush();
    }
    return leaves;
}

}  // namespace vecstore
