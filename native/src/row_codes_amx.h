// Products of byte queries with blocks of 32 rows' codes by AMX tiles (see row_codes_kernels.h for the layout, which is
// that of a right side: four bytes of each row side by side). The same exact integers as by lanes.
#pragma once

#include <immintrin.h>

#include "amx_tiles.h"
#include "row_codes_lanes_vnni.h"

#include "row_codes_kernels.h"

namespace vecstore {
namespace {

constexpr std::size_t kTiledQueriesMin = 8;           // fewer are multiplied sooner by lanes
constexpr std::size_t kColumnBytes = kCodeBlock * 4;  // four dims of all rows
constexpr std::size_t kHalfBytes = kColumnBytes / 2;  // of half the rows: a row of a right side

// Up to 32 queries: 64 dims at a time as left sides, the last few of them filled up with zeros.
class QuerySides {
 public:
    QuerySides(const ByteQueries& queries, std::size_t first, std::size_t count)
        : values_(queries.values + first * queries.stride), stride_(queries.stride), count_(count) {
        const std::size_t whole = whole_steps() * kTileBytes;
        for (std::size_t q = 0; q < count; ++q) {
            const __mmask64 there = (1ULL << tail()) - 1;
            _mm512_store_si512(tail_ + q * kTileBytes, _mm512_maskz_loadu_epi8(there, values_ + q * stride_ + whole));
            _mm512_store_si512(starts_ + q * kTileRows, _mm512_set1_epi32(-128 * queries.sums[first + q]));
        }
        memory_is_seen(this);
    }

    std::size_t count() const { return count_; }
    std::size_t whole_steps() const { return stride_ / kTileBytes; }
    std::size_t tail() const { return stride_ % kTileBytes; }
    std::size_t dims() const { return stride_; }

    Side step(std::size_t s, std::size_t m) const {
        if (s == whole_steps()) return {tail_ + m * kTileSize, kTileBytes};
        return {values_ + m * kTileRows * stride_ + s * kTileBytes, stride_};
    }
    const std::int32_t* starts() const { return starts_; }

 private:
    const std::int8_t* values_;
    std::size_t stride_, count_;
    alignas(64) std::int8_t tail_[kLeftRows * kTileBytes];
    alignas(64) std::int32_t starts_[kLeftRows * kTileRows];
};

// Blocks of bytes as right sides: as they are stored but for the last few dims.
class ByteSides {
 public:
    ByteSides(const QuerySides& queries, const std::uint8_t* blocks, std::size_t, const std::int8_t*)
        : blocks_(blocks),
          block_bytes_(queries.dims() * kCodeBlock),
          whole_(queries.whole_steps()),
          tail_columns_(queries.tail() / 4) {}

    // Before block b is multiplied.
    void expect(std::size_t b) {
        if (tail_columns_ == 0) return;
        const std::uint8_t* const from = blocks_ + b * block_bytes_ + whole_ * kTileRows * kColumnBytes;
        for (std::size_t at = 0; at < tail_columns_ * kColumnBytes; at += kHalfBytes)
            _mm512_store_si512(tail_ + at, _mm512_loadu_si512(from + at));
    }
    // Tiles do not wait well for memory.
    void expect_step() {
        for (std::size_t line = 0; line < kTileRows * kColumnBytes; line += 64) __builtin_prefetch(ahead_ + line);
        ahead_ += kTileRows * kColumnBytes;
    }

    Side step(std::size_t b, std::size_t s, std::size_t half) const {
        const std::uint8_t* const side =
            s == whole_ ? tail_ : blocks_ + b * block_bytes_ + s * kTileRows * kColumnBytes;
        return {side + half * kHalfBytes, kColumnBytes};
    }

 private:
    static constexpr std::size_t kAheadBytes = 4096;

    const std::uint8_t* blocks_;
    const std::uint8_t* ahead_ = blocks_ + kAheadBytes;
    std::size_t block_bytes_, whole_, tail_columns_;
    alignas(64) std::uint8_t tail_[kTileRows * kColumnBytes] = {};
};

// Blocks of nibbles as right sides of the bytes that they stand for, made some steps ahead: tiles wait for what is on
// its way to memory.
class NibbleSides {
 public:
    NibbleSides(const QuerySides& queries, const std::uint8_t* blocks, std::size_t nblocks, const std::int8_t* levels)
        : from_(blocks),
          end_(blocks + nblocks * (queries.dims() / 8) * kColumnBytes),
          levels_(CodeLanes::levels(levels)),
          steps_(queries.whole_steps() + (queries.tail() != 0)),
          last_groups_(queries.tail() / 8) {
        if (last_groups_ == 0) last_groups_ = kGroups;
        for (std::size_t s = 0; s < kAhead; ++s) expect_step();
    }

