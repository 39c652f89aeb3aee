// Checks a graph's leaf routines on every instruction set of the machine without Python, for cross-compiled builds:
//   aarch64-linux-gnu-g++ -std=c++20 -O3 -ffp-contract=off -static -Iinclude -Isrc tests/graph_check.cpp
//     src/graph_neon.cpp -o graph_check && qemu-aarch64 ./graph_check
#include <cstdio>
#include <vector>

#include "graph_ops.h"
#include "graph_scalar.h"

using namespace vecstore;

namespace {

constexpr std::size_t kRows = 700, kListed = 61;
std::uint64_t state = 1;
int failures = 0;

std::uint32_t random_bits() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>(state >> 33);
}

void expect(bool good, const char* what) {
    if (!good && failures++ < 5) std::printf("wrong: %s\n", what);
}

struct Codes {
    std::vector<std::uint8_t> storage, masks, passes;
    std::vector<std::int8_t> weights;
    const std::uint8_t* data;

    explicit Codes(std::size_t lines) : storage((kRows + 1) * lines * kCodeLine) {
        for (auto& byte : storage) byte = static_cast<std::uint8_t>(random_bits());
        const auto address = reinterpret_cast<std::uintptr_t>(storage.data());
        std::uint8_t* first = storage.data() + (kCodeLine - address % kCodeLine) % kCodeLine;
        for (std::size_t row = 0; row < kRows; ++row) {  // finite half floats
            first[row * lines * kCodeLine + 1] &= 0xbb;
            first[row * lines * kCodeLine + 3] &= 0xbb;
        }
        data = first;
        for (std::size_t line = 0; line < lines; ++line) {
            passes.push_back(static_cast<std::uint8_t>(2u << random_bits() % 3));
            for (std::size_t b = 0; b < kCodeLine; ++b)
                masks.push_back(
                    static_cast<std::uint8_t>(line == 0 && b < kCodeHeader ? 0 : (1 << 8 / passes[line]) - 1));
            for (std::size_t w = 0; w < passes[line] * kCodeLine; ++w)
                weights.push_back(static_cast<std::int8_t>(random_bits() % 3 == 0 ? 127 : random_bits() % 255 - 127));
        }
    }
};

void check(const GraphOps& ops, const GraphOps& law, std::size_t lines) {
    const Codes codes(lines);
    const CodeQuery query{lines, codes.masks.data(), codes.passes.data(), codes.weights.data(), 17.5f, 0.01f, 0.7f};
    std::vector<std::uint32_t> rows(kListed), fresh(kListed + kVisitPadding), fresh_law(kListed + kVisitPadding);
    for (auto& row : rows) row = random_bits() % kRows;
    std::vector<float> out(kListed + kEstimatePadding), wanted(kListed + kEstimatePadding);
    ops.estimates(query, codes.data, rows.data(), kListed, out.data());
    law.estimates(query, codes.data, rows.data(), kListed, wanted.data());
    for (std::size_t i = 0; i < kListed; ++i) expect(out[i] == wanted[i], "estimates");

    std::vector<std::uint32_t> seen(kRows / 32 + 1, 0x11110000u), seen_law = seen;
    const std::size_t count = ops.visit(rows.data(), kListed, seen.data(), fresh.data());
    expect(count == law.visit(rows.data(), kListed, seen_law.data(), fresh_law.data()) && seen == seen_law, "visit");
    for (std::size_t i = 0; i < count; ++i) expect(fresh[i] == fresh_law[i], "the rows of visit");

    for (const std::size_t capacity : {1u, 7u, 8u, 40u, 100u}) {
        std::vector<CandidateKey> keys(capacity + kKeyPadding, ~CandidateKey{0}), keys_law = keys;
        std::size_t size = 0, size_law = 0;
        for (int round = 0; round < 3; ++round) {
            for (std::size_t i = 0; i < kListed; ++i) out[i] = static_cast<float>(random_bits() % 50) - 25;
            const Offered a = ops.offer(keys.data(), &size, capacity, out.data(), rows.data(), kListed);
            const Offered b = law.offer(keys_law.data(), &size_law, capacity, out.data(), rows.data(), kListed);
            expect(a.first == b.first && a.taken == b.taken && size == size_law, "offer");
            for (std::size_t i = 0; i < size; ++i) expect(keys[i] == keys_law[i], "the keys of offer");
        }
    }
}

}  // namespace

int main() {
    const GraphOps law{"scalar", visit_by_rows, offer_by_rows, estimates_by_rows};
    std::vector<GraphOps> sets;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("f16c")) sets.push_back(avx2_graph_ops());
    if (__builtin_cpu_supports("avx512vnni")) sets.push_back(vnni_graph_ops());
#elif defined(__aarch64__)
    sets.push_back(neon_graph_ops());
#endif
    for (const GraphOps& ops : sets) {
        for (const std::size_t lines : {1u, 2u, 3u, 6u})
            for (int round = 0; round < 20; ++round) check(ops, law, lines);
        std::printf("%s %s\n", ops.isa, failures == 0 ? "as scalar" : "differs");
    }
    return failures == 0 ? 0 : 1;
}
