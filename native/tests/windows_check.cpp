// Checks postings on every instruction set of the machine without Python, for cross-compiled builds: the leaf routines
// against plain loops, and a search through windows against a scan of the rows.
//   aarch64-linux-gnu-g++ -std=c++20 -O3 -ffp-contract=off -static -Iinclude -Isrc tests/windows_check.cpp
//     src/{dispatch,isa_neon,isa_scalar,packed_rows,posting_baseline,sparse_query,sparse_scan,stop,thread_pool}.cpp
//     src/{unpack_baseline,window_build,window_plan,window_query,window_search}.cpp -o windows_check && qemu-aarch64
//     ./windows_check
#include <cstdio>
#include <vector>

#include "dispatch.h"
#include "posting_ops.h"
#include "sparse_scan.h"
#include "window_search.h"

using namespace vecstore;

namespace {

constexpr std::size_t kRows = 4000, kTerms = 300, kQueries = 40, kK = 20;
std::uint64_t state = 1;
int failures = 0;

std::uint32_t random_bits() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>(state >> 33);
}

void expect(bool right, const char* what) {
    if (right) return;
    std::printf("%s: %s is wrong\n", current_ops().isa, what);
    ++failures;
}

void check_leaves(const PostingOps& ops) {
    for (const bool negative : {false, true}) {
        const PostingWeight weight{static_cast<std::uint16_t>(random_bits() | 1), negative};
        std::vector<std::uint16_t> ids, sums(4096), listed, dense;
        std::vector<std::uint8_t> codes, all(4096);
        for (std::size_t row = 0; row < 4096; ++row) {
            sums[row] = static_cast<std::uint16_t>(random_bits());
            if (random_bits() % 3 != 0) continue;
            all[row] = static_cast<std::uint8_t>(random_bits() % 255 + 1);
            ids.push_back(static_cast<std::uint16_t>(row));
            codes.push_back(all[row]);
        }
        listed = dense = sums;
        ops.add_list(listed.data(), ids.data(), codes.data(), ids.size(), weight);
        ops.add_dense(dense.data(), all.data(), all.size(), weight);
        for (std::size_t row = 0; row < 4096; ++row) {
            const std::uint32_t part =
                all[row] == 0 ? 0 : (static_cast<std::uint32_t>(weight.weight) * all[row] >> 8) + 1;
            const auto sum = static_cast<std::uint16_t>(negative ? sums[row] - part : sums[row] + part);
            expect(listed[row] == sum, "a sum of a list");
            expect(dense[row] == sum, "a sum of a dense list");
        }
        for (std::size_t row = 0; row < 4096; row += 64) {
            for (const std::uint16_t bound : {std::uint16_t{0}, sums[row], sums[row + 63], std::uint16_t{0xffff}}) {
                std::uint64_t wanted = 0;
                for (std::size_t i = 0; i < 64; ++i) wanted |= std::uint64_t{sums[row + i] >= bound} << i;
                expect(ops.at_least(sums.data() + row, bound) == wanted, "which sums reach a bound");
            }
        }
    }
}

void check_filter(const PostingOps& ops) {
    IndexFilter filter{};
    filter.multiplier = 0x9e3779b1u;
    for (int i = 0; i < 200; ++i) {
        const std::uint32_t bit = random_bits() % 1024;
        filter.words[bit / 32] |= 1u << (bit % 32);
    }
    for (std::size_t count = 0; count < 100; ++count) {
        std::vector<std::uint32_t> indices(count), places(count + kPlacePadding), wanted;
        for (std::uint32_t i = 0; i < count; ++i) {
            indices[i] = random_bits() * 2 + (random_bits() & 1);
            const std::uint32_t bit = filter.bit(indices[i]);
            if (filter.words[bit / 32] >> (bit % 32) & 1) wanted.push_back(i);
        }
        places.resize(ops.filter(filter, indices.data(), count, places.data()));
        expect(places == wanted, "what passes a filter");
    }
}

