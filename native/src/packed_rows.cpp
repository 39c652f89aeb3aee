#include "packed_rows.h"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>

namespace vecstore {
namespace {

constexpr std::size_t kLine = 64;
constexpr std::size_t kDirectMin = 1 << 16;
constexpr std::size_t kDirectPerTerm = 16;  // places of the direct table for each term

std::size_t bits_between(const std::uint8_t* flags, std::size_t begin, std::size_t end) {
    std::size_t found = 0;
    for (; begin < end && begin % 8 != 0; ++begin) found += flags[begin / 8] >> (begin % 8) & 1;
    for (; begin + 8 <= end; begin += 8) found += static_cast<std::size_t>(std::popcount(flags[begin / 8]));
    for (; begin < end; ++begin) found += flags[begin / 8] >> (begin % 8) & 1;
    return found;
}

void prefetch_lines(const void* array, std::size_t begin, std::size_t end) {
    const auto* bytes = static_cast<const char*>(array);
    for (std::size_t at = begin; at < end; at += kLine) __builtin_prefetch(bytes + at);
    if (end > begin) __builtin_prefetch(bytes + end - 1);
}

}  // namespace

std::size_t PackedView::place_of(std::uint32_t index) const {
    if (direct != nullptr) return index < ndirect ? direct[index] : nterms;
    const std::uint32_t* at = std::lower_bound(terms, terms + nterms, index);
    return at != terms + nterms && *at == index ? static_cast<std::size_t>(at - terms) : nterms;
}

std::vector<std::uint32_t> direct_places(const std::uint32_t* terms, std::size_t nterms) {
    if (nterms == 0 || terms[nterms - 1] >= std::max(kDirectMin, kDirectPerTerm * nterms)) return {};
    std::vector<std::uint32_t> direct(std::size_t{terms[nterms - 1]} + 1, static_cast<std::uint32_t>(nterms));
    for (std::size_t place = 0; place < nterms; ++place) direct[terms[place]] = static_cast<std::uint32_t>(place);
    return direct;
}

const std::uint32_t* PackedView::places(std::size_t row, std::size_t begin, std::size_t end,
                                        std::uint32_t* room) const {
    if (low_bytes == 4) return static_cast<const std::uint32_t*>(lows) + begin;
    if (low_bytes == 2) {
        std::copy(static_cast<const std::uint16_t*>(lows) + begin, static_cast<const std::uint16_t*>(lows) + end, room);
        return room;
    }
    const UnpackOps& ops = current_unpack_ops();
    const auto* high = static_cast<const std::uint8_t*>(highs) + starts[row] * high_bytes;
    const RowGaps gaps{flags, begin, static_cast<const std::uint8_t*>(lows) + begin, high, end - begin};
    (high_bytes == 1 ? ops.high8 : ops.high16)(gaps, room);
    return room;
}

void PackedView::prefetch(std::size_t row, std::size_t begin, std::size_t end) const {
    prefetch_lines(lows, begin * low_bytes, end * low_bytes);
    if (low_bytes != 1) return;
    prefetch_lines(flags, begin / 8, end / 8 + 1);
    prefetch_lines(highs, starts[row] * high_bytes, starts[row + 1] * high_bytes);
}

void check_packed(const PackedView& packed, const std::int64_t* offsets, std::size_t n, std::size_t nnz,
                  std::size_t nhighs) {
    const auto bad = [](const std::string& what, std::size_t row) {
        throw std::invalid_argument(what + " of row " + std::to_string(row) + " do not fit the others");
    };
    if (offsets[0] != 0 || offsets[n] != static_cast<std::int64_t>(nnz)) bad("offsets", 0);
    for (std::size_t row = 0; row < n; ++row)
        if (offsets[row] > offsets[row + 1]) bad("offsets", row);
    if (packed.low_bytes != 1) return;
    if (packed.starts[0] != 0 || packed.starts[n] != nhighs) bad("starts", 0);
    for (std::size_t row = 0; row < n; ++row) {
        const auto begin = static_cast<std::size_t>(offsets[row]), end = static_cast<std::size_t>(offsets[row + 1]);
        if (packed.starts[row] > packed.starts[row + 1]) bad("starts", row);
        if (bits_between(packed.flags, begin, end) != packed.starts[row + 1] - packed.starts[row]) bad("flags", row);
    }
}

}  // namespace vecstore
