// Postings of up to 65,536 consecutive rows.
//
// Values are held as bytes: value v of a list with step s has the least code in 1..255 with |v| <= |s| * code. So sums
// of codes bound scores, and the few rows that may be among the best are scored by themselves. A term's negative values
// have a list of their own, with a negative step, behind the one of its other values. A list that holds more than one
// row in kDenseShare has a byte for every row, 0 where it lacks the term.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "sparse_query.h"

namespace vecstore {

inline constexpr std::size_t kWindowRows = 65536;
inline constexpr std::size_t kDenseShare = 8;

struct WindowView {
    std::size_t first_row;  // a multiple of 64
    std::size_t n;
    std::size_t nlists, ndense;
    const std::uint32_t* terms;        // (nlists,) ascending, a term at most twice
    const std::uint32_t* starts;       // (nlists + 1,) of each list in ids and codes
    const float* steps;                // (nlists,)
    const std::uint16_t* ids;          // the row less first_row, ascending in a list
    const std::uint8_t* codes;         // beside ids
    const std::uint32_t* dense_lists;  // (ndense,) ascending: lists whose codes are in `dense`
    const std::uint8_t* dense;         // (ndense, padded())
    float slope;                       // of the saturation that values were weighed by, 0 without

    std::size_t padded() const { return (n + 63) / 64 * 64; }
};

struct PostingList {
    const std::uint16_t* ids;
    const std::uint8_t* codes;  // of every row where ids is null
    std::size_t count;          // codes
    float step;
};

// Calls visit(list) for the lists of a term, none, one or two.
template <class Visit>
void for_each_list(const WindowView& window, std::uint32_t term, const Visit& visit) {
    std::size_t low = 0, high = window.nlists;
    while (low < high) {
        const std::size_t middle = (low + high) / 2;
        if (window.terms[middle] < term)
            low = middle + 1;
        else
            high = middle;
    }
    for (; low < window.nlists && window.terms[low] == term; ++low) {
        const std::uint32_t start = window.starts[low], count = window.starts[low + 1] - start;
        if (count != 0) {
            visit(PostingList{window.ids + start, window.codes + start, count, window.steps[low]});
            continue;
        }
        std::size_t place = 0;
        for (std::size_t step = window.ndense; step != 0; step /= 2)  // the last dense list that is not behind `low`
            while (place + step < window.ndense && window.dense_lists[place + step] <= low) place += step;
        if (place < window.ndense && window.dense_lists[place] == low)
            visit(PostingList{nullptr, window.dense + place * window.padded(), window.padded(), window.steps[low]});
    }
}

struct WindowArrays {
    std::vector<std::uint32_t> terms, starts, dense_lists;
    std::vector<float> steps;
    std::vector<std::uint16_t> ids;
    std::vector<std::uint8_t> codes, dense;
};

// Throws std::invalid_argument for more than kWindowRows rows, for offsets that leave the entries and for values that
// are not finite.
WindowArrays build_window(const SparseView& rows, const Saturation* saturation);

}  // namespace vecstore
