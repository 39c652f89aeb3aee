// Stage two of table codes: a row's low bits times a query's weights. Included by table_kernels.h.
//
// Sums of 64 products in fixed places, so that additions need not wait for each other; nothing is fused: the same bits
// on every instruction set.
#pragma once

#include "elements.h"

namespace vecstore {
namespace {

class ExtraSums {
 public:
    ExtraSums() {
        for (Lanes::Reg& sum : sums_) sum = Lanes::zero();
    }

    // Numbers of kBits in row[0..nbytes), times weights laid out as ExtraDotFn says. Returns how many weights.
    template <int kBits>
    std::size_t add(const std::uint8_t* row, std::size_t nbytes, const float* weights) {
        ExtraSums sums = *this;  // in registers: in memory, each addition would wait for the last one's store
        const std::size_t whole = nbytes / 16 * 16, shift_weights = (nbytes + 15) / 16 * 16;
        std::size_t i = 0;
        for (; i + 64 <= nbytes; i += 64) sums.add_chunks<kBits, 0, 1, 2, 3>(row + i, weights + i, shift_weights);
        if (i + 48 <= nbytes)
            sums.add_chunks<kBits, 0, 1, 2>(row + i, weights + i, shift_weights);
        else if (i + 32 <= nbytes)
            sums.add_chunks<kBits, 0, 1>(row + i, weights + i, shift_weights);
        else if (i + 16 <= nbytes)
            sums.add_chunks<kBits, 0>(row + i, weights + i, shift_weights);
        if (whole < nbytes) {
            std::uint8_t few[16] = {};
            if (nbytes < 16) __builtin_memcpy(few + 16 - nbytes, row, nbytes);
            const std::uint8_t* const last = nbytes < 16 ? few : row + nbytes - 16;
            sums.add_chunks<kBits, 3>(last, weights + whole, shift_weights);
        }
        *this = sums;
        return shift_weights * (8 / kBits);
    }

    float total() const {
        Lanes::Reg sums[Lanes::kParts];
        for (int p = 0; p < Lanes::kParts; ++p)
            sums[p] = Lanes::add(Lanes::add(sums_[p], sums_[Lanes::kParts + p]),
                                 Lanes::add(sums_[2 * Lanes::kParts + p], sums_[3 * Lanes::kParts + p]));
        return Lanes::reduce(sums);
    }

 private:
    // Chunks of sixteen bytes, one after the other; shift by shift, so that they take turns.
    template <int kBits, int kFirst, int... kMore>
    void add_chunks(const std::uint8_t* row, const float* weights, std::size_t shift_weights) {
        const auto add_shift = [&]<int kShift>() {
            add_chunk<kBits, kShift, kFirst>(row, weights);
            (add_chunk<kBits, kShift, kMore>(row + 16 * (kMore - kFirst), weights + 16 * (kMore - kFirst)), ...);
            weights += shift_weights;
        };
        [&]<int... kTimes>(std::integer_sequence<int, kTimes...>) {
            (add_shift.template operator()<kTimes * kBits>(), ...);
        }(std::make_integer_sequence<int, 8 / kBits>());
    }

    template <int kBits, int kShift, int kChunk>
    void add_chunk(const std::uint8_t* row, const float* weights) {
        for (int p = 0; p < Lanes::kParts; ++p) {
            Lanes::Reg& sum = sums_[kChunk * Lanes::kParts + p];
            const int at = p * Lanes::kWidth;
            sum = Lanes::add_bits<kBits, kShift>(sum, row + at, weights + at);
        }
    }

    Lanes::Reg sums_[4 * Lanes::kParts];
};

}  // namespace
}  // namespace vecstore
