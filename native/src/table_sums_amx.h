// Sums of looked-up bytes by AMX tiles: where tables are linear in the bits of codes, sums are products of bits and
// weights. A block's bits are spread over bytes once for all queries. Few queries look up, as without AMX.
#pragma once

#include <cstdlib>

#include "amx_tiles.h"
#include "table_sums_vbmi.h"

namespace vecstore {
namespace {

constexpr std::size_t kTileQueriesMin = 8;  // fewer look up sooner
constexpr std::size_t kStepGroups = 2;      // of eight nibbles, thus 64 bits of a row
constexpr std::size_t kTileBlocks = 16;     // whose sums are kept till they are told of

// The bits of a block's rows at one step as right sides, one for each half of the rows: a byte for each bit, those of
// one row and four bytes side by side, shift by shift. Tiles wait for what is on its way to memory, so bits are spread
// some steps ahead.
class SpreadBits {
 public:
    static constexpr std::size_t kAhead = 2;  // steps

    void put(std::size_t step, const std::uint8_t* group, std::size_t groups) {
        for (std::size_t g = 0; g < groups; ++g) {
            for (std::size_t half = 0; half < 2; ++half) {
                const __m512i codes = _mm512_loadu_si512(group + g * 128 + half * 64);
                std::uint8_t* const to = at(step, half) + g * 8 * kTileBytes;
                [&]<int... shift>(std::integer_sequence<int, shift...>) {
                    (_mm512_store_si512(to + shift * kTileBytes, bit<shift>(codes)), ...);
                }(std::make_integer_sequence<int, 8>());
            }
        }
    }

    Side of(std::size_t step, std::size_t half) const {
        return {bits_ + (step % kSteps * 2 + half) * kTileSize, kTileBytes};
    }

 private:
    static constexpr std::size_t kSteps = 4;

    // Of each byte, as the lowest one: a matrix whose last row alone is not zero.
    template <int kShift>
    static __m512i bit(__m512i codes) {
        return _mm512_gf2p8affine_epi64_epi8(codes, _mm512_set1_epi64(1LL << (56 + kShift)), 0);
    }

    std::uint8_t* at(std::size_t step, std::size_t half) { return bits_ + (step % kSteps * 2 + half) * kTileSize; }

    alignas(64) std::uint8_t bits_[kSteps * 2 * kTileSize];
};

// Weights of all queries as left sides, step by step, and what their sums start at: as floats they are compared, see
// QueryCut.
class TileWeights {
 public:
    TileWeights(const TableAsk* asks, std::size_t nq, std::size_t groups)
        : steps_((groups + kStepGroups - 1) / kStepGroups),
          weights_(static_cast<std::int8_t*>(std::aligned_alloc(kTileBytes, steps_ * 2 * kTileSize))) {
        const __m512i base = _mm512_castps_si512(_mm512_set1_ps(QueryCut::kSumBase));
        for (std::size_t q = 0; weights_ != nullptr && q < nq; ++q) {
            for (std::size_t s = 0; s < steps_; ++s) {
                // Of the last step's second group, if there is none, weights are zero, whatever its bits are.
                const std::size_t left = (groups - s * kStepGroups) * kTileBytes / kStepGroups;
                const __mmask64 there = left < kTileBytes ? ~0ULL >> (kTileBytes - left) : ~0ULL;
                const __m512i weights = _mm512_maskz_loadu_epi8(there, asks[q].tables->weights + s * kTileBytes);
                _mm512_store_si512(weights_ + (s * 2 + q / kTileRows) * kTileSize + q % kTileRows * kTileBytes,
                                   weights);
            }
            _mm512_store_si512(starts_ + q * kTileRows,
                               _mm512_add_epi32(base, _mm512_set1_epi32(asks[q].tables->start)));
        }
    }
    ~TileWeights() { std::free(weights_); }
    TileWeights(const TileWeights&) = delete;
    TileWeights& operator=(const TileWeights&) = delete;

    bool there() const { return weights_ != nullptr; }
    std::size_t steps() const { return steps_; }
    Side of(std::size_t step, std::size_t m) const { return {weights_ + (step * 2 + m) * kTileSize, kTileBytes}; }
    const std::int32_t* starts() const { return starts_; }

 private:
    std::size_t steps_;
    std::int8_t* weights_;
    alignas(64) std::int32_t starts_[kLeftRows * kTileRows];
};

// A block's sums of all queries.
struct BlockSums : TileSums {
    // Of queries begin..end, a bit for each that may be near to a row.
    std::uint32_t near(const RowCuts& rows, std::size_t begin, std::size_t end, const QueryCut* cuts) const {
        return rows.positive ? near_if<true>(rows, begin, end, cuts) : near_if<false>(rows, begin, end, cuts);
    }

    template <class Found>
    void tell(std::uint32_t near, std::size_t block, const Found& found) const {
        const __m512i start = _mm512_castps_si512(_mm512_set1_ps(QueryCut::kSumBase));
        for (; near != 0; near &= near - 1) {
            const auto q = static_cast<std::size_t>(__builtin_ctz(near));
            alignas(64) std::int32_t whole[32];
            _mm512_store_si512(whole, _mm512_sub_epi32(_mm512_load_si512(sums[0][q]), start));
            _mm512_store_si512(whole + 16, _mm512_sub_epi32(_mm512_load_si512(sums[1][q]), start));
            found(q, whole, block);
        }
    }

