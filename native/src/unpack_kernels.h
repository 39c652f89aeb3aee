// What the instruction sets share in decoding gaps. Internal linkage: files with flags of their own include this.
#pragma once

#include <cstring>

#include "packed_rows.h"

namespace vecstore {
namespace {

// The bits of entries i.. of a row, at least 16 bits less the first one's offset in its byte; spare bytes follow.
[[maybe_unused]] inline std::uint32_t flags_at(const RowGaps& gaps, std::size_t i) {
    const std::size_t bit = gaps.first_bit + i;
    std::uint32_t bits;
    std::memcpy(&bits, gaps.flags + bit / 8, sizeof bits);  // little-endian, as all supported CPUs are
    return bits >> (bit % 8);
}

template <class High>
[[maybe_unused]] void unpack_one_by_one(const RowGaps& gaps, std::uint32_t* places) {
    const auto* high = static_cast<const std::uint8_t*>(gaps.highs);
    std::uint32_t next = 0;
    for (std::size_t i = 0; i < gaps.count; ++i) {
        std::uint32_t gap = gaps.lows[i];
        if (flags_at(gaps, i) & 1) {
            High part;
            std::memcpy(&part, high, sizeof part);
            gap |= std::uint32_t{part} << 8;
            high += sizeof part;
        }
        places[i] = next + gap;
        next = places[i] + 1;
    }
}

// For each pattern of kLanes bits, which of the bits set before it each lane has: where its high part is. Bytes of a
// lane that has none are 255 where a lane is more than one byte.
template <std::size_t kLanes, std::size_t kBytes>
struct Expanding {
    std::uint8_t of[std::size_t{1} << kLanes][kLanes * kBytes];

    constexpr Expanding() : of{} {
        for (std::size_t pattern = 0; pattern < std::size_t{1} << kLanes; ++pattern) {
            std::size_t set = 0;
            for (std::size_t lane = 0; lane < kLanes; ++lane) {
                const bool has = (pattern >> lane & 1) != 0;
                for (std::size_t byte = 0; byte < kBytes; ++byte)
                    of[pattern][lane * kBytes + byte] =
                        static_cast<std::uint8_t>(kBytes == 1 || has ? set * kBytes + byte : 255);
                set += has;
            }
        }
    }
};

}  // namespace
}  // namespace vecstore
