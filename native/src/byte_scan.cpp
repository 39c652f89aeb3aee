#include "byte_scan.h"

#include <bit>
#include <cstring>

#include "dispatch.h"

namespace vecstore {
namespace {

constexpr std::size_t kEntries = 256;

// A row's look-ups in two chains, eight codes at a load. Rows are interleaved by the caller, so that many look-ups are
// under way at once; a row's sum has the same order alone.
template <int kRows>
void row_sums(const float* tables, const std::uint8_t* codes, std::size_t bytes, float* out) {
    float even[kRows] = {}, odd[kRows] = {};
    std::size_t j = 0;
    for (; j + 8 <= bytes; j += 8) {
        const float* table = tables + j * kEntries;
        for (int r = 0; r < kRows; ++r) {
            std::uint64_t word;
            std::memcpy(&word, codes + r * bytes + j, 8);
            if constexpr (std::endian::native == std::endian::big) word = __builtin_bswap64(word);
            for (int b = 0; b < 8; b += 2) {
                even[r] += table[b * kEntries + (word >> 8 * b & 255)];
                odd[r] += table[(b + 1) * kEntries + (word >> 8 * (b + 1) & 255)];
            }
        }
    }
    for (; j < bytes; ++j)
        for (int r = 0; r < kRows; ++r) even[r] += tables[j * kEntries + codes[r * bytes + j]];
    for (int r = 0; r < kRows; ++r) out[r] = even[r] + odd[r];
}

class ByteScorer {
 public:
    using Query = std::vector<float>;  // (bytes, 256)
    static constexpr bool kRefines = false;
    static constexpr std::size_t kTogether = 1;

    ByteScorer(const ByteCodes& codes, const float* queries, std::size_t dim)
        : codes_(codes), queries_(queries), dim_(dim) {}

    void prepare(std::size_t q, Query& tables) const {
        tables.assign(codes_.bytes * kEntries, 0);
        for (std::size_t t = 0; t < codes_.bytes; ++t) {
            float* const table = tables.data() + t * kEntries;
            for (std::size_t w = 0; w < codes_.width; ++w) {
                const std::int32_t d = codes_.table_dims[t * codes_.width + w];
                if (d < 0) continue;
                const float x = queries_[q * dim_ + static_cast<std::size_t>(d)];
                const float* values = codes_.table_values + (t * codes_.width + w) * kEntries;
                for (std::size_t v = 0; v < kEntries; ++v) table[v] += x * values[v];
            }
        }
    }

    bool has_lower() const { return false; }
    std::size_t place_bytes() const { return codes_.bytes + 2 * sizeof(float); }

    void score(const Query* queries, const ListRun* runs, std::size_t, BlockHits* hits) const {
        constexpr int kRows = 4;
        const Query& tables = *queries;
        const ListRun& run = *runs;
        float* const est = hits->est;
        const std::uint8_t* codes = codes_.codes + run.place * codes_.bytes;
        std::size_t i = 0;
        for (; i + kRows <= run.count; i += kRows)
            row_sums<kRows>(tables.data(), codes + i * codes_.bytes, codes_.bytes, est + i);
        for (; i < run.count; ++i) row_sums<1>(tables.data(), codes + i * codes_.bytes, codes_.bytes, est + i);
        const float* factors = codes_.factors + 2 * run.place;
        for (i = 0; i < run.count; i += kBlockRows) {
            std::uint32_t near = 0;
            const std::size_t rows = std::min(run.count - i, kBlockRows);
            for (std::size_t r = 0; r < rows; ++r) {
                const float distance = distance_of(run.add, factors + 2 * (i + r), est[i + r]);
                est[hits->count * kBlockRows + r] = distance;
                near |= static_cast<std::uint32_t>(distance < run.gate) << r;
            }
            hits->blocks[hits->count] = static_cast<std::uint32_t>(i / kBlockRows);
            hits->near[hits->count] = near;
            hits->count += near != 0;
        }
    }

    Refined finish(const Query& tables, std::size_t place, float add, float) const {
        float sum;
        row_sums<1>(tables.data(), codes_.codes + place * codes_.bytes, codes_.bytes, &sum);
        return {distance_of(add, codes_.factors + 2 * place, sum), 0};
    }

 private:
    static float distance_of(float list_add, const float* factors, float sum) {
        return (list_add + factors[1]) + factors[0] * sum;
    }

    const ByteCodes& codes_;
    const float* queries_;
    std::size_t dim_;
};

}  // namespace

void byte_scan(const ByteCodes& codes, const float* queries, std::size_t dim, const ListProbes& probes,
               const ListOutput& output) {
    const ByteScorer scorer(codes, queries, dim);
    ListScan(scorer, codes.layout, probes, output).run();
}

}  // namespace vecstore
