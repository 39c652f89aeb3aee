// Queries made ready for products in the type of the rows, and distances as the reference has them. Metrics: 0 l2, 1
// dot, 2 cosine.

#define UNIT 5.9604644775390625e-08       // 2^-24
#define UNDERFLOW 7.5231638452626401e-37  // 2^-120: more than a product or a narrowed component so small may lose

__device__ inline double block_sum(double value, double* shared) {
    shared[threadIdx.x] = value;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if ((int)threadIdx.x < half) shared[threadIdx.x] += shared[threadIdx.x + half];
        __syncthreads();
    }
    const double sum = shared[0];
    __syncthreads();
    return sum;
}

// One block of 256 threads a query: the query divided by its largest component and rounded (`kind` of the rows), and
// the terms of its distances. `narrowing` is what the product itself may lose of |q| |x|. Where a product may overflow,
// the query is lost.
extern "C" __global__ void prepare(const float* queries, void* out, float* step, float* start, float* spread,
                                   double* lengths, u8* lost, int dim, int kind, int metric, double largest,
                                   double narrowing) {
    __shared__ double shared[256];
    const int q = blockIdx.x;
    const float* own = queries + (long long)q * dim;
    float most = 0;
    for (int i = threadIdx.x; i < dim; i += blockDim.x) most = fmaxf(most, fabsf(own[i]));
    shared[threadIdx.x] = most;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if ((int)threadIdx.x < half && shared[threadIdx.x + half] > shared[threadIdx.x])
            shared[threadIdx.x] = shared[threadIdx.x + half];
        __syncthreads();
    }
    const float scale = kind == FLOAT32 || shared[0] == 0 ? 1.0f : (float)shared[0];
    __syncthreads();
    double squares = 0, lost_squares = 0;
    for (int i = threadIdx.x; i < dim; i += blockDim.x) {
        const long long at = (long long)q * dim + i;
        const float unit = own[i] / scale;
        float back = unit;
        if (kind == FLOAT16) back = half_number(((u16*)out)[at] = half_bits(unit));
        if (kind == BFLOAT16) back = bfloat_number(((u16*)out)[at] = bfloat_bits(unit));
        if (kind == FLOAT32) ((float*)out)[at] = unit;
        const double gone = (double)own[i] - (double)back * scale;
        squares += (double)own[i] * own[i];
        lost_squares += gone * gone;
    }
    const double length = sqrt(block_sum(squares, shared));
    const double missing = sqrt(block_sum(lost_squares, shared));
    if (threadIdx.x != 0) return;
    const double rounding = 2 * (dim + 8) * UNIT;
    const double gone = missing + (rounding + narrowing) * length;  // of a product with a row of unit length
    const double inverse = length > 0 ? 1 / length : 0;
    double slack = gone * largest;
    step[q] = -scale;
    start[q] = 0;
    if (metric == 0) {
        step[q] = -2 * scale;
        start[q] = (float)(length * length);
        slack = 2 * gone * largest + rounding * (largest * largest + length * length);
    } else if (metric == 2) {
        step[q] = (float)(-scale * inverse);
        start[q] = 1;
        slack = 1.001 * gone * inverse + 8 * UNIT;
    }
    slack += dim * UNDERFLOW * (1 + length + largest);
    spread[q] = (float)(1.01 * slack);
    lengths[q] = length;
    lost[q] = !(fmax(fmax(length, largest), length * largest) < 1e18);
}

// Keys by the distance as the reference computes it: pair by pair in float64, rounded once. A warp takes a candidate; a
// key whose row is 0xFFFFFFFF is none. `counts` null: all of the room.
extern "C" __global__ void exact(const void* rows, const float* queries, const double* lengths, const float* norms,
                                 u64* keys, const u32* counts, long long room, int dim, int kind, int metric) {
    const int q = blockIdx.x, lane = threadIdx.x % WARP;
    const float* asked = queries + (long long)q * dim;
    const u32 count = counts && counts[q] < room ? counts[q] : (u32)room;
    const u32 warps = gridDim.y * blockDim.x / WARP;
    for (u32 i = (blockIdx.y * blockDim.x + threadIdx.x) / WARP; i < count; i += warps) {
        const u32 row = (u32)keys[q * room + i];
        if (row == 0xFFFFFFFFu) continue;
        double sum = 0;
        for (int at = lane; at < dim; at += WARP) {
            const double own = widened_at(rows, (long long)row * dim + at, kind), other = widened(asked[at]);
            sum += metric == 0 ? (own - other) * (own - other) : own * other;
        }
        for (int half = WARP / 2; half > 0; half /= 2) sum += __shfl_xor_sync(0xFFFFFFFFu, sum, half);
        if (metric == 2) sum = 1 - (lengths[q] > 0 ? sum / lengths[q] : 0) * norms[row];
        if (metric == 1) sum = -sum;
        float distance = rounded(sum);
        if (distance != distance) distance = INFINITE;
        if (lane == 0) keys[q * room + i] = key_of(distance, row);
    }
}
