// k-means: the nearest centroid of each row, and the sums of the rows of each list.

// Which row is nearest to each query by the reference's distance, in float64 and rounded once, of equal ones the first.
// A warp a query: what the products cannot tell from the nearest (`spread`, see `prepare`) is scored again.
extern "C" __global__ void closest(const float* products, const float* step, const float* start, const float* spread,
                                   const u8* lost, const float* add, const float* rows, const float* queries,
                                   long long* out, int n, int dim, int metric, long long nq) {
    const long long q = ((long long)blockIdx.x * blockDim.x + threadIdx.x) / WARP;
    const int lane = threadIdx.x % WARP;
    if (q >= nq) return;
    const float* own = products + q * n;
    const float* asked = queries + q * dim;
    const float slack = lost[q] ? INFINITE : spread[q];
    float bound = INFINITE;
    for (int row = lane; row < n; row += WARP) {
        const float most = start[q] + (add ? add[row] : 0.0f) + step[q] * own[row] + slack;
        if (most < bound) bound = most;
    }
    for (int half = WARP / 2; half > 0; half /= 2) {
        const float other = __shfl_xor_sync(0xFFFFFFFFu, bound, half);
        if (other < bound) bound = other;
    }
    u64 best = ~0ull;
    for (int row = lane; row < n; row += WARP) {
        const float least = start[q] + (add ? add[row] : 0.0f) + step[q] * own[row] - slack;
        if (least > bound) continue;  // what is not a number stays
        const float* one = rows + (long long)row * dim;
        double sum = 0;
        for (int at = 0; at < dim; ++at) {
            const double here = widened(one[at]), there = widened(asked[at]);
            sum += metric == 0 ? (here - there) * (here - there) : here * there;
        }
        float distance = rounded(metric == 0 ? sum : -sum);
        if (distance != distance) distance = INFINITE;
        const u64 key = key_of(distance, (u32)row);
        if (key < best) best = key;
    }
    for (int half = WARP / 2; half > 0; half /= 2) {
        const u64 other = __shfl_xor_sync(0xFFFFFFFFu, best, half);
        if (other < best) best = other;
    }
    if (lane == 0) out[q] = (long long)(best & 0xFFFFFFFFu);
}

#define SUMMED 16384  // neighbours in `order` that are added up by themselves first, as the host does

// The sum of the rows of each list in float64, in the host's order: a block a list and 256 dimensions. `order` has the
// rows by list, those of list i from starts[i] on.
extern "C" __global__ void segment_sums(const float* rows, const float* weights, const u32* order,
                                        const long long* starts, double* out, int dim) {
    const int at = blockIdx.y * blockDim.x + threadIdx.x;
    if (at >= dim) return;
    double sum = 0, part = 0;
    for (long long i = starts[blockIdx.x]; i < starts[blockIdx.x + 1]; ++i) {
        if (i % SUMMED == 0) {
            sum += part;
            part = 0;
        }
        const float own = rows[(long long)order[i] * dim + at];
        part += widened(weights ? __fmul_rn(own, weights[order[i]]) : own);
    }
    out[(long long)blockIdx.x * dim + at] = sum + part;
}
