#include "seismic_index.h"

#include <algorithm>
#include <bit>
#include <stdexcept>
#include <string>

#include "seismic_ops.h"

namespace vecstore {
namespace {

constexpr std::size_t kDenseShare = 8;  // DENSE_SHARE of vecstore/kernels/seismic.py
constexpr std::uint32_t kDirectMin = 1 << 16;
constexpr std::size_t kDirectPerTerm = 16;  // places of the direct table for each term

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

}  // namespace

SeismicIndex::SeismicIndex(const SeismicArrays& arrays)
    : a_(arrays), blocks_((a_.n + kBlockRows - 1) / kBlockRows), words_((blocks_ + 63) / 64) {
    check();
    place_terms();
    fill_tables();
    check_parts();
    if (a_.nterms == 0) return;
    const std::uint32_t top = a_.terms[a_.nterms - 1];
    if (top >= std::max<std::size_t>(kDirectMin, kDirectPerTerm * a_.nterms)) return;
    direct_.assign(std::size_t{top} + 1, kNone);
    for (std::size_t t = 0; t < a_.nterms; ++t) direct_[a_.terms[t]] = static_cast<std::uint32_t>(t);
}

void SeismicIndex::place_terms() {
    tables_of_.assign(a_.nterms, kNone);
    first_blocks_.assign(a_.nterms, 0);
    std::size_t others = 0;
    std::uint32_t tables = 0;
    for (std::size_t t = 0; t < a_.nterms; ++t) {
        const auto parts = static_cast<std::size_t>(a_.term_parts[t + 1] - a_.term_parts[t]);
        if (parts * kDenseShare > blocks_) {
            tables_of_[t] = tables++;
        } else {
            first_blocks_[t] = others;
            others += parts;
        }
    }
    if (tables != a_.ndense) refuse(std::to_string(tables) + " terms need bits of blocks");
    if (others != a_.nothers) refuse("blocks of parts are missing");
}

void SeismicIndex::fill_tables() {
    tables_.assign(a_.ndense * padded_blocks(), 0);
    ranks_.assign(a_.ndense * words_, PartWord{0, 0});
    for (std::size_t t = 0; t < a_.nterms; ++t) {
        if (tables_of_[t] == kNone) continue;
        std::uint8_t* codes = tables_.data() + tables_of_[t] * padded_blocks();
        PartWord* words = ranks_.data() + tables_of_[t] * words_;
        const std::uint64_t* bits = a_.block_bits + tables_of_[t] * words_;
        const auto first = static_cast<std::size_t>(a_.term_parts[t]),
                   count = static_cast<std::size_t>(a_.term_parts[t + 1]) - first;
        if (blocks_ % 64 != 0 && bits[words_ - 1] >> (blocks_ % 64) != 0) refuse("a part is of a block past the last");
        std::uint32_t parts = 0;
        for (std::size_t w = 0; w < words_; ++w) {
            words[w] = {bits[w], parts};
            parts += static_cast<std::uint32_t>(std::popcount(bits[w]));
        }
        if (parts != count) refuse("term " + std::to_string(a_.terms[t]) + " has not a part for each of its blocks");
        const std::uint8_t* code = a_.part_codes + first;
        for (std::size_t w = 0; w < words_; ++w)
            for (std::uint64_t left = bits[w]; left != 0; left &= left - 1)
                codes[w * 64 + static_cast<std::size_t>(std::countr_zero(left))] = *code++;
    }
}

std::uint32_t SeismicIndex::term(std::uint32_t index) const {
    if (!direct_.empty()) return index < direct_.size() ? direct_[index] : kNone;
    const std::uint32_t* end = a_.terms + a_.nterms;
    const std::uint32_t* at = std::lower_bound(a_.terms, end, index);
    return at == end || *at != index ? kNone : static_cast<std::uint32_t>(at - a_.terms);
}

void SeismicIndex::check() const {
    for (std::size_t p = 0; p < a_.n; ++p)
        if (a_.rows[p] >= a_.n) refuse("place " + std::to_string(p) + " holds row " + std::to_string(a_.rows[p]));
    std::vector<bool> seen(a_.n, false);
    for (std::size_t p = 0; p < a_.n; ++p) {
        if (seen[a_.rows[p]]) refuse("row " + std::to_string(a_.rows[p]) + " stands at two places");
        seen[a_.rows[p]] = true;
    }
    if (a_.nbytes < kRecordPadding) refuse("records must end with " + std::to_string(kRecordPadding) + " spare bytes");
    if (a_.term_parts[0] != 0 || a_.term_parts[a_.nterms] != static_cast<std::int64_t>(a_.nsegments))
        refuse("terms do not cover the parts");
    for (std::size_t t = 0; t < a_.nterms; ++t) {
        const std::string of = " of term " + std::to_string(a_.terms[t]);
        if (t > 0 && a_.terms[t] <= a_.terms[t - 1]) refuse("terms do not ascend: place" + of);
        if (!(a_.scales[t] > 0) || !(a_.scales[t] < 3.0e38f)) refuse("no scale" + of);
        // They ascend to an end that was checked, so that no term passes it.
        if (a_.term_parts[t] >= a_.term_parts[t + 1]) refuse("parts out of bounds" + of);
    }
}

void SeismicIndex::check_parts() const {
    std::size_t at = 0;
    for (std::size_t t = 0; t < a_.nterms; ++t) {
        const auto first = static_cast<std::size_t>(a_.term_parts[t]),
                   last = static_cast<std::size_t>(a_.term_parts[t + 1]);
        if (tables_of_[t] != kNone) {
            const std::uint64_t* bits = a_.block_bits + tables_of_[t] * words_;
            std::size_t part = first;
            for (std::size_t w = 0; w < words_; ++w)
                for (std::uint64_t left = bits[w]; left != 0; left &= left - 1)
                    at = check_part(part++, w * 64 + static_cast<std::size_t>(std::countr_zero(left)), at);
            continue;
        }
        a_.with_blocks([&](const auto* blocks) {
            blocks += first_blocks_[t];
            for (std::size_t p = 0; p < last - first; ++p) {
                if (blocks[p] >= blocks_ || (p > 0 && blocks[p] <= blocks[p - 1])) refuse("blocks out of order");
                at = check_part(first + p, blocks[p], at);
            }
        });
    }
    if (at != a_.nbytes - kRecordPadding) refuse("records without a part");
}

// `at` is where its record has to begin; returns where the next one has to.
std::size_t SeismicIndex::check_part(std::size_t part, std::size_t block, std::size_t at) const {
    const auto bad = [&](const char* what) { refuse(std::string(what) + " of part " + std::to_string(part)); };
    const std::size_t rows = std::min(kBlockRows, a_.n - block * kBlockRows), end = a_.nbytes - kRecordPadding;
    if (a_.part_codes[part] == 0) bad("no code");
    if (part % kGroupParts == 0 && a_.parts.bases[part / kGroupParts] != static_cast<std::int64_t>(at))
        bad("records out of order");
    const std::uint32_t word = a_.parts.words[part];
    if ((word & kOneRow) != 0) {
        if ((word >> 14 & 1) != 0 || (word >> 8 & 63) >= rows) bad("a row past the last");
        return at;
    }
    // Bases were checked at the first part of each group; the spare bytes are there to be read.
    if (at >= end || a_.parts.bases[part / kGroupParts] + word != static_cast<std::int64_t>(at))
        bad("records out of order");
    const std::uint8_t* record = a_.parts.records + at;
    std::size_t size = 1, held = 0;
    for (std::size_t octet = 0; octet < 8; ++octet) {
        if ((*record >> octet & 1) == 0) continue;
        const std::uint32_t bits = record[size++];
        held += static_cast<std::size_t>(std::popcount(bits));
        if (bits == 0) bad("no rows in an octet");
        if (octet * 8 + static_cast<std::size_t>(std::bit_width(bits)) > rows) bad("a row past the last");
    }
    if (held < 2) bad("fewer than two rows");
    at += size + held;
    if (at > end) bad("a record past the end");
    return at;
}

}  // namespace vecstore
