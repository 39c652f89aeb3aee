// Checks every instruction set of the machine against double precision without Python, for cross-compiled builds:
//   aarch64-linux-gnu-g++ -std=c++20 -O3 -ffp-contract=off -static -Iinclude -Isrc tests/isa_check.cpp
//     src/{dense_scan,dispatch,hamming_scan,isa_neon,isa_scalar,thread_pool}.cpp -o isa_check && qemu-aarch64
//     ./isa_check
// Prints one hash per instruction set; those of AVX2, AVX-512 and NEON are equal.
#include <bit>
#include <cmath>
#include <cstdio>
#include <vector>

#include "dense_scan.h"
#include "dispatch.h"
#include "hamming_scan.h"

using namespace vecstore;

namespace {

std::uint64_t state = 1;
std::uint32_t random_bits() {
    state = state * 6364136223846793005u + 1442695040888963407u;
    return static_cast<std::uint32_t>(state >> 33);
}

std::uint64_t hash = 0;
int failures = 0;

void mix(std::uint64_t value) { hash = (hash ^ value) * 0x9e3779b97f4a7c15u; }

double value_of(const std::uint8_t* row, Element element, std::size_t d) {
    if (element == Element::f32) return reinterpret_cast<const float*>(row)[d];
    const std::uint32_t bits = reinterpret_cast<const std::uint16_t*>(row)[d];
    if (element == Element::bf16) return std::bit_cast<float>(bits << 16);
    const double magnitude = std::ldexp((bits & 1023) + 1024.0, static_cast<int>(bits >> 10 & 31) - 25);
    return bits & 0x8000 ? -magnitude : magnitude;
}

void check_dense(std::size_t dim, Element element, Metric metric) {
    constexpr std::size_t n = 53, nq = 5;
    const std::size_t row_bytes = dim * (element == Element::f32 ? 4 : 2);
    std::vector<std::uint8_t> rows(n * row_bytes);
    for (std::size_t i = 0; i < n * dim; ++i) {
        const float value = static_cast<float>(random_bits() % 2048) / 1024 - 1 + 1e-3f;
        if (element == Element::f32) reinterpret_cast<float*>(rows.data())[i] = value;
        auto* half = reinterpret_cast<std::uint16_t*>(rows.data());
        if (element == Element::bf16) half[i] = static_cast<std::uint16_t>(std::bit_cast<std::uint32_t>(value) >> 16);
        // Normal float16 numbers of either sign between 2^-8 and 2.
        if (element == Element::f16)
            half[i] = static_cast<std::uint16_t>((7 + random_bits() % 9) << 10 | (random_bits() & 0x83ff));
    }
    std::vector<float> queries(nq * dim), norms(n), distances(nq * n), single(n);
    for (float& value : queries) value = static_cast<float>(random_bits() % 2048) / 1024 - 1 + 1e-3f;
    std::vector<std::int64_t> found(nq * n), found_single(n);
    DenseRows dense{{rows.data(), n, row_bytes, nullptr}, dim, element, norms.data()};
    dense_inverse_norms(dense, norms.data());
    dense_scan(metric, queries.data(), nq, dense, {n, found.data(), distances.data()});
    for (std::size_t q = 0; q < nq; ++q) {
        dense_scan(metric, queries.data() + q * dim, 1, dense, {n, found_single.data(), single.data()});
        double query_square = 0;
        for (std::size_t d = 0; d < dim; ++d) query_square += std::pow(queries[q * dim + d], 2);
        for (std::size_t i = 0; i < n; ++i) {
            const std::size_t at = q * n + i;
            const std::uint8_t* row = rows.data() + static_cast<std::size_t>(found[at]) * row_bytes;
            double dot = 0, l2 = 0, square = 0;
            for (std::size_t d = 0; d < dim; ++d) {
                const double x = value_of(row, element, d), y = queries[q * dim + d];
                dot += x * y, l2 += (x - y) * (x - y), square += x * x;
            }
            const double cosine = 1 - dot / std::sqrt(square * query_square);
            const double exact = metric == Metric::l2 ? l2 : metric == Metric::dot ? -dot : cosine;
            const bool right = std::abs(distances[at] - exact) <= 1e-5 * (1 + std::sqrt(square * query_square));
            if (!right || single[i] != distances[at] || found_single[i] != found[at]) ++failures;
            mix(std::bit_cast<std::uint32_t>(distances[at]) + (static_cast<std::uint64_t>(found[at]) << 32));
        }
    }
}

void check_hamming(std::size_t nbytes) {
    constexpr std::size_t n = 37;
    std::vector<std::uint8_t> rows(n * nbytes), query(nbytes);
    for (std::uint8_t& byte : rows) byte = static_cast<std::uint8_t>(random_bits());
    for (std::uint8_t& byte : query) byte = static_cast<std::uint8_t>(random_bits());
    std::int64_t found[n];
    float distances[n];
    hamming_scan(query.data(), 1, {rows.data(), n, nbytes, nullptr}, {n, found, distances});
    for (std::size_t i = 0; i < n; ++i) {
        int differing = 0;
        for (std::size_t b = 0; b < nbytes; ++b)
            differing += std::popcount(
                static_cast<std::uint8_t>(query[b] ^ rows[static_cast<std::size_t>(found[i]) * nbytes + b]));
        if (static_cast<float>(differing) != distances[i]) ++failures;
        mix(static_cast<std::uint64_t>(differing) + (static_cast<std::uint64_t>(found[i]) << 32));
    }
}

}  // namespace

int main() {
    for (const std::string& isa : supported_isas()) {
        use_isa(isa);
        state = 1;
        hash = 0;
        failures = 0;
        for (std::size_t dim = 1; dim <= 130; ++dim)
            for (const Element element : {Element::f32, Element::f16, Element::bf16})
                for (const Metric metric : {Metric::l2, Metric::dot, Metric::cosine}) check_dense(dim, element, metric);
        for (std::size_t nbytes = 1; nbytes <= 140; ++nbytes) check_hamming(nbytes);
        std::printf("%-8s %016llx failures %d\n", isa.c_str(), static_cast<unsigned long long>(hash), failures);
        if (failures != 0) return 1;
    }
}