template <class High>
void check_unpack(void (*unpack)(const RowGaps&, std::uint32_t*)) {
    for (std::size_t count = 0; count < 100; ++count) {
        const std::size_t first_bit = random_bits() % 8;
        std::vector<std::uint8_t> flags((first_bit + count) / 8 + 4), lows(count + 16);
        std::vector<High> highs;
        std::vector<std::uint32_t> wanted, places(count + kUnpackPadding);
        for (std::uint8_t& spare : flags) spare = static_cast<std::uint8_t>(random_bits());
        std::uint32_t next = 0;
        for (std::size_t i = 0; i < count; ++i) {
            std::uint32_t gap = lows[i] = static_cast<std::uint8_t>(random_bits());
            if (flags[(first_bit + i) / 8] >> ((first_bit + i) % 8) & 1) {
                highs.push_back(static_cast<High>(random_bits()));
                gap += std::uint32_t{highs.back()} << 8;
            }
            wanted.push_back(next + gap);
            next = wanted.back() + 1;
        }
        highs.resize(highs.size() + 16);
        unpack({flags.data(), first_bit, lows.data(), highs.data(), count}, places.data());
        places.resize(count);
        expect(places == wanted, "places of packed rows");
    }
}

struct Drawn {
    std::vector<std::int64_t> offsets{0};
    std::vector<std::uint32_t> indices;
    std::vector<float> values;

    Drawn(std::size_t n, std::uint32_t sparsity, bool positive) {
        for (std::size_t row = 0; row < n; ++row) {
            for (std::uint32_t term = 0; term < kTerms; ++term) {
                if (random_bits() % (term + sparsity) >= 3) continue;
                indices.push_back(term * 14000000);
                const float value = static_cast<float>(random_bits() % 1000 + 1) / 64;
                values.push_back(!positive && random_bits() % 4 == 0 ? -value : value);
            }
            offsets.push_back(static_cast<std::int64_t>(indices.size()));
        }
    }
    SparseView view() const {
        return {offsets.data(), indices.data(), values.data(), ValueKind::single, offsets.size() - 1, indices.size()};
    }
};

void check_search(bool positive, bool saturated) {
    const Drawn rows(kRows, 8, positive), queries(kQueries, 30, true);
    std::vector<float> lengths(kRows);
    for (float& length : lengths) length = static_cast<float>(random_bits() % 50 + 1);
    const Saturation then{lengths.data(), 0.3f, 0.05f}, now{lengths.data(), 0.3f, 0.06f};
    std::vector<WindowArrays> arrays;
    Inverted index{{}, rows.view(), saturated ? &now : nullptr, nullptr};
    const std::size_t cut[] = {0, 1024, 3008, 3968};
    for (std::size_t i = 0; i < 3; ++i) {
        SparseView part = rows.view();
        part.offsets += cut[i];
        part.n = cut[i + 1] - cut[i];
        const Saturation mine{lengths.data() + cut[i], then.base, then.slope};
        arrays.push_back(build_window(part, saturated ? &mine : nullptr));
    }
    for (std::size_t i = 0; i < 3; ++i) {
        const WindowArrays& a = arrays[i];
        index.windows.push_back({cut[i], cut[i + 1] - cut[i], a.terms.size(), a.dense_lists.size(), a.terms.data(),
                                 a.starts.data(), a.steps.data(), a.ids.data(), a.codes.data(), a.dense_lists.data(),
                                 a.dense.data(), saturated ? then.slope : 0});
        expect(!a.ids.empty() && !a.dense_lists.empty(), "the mixture of lists");
    }
    std::vector<std::int64_t> found(kQueries * kK), wanted(kQueries * kK), counters(kQueries * kInvertedCounters);
    std::vector<float> distances(kQueries * kK), right(kQueries * kK);
    inverted_search(queries.view(), index, {kK, found.data(), distances.data()}, counters.data());
    sparse_scan(queries.view(), rows.view(), index.saturation, nullptr, {kK, wanted.data(), right.data()});
    expect(found == wanted, "what a search through windows finds");
    expect(distances == right, "a distance of it");
}

}  // namespace

int main() {
    for (const std::string& isa : supported_isas()) {
        use_isa(isa);
        const int before = failures;
        check_leaves(current_posting_ops());
        check_filter(current_posting_ops());
        check_unpack<std::uint8_t>(current_unpack_ops().high8);
        check_unpack<std::uint16_t>(current_unpack_ops().high16);
        check_search(true, false);
        check_search(false, false);
        check_search(true, true);
        std::printf("%s (%s): %s\n", isa.c_str(), current_posting_ops().isa, failures == before ? "ok" : "wrong");
    }
    return failures == 0 ? 0 : 1;
}