    void expect(std::size_t) {}
    void expect_step() {
        if (from_ == end_) return;
        const std::size_t groups = step_ + 1 < steps_ ? kGroups : last_groups_;
        std::uint8_t* to = sides_ + made_++ % kSides * 2 * kTileSize;
        for (std::size_t g = 0; g < groups; ++g, from_ += kColumnBytes, to += 2 * kHalfBytes)
            for (std::size_t half = 0; half < 2; ++half) {
                __m512i low, high;
                CodeLanes::nibbles(from_ + half * kHalfBytes, levels_, low, high);
                _mm512_store_si512(to + half * kTileSize, low);
                _mm512_store_si512(to + half * kTileSize + kHalfBytes, high);
            }
        step_ = step_ + 1 < steps_ ? step_ + 1 : 0;
    }

    // Steps are asked for in order.
    Side step(std::size_t b, std::size_t s, std::size_t half) const {
        return {sides_ + ((b * steps_ + s) % kSides * 2 + half) * kTileSize, kTileBytes};
    }

 private:
    static constexpr std::size_t kAhead = 2, kSides = 4, kGroups = 8;  // of eight dims

    const std::uint8_t *from_, *end_;
    __m512i levels_;
    std::size_t steps_, last_groups_, step_ = 0, made_ = 0;
    alignas(64) std::uint8_t sides_[kSides * 2 * kTileSize] = {};
};

struct BlockProducts : TileSums {
    void write(std::size_t count, float* out, std::size_t out_stride) const {
        for (std::size_t q = 0; q < count; ++q)
            for (std::size_t half = 0; half < 2; ++half)
                CodeLanes::store(out + q * out_stride + half * kTileRows, _mm512_load_si512(sums[half][q]));
    }
};

// While a block is multiplied the last one's products are written.
template <class Sides, bool kTwo>
inline void tiled_run(const QuerySides& queries, Sides& sides, std::size_t nblocks, float* out,
                      std::size_t out_stride) {
    const std::size_t steps = queries.whole_steps() + (queries.tail() != 0);
    BlockProducts products[2];
    for (std::size_t b = 0; b < nblocks; ++b) {
        sides.expect(b);
        start_tiles<kTwo>(queries.starts());
        for (std::size_t s = 0; s < steps; ++s) {
            sides.expect_step();
            memory_is_seen(&sides);
            add_tiles<kTwo>(queries.step(s, 0), queries.step(s, 1), sides.step(b, s, 0), sides.step(b, s, 1));
        }
        if (b > 0) products[(b - 1) % 2].write(queries.count(), out + (b - 1) * kCodeBlock, out_stride);
        products[b % 2].template store<kTwo>();
    }
    if (nblocks > 0) products[(nblocks - 1) % 2].write(queries.count(), out + (nblocks - 1) * kCodeBlock, out_stride);
}

template <class Sides, bool kNibbles>
void tiled_code_dots(const ByteQueries& queries, std::size_t nq, const std::uint8_t* blocks, std::size_t nblocks,
                     float* out, std::size_t out_stride) {
    if (nq < kTiledQueriesMin) return code_dots<kNibbles>(queries, nq, blocks, nblocks, out, out_stride);
    for (std::size_t first = 0; first < nq; first += kLeftRows) {
        const std::size_t count = nq - first < kLeftRows ? nq - first : kLeftRows;
        const QuerySides some(queries, first, count);
        Sides sides(some, blocks, nblocks, queries.levels);
        const Tiles tiles(count);
        float* const to = out + first * out_stride;
        if (count > kTileRows)
            tiled_run<Sides, true>(some, sides, nblocks, to, out_stride);
        else
            tiled_run<Sides, false>(some, sides, nblocks, to, out_stride);
    }
}

}  // namespace
}  // namespace vecstore
