#include "sketch_nearest.h"

#include <algorithm>
#include <vector>

#include "thread_pool.h"

namespace vecstore {

void sketch_nearest(const std::uint32_t* ids, const float* weights, std::size_t width, const std::int64_t* members,
                    std::size_t nmembers, const float* centroids, std::size_t count, std::int32_t* labels) {
    constexpr std::size_t kTask = 1024;  // rows
    const std::size_t tasks = (nmembers + kTask - 1) / kTask;
    parallel_for(tasks, std::min(threads(), tasks), [&](std::size_t, std::size_t task) {
        std::vector<float> sums(count);
        for (std::size_t i = task * kTask; i < std::min(nmembers, (task + 1) * kTask); ++i) {
            std::fill(sums.begin(), sums.end(), 0.0f);
            const std::size_t row = static_cast<std::size_t>(members[i]) * width;
            for (std::size_t j = row; j < row + width; ++j) {
                const float weight = weights[j];
                if (weight == 0) continue;
                const float* centroid = centroids + ids[j] * count;
                for (std::size_t c = 0; c < count; ++c) sums[c] += weight * centroid[c];
            }
            labels[i] = static_cast<std::int32_t>(std::max_element(sums.begin(), sums.end()) - sums.begin());
        }
    });
}

}  // namespace vecstore
