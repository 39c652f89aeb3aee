// Checks the leaf routines of the blocks of sparse rows without Python, for cross-compiled builds:
//   aarch64-linux-gnu-g++ -std=c++20 -O3 -static -Iinclude -Isrc tests/seismic_check.cpp src/seismic_baseline.cpp
//     -o seismic_check && qemu-aarch64 ./seismic_check
// On x86-64 add src/seismic_avx2.cpp and src/seismic_vbmi2.cpp with the flags that CMakeLists.txt gives them.
#include <cstdio>
#include <cstring>
#include <vector>

#include "dispatch.h"
#include "seismic_ops.h"

namespace vecstore {
const Ops& current_ops() {
    static Ops ops{};
    ops.isa = "scalar";
    return ops;
}
}  // namespace vecstore

using namespace vecstore;

namespace {

constexpr std::size_t kBlocks = 9;
std::uint64_t state = 1;
int failures = 0;

std::uint32_t random_bits() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>(state >> 33);
}

void expect(bool good, const char* isa, const char* what) {
    if (!good && failures++ < 5) std::printf("wrong on %s: %s\n", isa, what);
}

std::uint16_t counted(std::uint32_t code, std::uint32_t weight) {
    return code == 0 ? std::uint16_t{0} : static_cast<std::uint16_t>(code * weight / 256 + 1);
}

struct Term {
    std::vector<std::uint8_t> codes = std::vector<std::uint8_t>(kBlocks * kBlockRows, 0), records;
    std::vector<std::uint16_t> starts;
    std::int64_t bases[1] = {0};
    PartWord words[1] = {{0, 0}};

    explicit Term(std::uint32_t often) {
        for (std::size_t b = 0; b < kBlocks; ++b) {
            std::uint64_t mask = 0;
            std::vector<std::uint8_t> held;
            for (std::size_t i = 0; i < kBlockRows && b % 4 != 3; ++i) {
                if (random_bits() % 64 >= often) continue;
                mask |= std::uint64_t{1} << i;
                held.push_back(static_cast<std::uint8_t>(1 + random_bits() % 255));
                codes[b * kBlockRows + i] = held.back();
            }
            if (mask == 0) continue;
            words[0].bits |= std::uint64_t{1} << b;
            starts.push_back(static_cast<std::uint16_t>(records.size()));
            records.resize(records.size() + kMaskBytes);
            std::memcpy(records.data() + starts.back(), &mask, kMaskBytes);
            records.insert(records.end(), held.begin(), held.end());
        }
        records.resize(records.size() + kRecordPadding);
    }
};

void check(const SeismicOps& ops, std::uint32_t often, std::uint16_t weight) {
    const Term term(often);
    if (term.starts.empty()) return;
    std::vector<std::uint16_t> wanted(kBlocks * kBlockRows), sums(wanted.size(), 7), read(wanted.size(), 7);
    for (std::size_t i = 0; i < wanted.size(); ++i)
        wanted[i] = static_cast<std::uint16_t>(7 + counted(term.codes[i], weight));
    ops.add_codes(term.codes.data(), term.codes.size(), weight, sums.data());
    expect(sums == wanted, ops.isa, "add_codes");
    std::uint32_t blocks[kBlocks];
    for (std::uint32_t b = 0; b < kBlocks; ++b) blocks[b] = b;
    BlockRead reads[kBlocks + 1];
    const RecordStarts starts{term.records.data(), term.bases, term.starts.data()};
    const std::size_t found =
        ops.find(term.words, starts, 0, term.starts.size() - 1, blocks, kBlocks, read.data(), reads);
    expect(found == term.starts.size(), ops.isa, "find");
    ops.add_records(reads, found, weight);
    expect(read == wanted, ops.isa, "add_records");
    for (const std::uint16_t least : {std::uint16_t{1}, std::uint16_t{7}, wanted[random_bits() % wanted.size()]}) {
        std::vector<std::uint32_t> places(wanted.size() + kCollectPadding), all;
        for (std::uint32_t i = 0; i < wanted.size(); ++i)
            if (wanted[i] >= least) all.push_back(i);
        const std::size_t count = ops.collect(wanted.data(), wanted.size(), least, places.data());
        places.resize(count);
        expect(places == all, ops.isa, "collect");
        expect(ops.count_from(wanted.data(), wanted.size(), least) == all.size(), ops.isa, "count_from");
    }
}

}  // namespace

int main() {
    std::vector<SeismicOps> all{scalar_seismic_ops()};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) all.push_back(avx2_seismic_ops());
    if (__builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vbmi2")) all.push_back(vbmi2_seismic_ops());
#endif
    for (const SeismicOps& ops : all)
        for (int round = 0; round < 200; ++round)
            check(ops, 1 + random_bits() % 64, static_cast<std::uint16_t>(random_bits()));
    if (failures == 0) std::printf("right on %zu instruction sets\n", all.size());
    return failures != 0;
}
