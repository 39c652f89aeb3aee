#include "graph_builder.h"

#include <atomic>
#include <limits>

#if defined(__GLIBC__)
#include <malloc.h>
#endif

#include "graph_carve.h"
#include "thread_pool.h"

namespace vecstore {
namespace {

constexpr std::size_t kTaskRows = 64;
constexpr std::uint16_t kKept = 0xffff;

// Clusters and leaves are many blocks of a size that the allocator keeps for later.
void give_back_freed() {
#if defined(__GLIBC__)
    malloc_trim(0);
#endif
}

GraphBuilder::Key key_of(float distance, std::uint32_t row) {
    return static_cast<std::uint64_t>(std::bit_cast<std::uint32_t>(distance)) << 32 | row;
}
std::uint32_t row_of(GraphBuilder::Key key) { return static_cast<std::uint32_t>(key); }
float distance_of(GraphBuilder::Key key) { return std::bit_cast<float>(static_cast<std::uint32_t>(key >> 32)); }

class SpinLock {
 public:
    explicit SpinLock(std::uint8_t& flag) : flag_(flag) {
        while (flag_.exchange(1, std::memory_order_acquire) != 0) {
        }
    }
    ~SpinLock() { flag_.store(0, std::memory_order_release); }
    SpinLock(const SpinLock&) = delete;
    SpinLock& operator=(const SpinLock&) = delete;

