#include "seismic_index.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <stdexcept>
#include <string>

#include "seismic_ops.h"

namespace vecstore {
namespace {

constexpr std::size_t kTableShare = 8;  // a term of at least one block in so many has a table
constexpr std::uint32_t kDirectMin = 1 << 16;
constexpr std::size_t kDirectPerTerm = 16;  // places of the direct table for each term

[[noreturn]] void refuse(const std::string& message) { throw std::invalid_argument(message); }

std::uint64_t mask_of(const std::uint8_t* record) {
    std::uint64_t mask;
    std::memcpy(&mask, record, sizeof mask);
    return mask;
}

}  // namespace

SeismicIndex::SeismicIndex(const SeismicArrays& arrays)
    : a_(arrays), blocks_((a_.n + kBlockRows - 1) / kBlockRows), words_((blocks_ + 63) / 64) {
    check();
    tables_of_.assign(a_.nterms, kNone);
    std::uint32_t tables = 0;
    for (std::size_t t = 0; t < a_.nterms; ++t)
        if (static_cast<std::size_t>(a_.term_parts[t + 1] - a_.term_parts[t]) * kTableShare > blocks_)
            tables_of_[t] = tables++;
    tables_.assign(std::size_t{tables} * padded_blocks(), 0);
    ranks_.assign(std::size_t{tables} * words_, PartWord{0, 0});
    for (std::size_t t = 0; t < a_.nterms; ++t) {
        if (tables_of_[t] == kNone) continue;
        std::uint8_t* codes = tables_.data() + tables_of_[t] * padded_blocks();
        PartWord* words = ranks_.data() + tables_of_[t] * words_;
        for (std::int64_t p = a_.term_parts[t]; p < a_.term_parts[t + 1]; ++p) {
            const std::size_t block = a_.block(static_cast<std::size_t>(p));
            codes[block] = a_.part_codes[p];
            words[block / 64].bits |= std::uint64_t{1} << (block % 64);
        }
        std::uint32_t parts = 0;
        for (std::size_t w = 0; w < words_; ++w) {
            words[w].parts = parts;
            parts += static_cast<std::uint32_t>(std::popcount(words[w].bits));
        }
    }
    if (a_.nterms == 0) return;
    const std::uint32_t top = a_.terms[a_.nterms - 1];
    if (top >= std::max<std::size_t>(kDirectMin, kDirectPerTerm * a_.nterms)) return;
    direct_.assign(std::size_t{top} + 1, kNone);
    for (std::size_t t = 0; t < a_.nterms; ++t) direct_[a_.terms[t]] = static_cast<std::uint32_t>(t);
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
    if (a_.term_records[0] != 0 || a_.term_records[a_.nterms] != static_cast<std::int64_t>(a_.nbytes - kRecordPadding))
        refuse("terms do not cover the records");
    for (std::size_t t = 0; t < a_.nterms; ++t) check_term(t);
}

void SeismicIndex::check_term(std::size_t t) const {
    const auto bad = [&](const char* what) { refuse(std::string(what) + " of term " + std::to_string(a_.terms[t])); };
    if (t > 0 && a_.terms[t] <= a_.terms[t - 1]) bad("terms do not ascend: place");
    if (!(a_.scales[t] > 0) || !(a_.scales[t] < 3.0e38f)) bad("no scale");
    const std::int64_t first = a_.term_parts[t], last = a_.term_parts[t + 1];
    const std::int64_t begin = a_.term_records[t], end = a_.term_records[t + 1];
    // Both ascend to ends that were checked, so that no later term passes them either.
    if (first >= last || last > static_cast<std::int64_t>(a_.nsegments)) bad("parts out of bounds");
    if (begin >= end || end > static_cast<std::int64_t>(a_.nbytes - kRecordPadding)) bad("records out of bounds");
    std::int64_t at = 0;
    const std::size_t spare = blocks_ * kBlockRows - a_.n;
    for (std::int64_t p = first; p < last; ++p) {
        const auto part = static_cast<std::size_t>(p);
        const std::size_t block = a_.block(part);
        if (block >= blocks_ || (p > first && block <= a_.block(part - 1))) bad("blocks out of order");
        if (a_.part_codes[p] == 0) bad("a part without a code");
        if (a_.starts.bases[part / kGroupParts] + a_.starts.within[part] != begin + at ||
            end - begin - at < static_cast<std::int64_t>(kMaskBytes))
            bad("records out of order");
        const std::uint64_t mask = mask_of(a_.starts.records + begin + at);
        if (mask == 0 || (block + 1 == blocks_ && spare != 0 && mask >> (kBlockRows - spare) != 0))
            bad("a record of no rows");
        at += static_cast<std::int64_t>(kMaskBytes) + std::popcount(mask);
        if (at > end - begin) bad("a record past the end");
    }
    if (at != end - begin) bad("records without a part");
}

}  // namespace vecstore
