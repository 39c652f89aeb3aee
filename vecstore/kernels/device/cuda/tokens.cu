// Late interaction: documents are runs of tokens, starts[r] .. starts[r + 1]; queries runs of lines, lines[q] ..
// lines[q + 1].

// out[q * runs + r]: over a query's lines, the sum of step times the largest of the line's values (lines, n) from
// starts[r] - base to the next start (never none). A warp takes a document and a query; neighbouring lanes read
// neighbouring values.
extern "C" __global__ void largest_sums(const float* __restrict__ values, const float* __restrict__ step,
                                        const long long* __restrict__ lines, const long long* __restrict__ starts,
                                        long long base, float* __restrict__ out, long long n, long long runs) {
    const int lane = threadIdx.x % WARP, q = blockIdx.y;
    const long long run = ((long long)blockIdx.x * blockDim.x + threadIdx.x) / WARP;
    if (run >= runs) return;
    const long long begin = starts[run] - base, end = starts[run + 1] - base;
    const float none = -INFINITE;
    float sum = 0;
#pragma unroll 4
    for (long long line = lines[q]; line < lines[q + 1]; ++line) {
        const float* own = values + line * n;
        float best = none;
        for (long long at = begin + lane; at < end; at += WARP) best = fmaxf(best, own[at]);
        for (int half = WARP / 2; half > 0; half /= 2) best = fmaxf(best, __shfl_xor_sync(0xFFFFFFFFu, best, half));
        sum = __fadd_rn(sum, __fmul_rn(step[line], best));
    }
    if (lane == 0) out[q * runs + run] = sum;
}

// Keys by the score as the reference computes it, in float64 and rounded once: key rows are documents by number, whose
// tokens are offsets[row] .. offsets[row + 1]. A warp takes a candidate, a lane a token at a time.
extern "C" __global__ void exact_tokens(const void* tokens, const long long* offsets, const float* queries,
                                        const long long* lines, u64* keys, const u32* counts, long long room, int dim,
                                        int kind) {
    const int q = blockIdx.x, lane = threadIdx.x % WARP;
    const u32 count = counts[q] < room ? counts[q] : (u32)room;
    const u32 warps = gridDim.y * blockDim.x / WARP;
    for (u32 i = (blockIdx.y * blockDim.x + threadIdx.x) / WARP; i < count; i += warps) {
        const u32 row = (u32)keys[q * room + i];
        double sum = 0;
        for (long long line = lines[q]; line < lines[q + 1]; ++line) {
            double best = -(double)INFINITE;
            for (long long token = offsets[row] + lane; token < offsets[row + 1]; token += WARP) {
                double even = 0, odd = 0;
#pragma unroll 4
                for (int at = 0; at < dim; at += 2) {
                    even += widened_at(tokens, token * dim + at, kind) * widened(queries[line * dim + at]);
                    if (at + 1 < dim)
                        odd += widened_at(tokens, token * dim + at + 1, kind) * widened(queries[line * dim + at + 1]);
                }
                const double product = even + odd;
                best = product > best ? product : best;
            }
            for (int half = WARP / 2; half > 0; half /= 2) best = fmax(best, __shfl_xor_sync(0xFFFFFFFFu, best, half));
            sum += best;
        }
        if (lane == 0) keys[q * room + i] = key_of(rounded(-sum), row);
    }
}