 private:
    std::atomic_ref<std::uint8_t> flag_;
};

}  // namespace

struct GraphBuilder::Scratch {
    ByteBlocks blocks;
    std::vector<std::int8_t> copy;
    std::vector<float> products;
    std::vector<std::uint32_t> listed;
    std::vector<std::vector<Key>> found;
    std::vector<Key> nearest, merged, kept, others, candidates;
    std::vector<std::uint16_t> occluders;
    std::vector<std::uint64_t> order;
};

GraphBuilder::GraphBuilder(const ByteRows& rows, const GraphBuildParams& params, std::uint32_t* neighbours)
    : rows_(rows),
      params_(params),
      neighbours_(neighbours),
      reservoirs_(rows.n, params.reservoir),
      locks_(rows.n, 0),
      degrees_(rows.n, 0) {}

std::size_t GraphBuilder::carve() {
    Leaves leaves = carve_rows(rows_, params_.leaf_rows, params_.fanout, params_.seed);
    leaf_rows_ = std::move(leaves.rows);
    leaf_offsets_ = std::move(leaves.offsets);
    leaf_rows_.shrink_to_fit();
    give_back_freed();
    return leaf_offsets_.size() - 1;
}

void GraphBuilder::join(std::size_t begin, std::size_t end) {
    std::vector<Scratch> scratch(threads());
    parallel_for(end - begin, threads(),
                 [&](std::size_t worker, std::size_t task) { join_leaf(begin + task, scratch[worker]); });
}

void GraphBuilder::join_leaf(std::size_t leaf, Scratch& s) {
    const std::uint32_t* listed = leaf_rows_.data() + leaf_offsets_[leaf];
    const std::size_t count = leaf_offsets_[leaf + 1] - leaf_offsets_[leaf];
    if (count < 2) return;
    s.blocks.pack(rows_, listed, count);
    s.products.resize(kByteTile * s.blocks.columns());
    if (s.found.size() < count) s.found.resize(count);
    for (std::size_t i = 0; i < count; ++i) s.found[i].clear();
    const std::size_t nearest = std::min(params_.leaf_nearest, count - 1);
    for (std::size_t begin = 0; begin < count; begin += kByteTile) {
        const std::size_t rows = std::min(kByteTile, count - begin);
        byte_products(rows_, listed + begin, rows, s.blocks, s.copy, s.products.data());
        for (std::size_t i = 0; i < rows; ++i) {
            float* distances = s.products.data() + i * s.blocks.columns();
            const std::uint32_t row = listed[begin + i];
            for (std::size_t j = 0; j < count; ++j) distances[j] = rows_.distance(row, listed[j], distances[j]);
            distances[begin + i] = std::numeric_limits<float>::infinity();
            s.nearest.assign(nearest, ~Key{0});
            float bound = std::numeric_limits<float>::infinity();
            for (std::size_t j = 0; j < count; ++j) {
                if (distances[j] > bound || j == begin + i) continue;
                // Places in the leaf ascend as rows do: the order of (distance, row).
                const Key key = key_of(distances[j], static_cast<std::uint32_t>(j));
                if (key >= s.nearest[nearest - 1]) continue;
                std::size_t at = nearest - 1;
                for (; at > 0 && key < s.nearest[at - 1]; --at) s.nearest[at] = s.nearest[at - 1];
                s.nearest[at] = key;
                if (s.nearest[nearest - 1] != ~Key{0}) bound = distance_of(s.nearest[nearest - 1]);
            }
            for (const Key key : s.nearest) {
                const std::uint32_t other = row_of(key);
                s.found[begin + i].push_back(key_of(distance_of(key), listed[other]));
                s.found[other].push_back(key_of(distance_of(key), row));
            }
        }
    }
    for (std::size_t i = 0; i < count; ++i) keep(listed[i], s.found[i], s.merged);
}

// The reservoir ends as the nearest of all that was ever found, in whatever order that came.
void GraphBuilder::keep(std::uint32_t row, std::vector<Key>& found, std::vector<Key>& merged) {
    std::sort(found.begin(), found.end());
    const std::size_t capacity = params_.reservoir;
    const SpinLock lock(locks_[row]);
    Key* const held = reservoirs_.keys(row);
    const std::size_t size = reservoirs_.size(row);
    if (size == capacity && found.front() >= held[size - 1]) return;
    merged.resize(capacity);
    std::size_t a = 0, b = 0, count = 0;
    while (count < capacity && (a < size || b < found.size())) {
        Key next;
        if (b == found.size() || (a < size && held[a] <= found[b])) {
            next = held[a++];
        } else {
            next = found[b++];
        }
        if (count == 0 || merged[count - 1] != next) merged[count++] = next;
    }
    std::copy_n(merged.begin(), count, held);
    reservoirs_.resize(row, count);
}

void GraphBuilder::score_listed(std::uint32_t row, Scratch& s) const {
    s.candidates.clear();
    if (s.listed.empty()) return;
    s.blocks.pack(rows_, s.listed.data(), s.listed.size());
    s.products.resize(kByteTile * s.blocks.columns());
    byte_products(rows_, &row, 1, s.blocks, s.copy, s.products.data());
    for (std::size_t j = 0; j < s.listed.size(); ++j)
        s.candidates.push_back(key_of(rows_.distance(row, s.listed[j], s.products[j]), s.listed[j]));
}

template <class Body>
void GraphBuilder::for_rows(std::size_t begin, std::size_t end, const Body& body) {
    std::vector<Scratch> scratch(threads());
    const std::size_t tasks = (end - begin + kTaskRows - 1) / kTaskRows;
    parallel_for(tasks, threads(), [&](std::size_t worker, std::size_t task) {
        const std::size_t first = begin + task * kTaskRows;
        for (std::size_t row = first; row < std::min(end, first + kTaskRows); ++row)
            body(static_cast<std::uint32_t>(row), scratch[worker]);
    });
}

void GraphBuilder::select(const std::vector<Key>& candidates, std::size_t most, Scratch& s, std::vector<Key>& kept,
                          std::vector<Key>& others) const {
    kept.clear();
    others.clear();
    const std::size_t count = candidates.size();
    s.listed.resize(count);
    for (std::size_t i = 0; i < count; ++i) s.listed[i] = row_of(candidates[i]);
    if (count == 0) return;
    s.blocks.pack(rows_, s.listed.data(), count);
    const std::size_t columns = s.blocks.columns();
    s.products.resize(kByteTile * columns);
    s.occluders.assign(count, 0);
    // Products of a tile at a time: rows that an earlier tile's choice left out need none.
    std::size_t places[kByteTile];
    std::uint32_t rows[kByteTile];
    for (std::size_t next = 0; next < count && kept.size() < most;) {
        std::size_t tile = 0;
        for (; next < count && tile < kByteTile; ++next)
            if (s.occluders[next] == 0) places[tile] = next, rows[tile++] = s.listed[next];
        byte_products(rows_, rows, tile, s.blocks, s.copy, s.products.data());
        for (std::size_t i = 0; i < tile && kept.size() < most; ++i) {
            const std::size_t place = places[i];
            if (s.occluders[place] != 0) continue;
            kept.push_back(candidates[place]);
            s.occluders[place] = kKept;
            const float* products = s.products.data() + i * columns;
            for (std::size_t j = place + 1; j < count; ++j) {
                const float between = rows_.distance(rows[i], s.listed[j], products[j]);
                const bool occluded = params_.alpha * between <= distance_of(candidates[j]);
                s.occluders[j] += occluded && s.occluders[j] != kKept;
            }
        }
    }
    for (std::size_t i = 0; i < count; ++i)
        if (s.occluders[i] != kKept) s.order.push_back(static_cast<std::uint64_t>(s.occluders[i]) << 32 | i);
    std::sort(s.order.begin(), s.order.end());
    for (const std::uint64_t place : s.order) others.push_back(candidates[static_cast<std::uint32_t>(place)]);
    s.order.clear();
}

void GraphBuilder::prune(std::size_t begin, std::size_t end) {
    if (!leaf_rows_.empty()) {
        std::vector<std::uint32_t>().swap(leaf_rows_);
        std::vector<std::size_t>().swap(leaf_offsets_);
        give_back_freed();
    }
    for_rows(begin, end, [&](std::uint32_t row, Scratch& s) {
        const Key* held = reservoirs_.keys(row);
        s.candidates.assign(held, held + reservoirs_.size(row));
        select(s.candidates, params_.degree, s, s.kept, s.others);
        std::uint32_t* to = neighbours_ + row * params_.degree;
        for (std::size_t i = 0; i < s.kept.size(); ++i) to[i] = row_of(s.kept[i]);
        std::fill(to + s.kept.size(), to + params_.degree, row);
        degrees_[row] = static_cast<std::uint16_t>(s.kept.size());
    });
    reservoirs_.pack(end);
}

void GraphBuilder::pruned(std::size_t begin, std::size_t end) {
    for (std::size_t row = begin; row < end; ++row) {
        const std::uint32_t* list = neighbours_ + row * params_.degree;
        const std::uint32_t* last = std::find(list, list + params_.degree, static_cast<std::uint32_t>(row));
        degrees_[row] = static_cast<std::uint16_t>(last - list);
    }
    reservoirs_.pack(end);
}

void GraphBuilder::held(std::size_t begin, std::size_t end, std::uint32_t* out) const {
    std::vector<std::uint32_t> numbers;
    for (std::size_t row = begin; row < end; ++row) {
        numbers.clear();
        reservoirs_.append(row, numbers);
        numbers.resize(params_.reservoir, static_cast<std::uint32_t>(row));
        out = std::copy(numbers.begin(), numbers.end(), out);
    }
}

void GraphBuilder::seed(const std::uint32_t* rows, std::size_t count, const std::uint32_t* neighbours,
                        std::size_t degree) {
    std::vector<Scratch> scratch(threads());
    const std::size_t tasks = (count + kTaskRows - 1) / kTaskRows;
    parallel_for(tasks, threads(), [&](std::size_t worker, std::size_t task) {
        Scratch& s = scratch[worker];
        for (std::size_t i = task * kTaskRows; i < std::min(count, (task + 1) * kTaskRows); ++i) {
            s.listed.assign(neighbours + i * degree, neighbours + (i + 1) * degree);
            std::sort(s.listed.begin(), s.listed.end());
            s.listed.erase(std::unique(s.listed.begin(), s.listed.end()), s.listed.end());
            std::erase(s.listed, rows[i]);
            score_listed(rows[i], s);
            if (!s.candidates.empty()) keep(rows[i], s.candidates, s.merged);
        }
    });
}

void GraphBuilder::reverse() {
    reverse_offsets_.assign(rows_.n + 1, 0);
    const auto for_edges = [&](const auto& visit) {
        for (std::size_t row = 0; row < rows_.n; ++row)
            for (std::size_t i = 0; i < degrees_[row]; ++i) visit(row, neighbours_[row * params_.degree + i]);
    };
    for_edges([&](std::size_t, std::uint32_t to) { ++reverse_offsets_[to + 1]; });
    for (std::size_t i = 0; i < rows_.n; ++i) reverse_offsets_[i + 1] += reverse_offsets_[i];
    reverse_rows_.resize(reverse_offsets_.back());
    std::vector<std::size_t> next(reverse_offsets_.begin(), reverse_offsets_.end() - 1);
    for_edges(
        [&](std::size_t from, std::uint32_t to) { reverse_rows_[next[to]++] = static_cast<std::uint32_t>(from); });
}

void GraphBuilder::finish(std::size_t begin, std::size_t end) {
    const std::size_t most = 2 * params_.reservoir;
    for_rows(begin, end, [&](std::uint32_t row, Scratch& s) {
        // Edges that others chose, scored from this side, and the reservoir, to the bits that it had: pairs are exact.
        s.listed.assign(reverse_rows_.begin() + static_cast<std::ptrdiff_t>(reverse_offsets_[row]),
                        reverse_rows_.begin() + static_cast<std::ptrdiff_t>(reverse_offsets_[row + 1]));
        reservoirs_.append(row, s.listed);
        std::sort(s.listed.begin(), s.listed.end());
        s.listed.erase(std::unique(s.listed.begin(), s.listed.end()), s.listed.end());
        score_listed(row, s);
        std::sort(s.candidates.begin(), s.candidates.end());
        if (s.candidates.size() > most) s.candidates.resize(most);
        select(s.candidates, params_.degree, s, s.kept, s.others);
        std::uint32_t* to = neighbours_ + row * params_.degree;
        std::size_t count = 0;
        for (const Key key : s.kept) to[count++] = row_of(key);
        for (std::size_t i = 0; i < s.others.size() && count < params_.degree; ++i) to[count++] = row_of(s.others[i]);
        while (count < params_.degree) to[count++] = row;
    });
}

}  // namespace vecstore
