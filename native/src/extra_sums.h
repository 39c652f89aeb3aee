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

    // The numbers at `shift` in bytes row[0..nbytes), times weights laid out as ExtraDotFn says. Returns how many.
    std::size_t add(const std::uint8_t* row, std::size_t nbytes, int shift, int mask, const float* weights) {
        ExtraSums sums = *this;  // in registers: in memory, each addition would wait for the last one's store
        std::size_t i = 0;
        for (; i + 64 <= nbytes; i += 64) {
            sums.add_chunk<0>(row + i, shift, mask, weights + i);
            sums.add_chunk<1>(row + i + 16, shift, mask, weights + i + 16);
            sums.add_chunk<2>(row + i + 32, shift, mask, weights + i + 32);
            sums.add_chunk<3>(row + i + 48, shift, mask, weights + i + 48);
        }
        if (i + 16 <= nbytes) sums.add_chunk<0>(row + i, shift, mask, weights + i);
        if (i + 32 <= nbytes) sums.add_chunk<1>(row + i + 16, shift, mask, weights + i + 16);
        if (i + 48 <= nbytes) sums.add_chunk<2>(row + i + 32, shift, mask, weights + i + 32);
        const std::size_t whole = nbytes / 16 * 16;
        std::size_t taken = whole;
        if (whole < nbytes) {
            std::uint8_t few[16] = {};
            if (nbytes < 16) __builtin_memcpy(few + 16 - nbytes, row, nbytes);
            sums.add_chunk<3>(nbytes < 16 ? few : row + nbytes - 16, shift, mask, weights + whole);
            taken += 16;
        }
        *this = sums;
        return taken;
    }

    float total() const {
        Lanes::Reg sums[Lanes::kParts];
        for (int p = 0; p < Lanes::kParts; ++p)
            sums[p] = Lanes::add(Lanes::add(sums_[p], sums_[Lanes::kParts + p]),
                                 Lanes::add(sums_[2 * Lanes::kParts + p], sums_[3 * Lanes::kParts + p]));
        return Lanes::reduce(sums);
    }

 private:
    template <int kChunk>
    void add_chunk(const std::uint8_t* row, int shift, int mask, const float* weights) {
        for (int p = 0; p < Lanes::kParts; ++p) {
            Lanes::Reg& sum = sums_[kChunk * Lanes::kParts + p];
            const int at = p * Lanes::kWidth;
            sum = Lanes::add(sum, Lanes::mul(Lanes::load_bits(row + at, shift, mask), Lanes::load(weights + at)));
        }
    }

    Lanes::Reg sums_[4 * Lanes::kParts];
};

}  // namespace
}  // namespace vecstore