 private:
    template <bool kPositive>
    std::uint32_t near_if(const RowCuts& rows, std::size_t begin, std::size_t end, const QueryCut* cuts) const {
        const RowCuts held = rows;
        std::uint32_t near = 0;
        for (std::size_t q = begin; q < end; ++q) {
            const __m512i any = _mm512_or_si512(held.near<kPositive>(0, _mm512_load_si512(sums[0][q]), cuts[q]),
                                                held.near<kPositive>(1, _mm512_load_si512(sums[1][q]), cuts[q]));
            near |= std::uint32_t{!held.known || _mm512_movepi32_mask(any) != 0} << q;
        }
        return near;
    }
};

// A run's codes, step by step of block after block.
class StepCodes {
 public:
    StepCodes(const std::uint8_t* blocks, std::size_t groups, std::size_t steps)
        : at_(blocks), steps_(steps), last_groups_(groups - (steps - 1) * kStepGroups) {}

    void spread_next(SpreadBits& bits) {
        const std::size_t groups = step_ + 1 < steps_ ? kStepGroups : last_groups_;
        prefetch(at_ + kPrefetchBytes, kStepGroups * 128);
        bits.put(count_, at_, groups);
        at_ += groups * 128;
        step_ = step_ + 1 < steps_ ? step_ + 1 : 0;
        ++count_;
    }

 private:
    const std::uint8_t* at_;
    std::size_t steps_, last_groups_, step_ = 0, count_ = 0;
};

// While the products of a block are made, its bits are spread some steps ahead and the last one's sums are looked at:
// each takes other parts of the CPU. What is found is told some blocks later, since nobody can foretell where it is.
template <bool kTwo, class Found>
inline void tile_near_blocks(const TableRun& run, const QueryCut* cuts, std::size_t nq, const TileWeights& weights,
                             const Found& found) {
    const std::size_t steps = weights.steps(), total = run.count * steps, piece = (nq + steps - 1) / steps;
    const std::size_t factor_bytes = run.columns * 32 * (run.half_factors ? 2 : 4);
    SpreadBits bits;
    BlockSums sums[kTileBlocks];
    std::uint32_t near[kTileBlocks];
    RowCuts rows;
    StepCodes codes(run.blocks, run.groups, steps);
    std::size_t told = 0;
    const auto tell = [&](std::size_t end) {
        for (; told < end; ++told) sums[told % kTileBlocks].tell(near[told % kTileBlocks], told, found);
    };
    for (std::size_t at = 0; at < SpreadBits::kAhead && at < total; ++at) codes.spread_next(bits);
    for (std::size_t b = 0, at = 0; b < run.count; ++b) {
        start_tiles<kTwo>(weights.starts());
        const BlockSums& last = sums[(b - 1) % kTileBlocks];
        std::uint32_t near_last = 0;
        for (std::size_t step = 0, looked = b > 0 ? 0 : nq; step < steps; ++step, ++at) {
            if (at + SpreadBits::kAhead < total) codes.spread_next(bits);
            memory_is_seen(&bits);
            add_tiles<kTwo>(weights.of(step, 0), weights.of(step, 1), bits.of(at, 0), bits.of(at, 1));
            if (looked == nq) continue;
            const std::size_t end = looked + piece < nq ? looked + piece : nq;
            near_last |= last.near(rows, looked, end, cuts);
            looked = end;
        }
        near[(b - 1) % kTileBlocks] = near_last;
        prefetch(run.factors + (b + run.count) * factor_bytes, factor_bytes);
        rows = RowCuts(run, b);
        if (b == told + kTileBlocks) tell(b);
        sums[b % kTileBlocks].template store<kTwo>();
    }
    near[(run.count - 1) % kTileBlocks] = sums[(run.count - 1) % kTileBlocks].near(rows, 0, nq, cuts);
    tell(run.count);
}

template <bool kLower, class Found>
inline bool tiles_tell(const TableRun& run, const TableAsk* asks, std::size_t nq, const Found& found) {
    if (nq < kTileQueriesMin || nq > kLeftRows) return false;
    for (std::size_t q = 0; q < nq; ++q)
        if (asks[q].tables->weights == nullptr) return false;
    const TileWeights weights(asks, nq, run.groups);
    if (!weights.there()) return false;
    QueryCut cuts[kLeftRows];
    for (std::size_t q = 0; q < nq; ++q) cuts[q] = QueryCut(asks[q], kLower);
    const Tiles tiles(nq);
    if (nq > kTileRows)
        tile_near_blocks<true>(run, cuts, nq, weights, found);
    else
        tile_near_blocks<false>(run, cuts, nq, weights, found);
    return true;
}

template <bool kLower, class Found>
inline void near_blocks(const TableRun& run, const TableAsk* asks, std::size_t nq, const Found& found) {
    if (!tiles_tell<kLower>(run, asks, nq, found)) looked_up_near_blocks<kLower>(run, asks, nq, found);
}

}  // namespace
}  // namespace vecstore
