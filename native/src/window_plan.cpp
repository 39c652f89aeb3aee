#include "window_plan.h"

#include <algorithm>

namespace vecstore {
namespace {

constexpr double kSumTop = 65535;
constexpr double kWeightTop = 65250;  // units of one list: its weight still fits 16 bits
constexpr std::size_t kPartsMax = 8192;
constexpr double kTotalLeast = 1e-30, kTotalMost = 1e38;
constexpr double kCodeTop = 255;
constexpr double kFloatEps = 0x1p-23;
constexpr double kSlack = 1 + 1e-6;  // of what is computed in floating point here

}  // namespace

bool WindowPlan::make(const WindowView& window, const SparseQuery& query, const Saturation* saturation) {
    *this = WindowPlan{std::move(parts)};
    parts.clear();
    double grown = 1;  // how much more a value may count for than when the window was made
    if (saturation != nullptr) {
        if ((saturation->slope == 0) != (window.slope == 0)) return false;
        if (saturation->slope != 0) {
            const double ratio = static_cast<double>(window.slope) / static_cast<double>(saturation->slope);
            grown = std::max(1.0, ratio) * kSlack;
            spread = std::max(ratio, 1 / ratio) * kSlack * kSlack;
        }
    }
    double total = 0, largest = 0, negative = 0;
    for (std::size_t rank = 0; rank < query.size(); ++rank) {
        const double weight = query.weights()[rank];
        for_each_list(window, query.terms()[rank], [&](const PostingList& list) {
            const double bound = std::abs(weight * list.step) * kCodeTop * grown;
            const bool down = weight * list.step < 0;
            parts.push_back({list, {0, down}, bound});
            postings += list.count;
            total += bound;
            largest = std::max(largest, bound);
            if (down) negative += bound;
        });
    }
    if (parts.empty()) return true;
    // Scores that float32 cannot hold, or only coarsely, are left to the scan.
    const bool plain = total == 0 || (total > kTotalLeast && total < kTotalMost);
    if (parts.size() > kPartsMax || !plain || (negative > 0 && spread > 1)) return false;
    const auto count = static_cast<double>(parts.size());
    const double relative = (static_cast<double>(query.size()) + 8) * kFloatEps;
    most = (total - negative + total * relative) * kSlack;
    if (total > 0) unit = std::min((kSumTop - 2 * count - 2) / total, kWeightTop / largest);
    double base = 0;
    for (Part& part : parts) {
        part.units *= unit;
        part.weight.weight = static_cast<std::uint16_t>(std::ceil(part.units * 256 / kCodeTop));
        const double error = part.units / kCodeTop + 2;
        (part.weight.negative ? below : above) += error;
        if (part.weight.negative) base += (part.weight.weight * 255 >> 8) + 1;
    }
    start = static_cast<std::uint16_t>(base);
    std::stable_sort(parts.begin(), parts.end(), [](const Part& a, const Part& b) { return a.units > b.units; });
    rounding = 1 + kSumTop * relative;
    return true;
}

}  // namespace vecstore
