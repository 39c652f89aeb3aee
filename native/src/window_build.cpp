#include "window.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>
#include <stdexcept>
#include <string>

namespace vecstore {
namespace {

constexpr double kTop = 255;

struct ListOfTerm {
    std::uint32_t term;
    bool negative;
    std::uint32_t count;
    double most;  // |value|
};

// Numbers lists in the order of their first entry.
class ListNumbers {
 public:
    std::uint32_t of(std::uint32_t term, bool negative) {
        if ((lists.size() + 1) * 2 > slots_.size()) grow();
        for (std::size_t at = start(term, negative);; at = (at + 1) & (slots_.size() - 1)) {
            if (slots_[at] == kEmpty) {
                slots_[at] = static_cast<std::uint32_t>(lists.size());
                lists.push_back({term, negative, 0, 0});
                return slots_[at];
            }
            const ListOfTerm& list = lists[slots_[at]];
            if (list.term == term && list.negative == negative) return slots_[at];
        }
    }

    std::vector<ListOfTerm> lists;

 private:
    static constexpr std::uint32_t kEmpty = 0xffffffffu;

    std::size_t start(std::uint32_t term, bool negative) const {
        const std::uint64_t key = (std::uint64_t{term} << 1 | (negative ? 1 : 0)) * 0x9e3779b97f4a7c15u;
        return key >> (64 - std::countr_zero(slots_.size()));
    }

    void grow() {
        slots_.assign(std::max<std::size_t>(slots_.size() * 2, 1024), kEmpty);
        for (std::uint32_t i = 0; i < lists.size(); ++i) {
            std::size_t at = start(lists[i].term, lists[i].negative);
            while (slots_[at] != kEmpty) at = (at + 1) & (slots_.size() - 1);
            slots_[at] = i;
        }
    }

    std::vector<std::uint32_t> slots_;
};

float step_for(double most) {
    auto step = static_cast<float>(most / kTop);
    while (static_cast<double>(step) * kTop < most) step = std::nextafter(step, std::numeric_limits<float>::infinity());
    return step;
}

std::uint8_t code_for(double magnitude, double step) {
    if (step == 0) return 1;
    double code = std::clamp(std::floor(magnitude / step) - 1, 1.0, kTop);
    while (code < kTop && code * step < magnitude) ++code;
    return static_cast<std::uint8_t>(code);
}

}  // namespace

WindowArrays build_window(const SparseView& rows, const Saturation* saturation) {
    if (rows.n > kWindowRows)
        throw std::invalid_argument("a window has at most 65536 rows, not " + std::to_string(rows.n));
    ListNumbers numbers;
    std::vector<std::uint32_t> list_of(rows.nnz);
    for (std::size_t row = 0; row < rows.n; ++row) {
        check_row(rows, row);
        for (std::int64_t i = rows.offsets[row]; i < rows.offsets[row + 1]; ++i) {
            const double value = exact_value(rows, saturation, row, static_cast<std::size_t>(i));
            if (!std::isfinite(value))
                throw std::invalid_argument("values of row " + std::to_string(row) + " must be finite");
            const std::uint32_t number = numbers.of(rows.indices[i], value < 0);
            list_of[static_cast<std::size_t>(i)] = number;
            ListOfTerm& list = numbers.lists[number];
            ++list.count;
            list.most = std::max(list.most, std::abs(value));
        }
    }
    const std::vector<ListOfTerm>& lists = numbers.lists;
    std::vector<std::uint32_t> order(lists.size());
    std::iota(order.begin(), order.end(), std::uint32_t{0});
    std::sort(order.begin(), order.end(), [&](std::uint32_t a, std::uint32_t b) {
        return lists[a].term != lists[b].term ? lists[a].term < lists[b].term : lists[a].negative < lists[b].negative;
    });

    WindowArrays arrays;
    arrays.starts.push_back(0);
    const std::size_t padded = (rows.n + 63) / 64 * 64;
    std::vector<std::size_t> next(lists.size());  // where a list's next code goes
    std::vector<bool> dense(lists.size());
    for (std::uint32_t place = 0; place < order.size(); ++place) {
        const ListOfTerm& list = lists[order[place]];
        dense[order[place]] = list.count * kDenseShare > rows.n;
        arrays.terms.push_back(list.term);
        arrays.steps.push_back(list.negative ? -step_for(list.most) : step_for(list.most));
        next[order[place]] = arrays.starts.back();
        if (dense[order[place]]) {
            next[order[place]] = arrays.dense_lists.size() * padded;
            arrays.dense_lists.push_back(place);
        }
        arrays.starts.push_back(arrays.starts.back() + (dense[order[place]] ? 0 : list.count));
    }
    arrays.ids.resize(arrays.starts.back());
    arrays.codes.resize(arrays.starts.back());
    arrays.dense.resize(arrays.dense_lists.size() * padded);
    std::vector<double> steps(lists.size());
    for (std::size_t place = 0; place < order.size(); ++place) steps[order[place]] = std::abs(arrays.steps[place]);
    for (std::size_t row = 0; row < rows.n; ++row) {
        for (std::int64_t i = rows.offsets[row]; i < rows.offsets[row + 1]; ++i) {
            const auto entry = static_cast<std::size_t>(i);
            const std::uint32_t list = list_of[entry];
            const std::uint8_t code = code_for(std::abs(exact_value(rows, saturation, row, entry)), steps[list]);
            if (dense[list]) {
                arrays.dense[next[list] + row] = code;
                continue;
            }
            arrays.ids[next[list]] = static_cast<std::uint16_t>(row);
            arrays.codes[next[list]++] = code;
        }
    }
    return arrays;
}

}  // namespace vecstore
