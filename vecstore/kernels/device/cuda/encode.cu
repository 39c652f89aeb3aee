// Arithmetic of encoding with the host's bits (kernels/encode.py states the law): the same sums in the same order, no
// product fused with a sum. In double, products of two floats are exact and may be fused.

#define TILE 64   // rows and columns of a block
#define DEPTH 16  // components that it holds at a time
#define OWN 4     // rows and columns of a thread, TILE / OWN apart

// rows (n, dim) times matrix (dim, columns), each sum in ascending order. 256 threads a tile.
extern "C" __global__ void project(const float* rows, const float* matrix, float* out, long long n, int dim,
                                   int columns) {
    __shared__ float left[DEPTH][TILE], right[DEPTH][TILE];
    const long long first = (long long)blockIdx.x * TILE;
    const int column = blockIdx.y * TILE, x = threadIdx.x % (TILE / OWN), y = threadIdx.x / (TILE / OWN);
    float sums[OWN][OWN] = {};
    for (int low = 0; low < dim; low += DEPTH) {
        for (int i = threadIdx.x; i < DEPTH * TILE; i += blockDim.x) {
            const int at = low + i % DEPTH, row = i / DEPTH;
            left[i % DEPTH][row] = at < dim && first + row < n ? rows[(first + row) * dim + at] : 0.0f;
            const int depth = low + i / TILE, to = column + i % TILE;
            right[i / TILE][i % TILE] = depth < dim && to < columns ? matrix[(long long)depth * columns + to] : 0.0f;
        }
        __syncthreads();
        const int end = dim - low < DEPTH ? dim - low : DEPTH;
        for (int d = 0; d < end; ++d)
#pragma unroll
            for (int r = 0; r < OWN; ++r)
#pragma unroll
                for (int c = 0; c < OWN; ++c)
                    sums[r][c] =
                        __fadd_rn(sums[r][c], __fmul_rn(left[d][y + r * (TILE / OWN)], right[d][x + c * (TILE / OWN)]));
        __syncthreads();
    }
    for (int r = 0; r < OWN; ++r)
        for (int c = 0; c < OWN; ++c) {
            const long long row = first + y + r * (TILE / OWN);
            const int to = column + x + c * (TILE / OWN);
            if (row < n && to < columns) out[row * columns + to] = sums[r][c];
        }
}

// Rounds of (permute, multiply, transform each run of `block` coordinates), a block of threads a row. `spare` (n,
// width) stands in for shared memory where a row is too long for it.
extern "C" __global__ void hadamard(const float* rows, const int* permutations, const float* factors, float* out,
                                    float* spare, int dim, int width, int rounds, int block) {
    float* own = out + (long long)blockIdx.x * width;
    float* before = spare ? spare + (long long)blockIdx.x * width : dynamic_shared;
    float* now = spare ? own : dynamic_shared + width;
    const float* row = rows + (long long)blockIdx.x * dim;
    for (int i = threadIdx.x; i < width; i += blockDim.x) now[i] = i < dim ? row[i] : 0.0f;
    __syncthreads();
    for (int round = 0; round < rounds; ++round) {
        for (int i = threadIdx.x; i < width; i += blockDim.x) before[i] = now[i];
        __syncthreads();
        for (int i = threadIdx.x; i < width; i += blockDim.x)
            now[i] =
                __fmul_rn(before[permutations[(long long)round * width + i]], factors[(long long)round * width + i]);
        __syncthreads();
        for (int half = 1; half < block; half *= 2) {
            for (int pair = threadIdx.x; pair < width / 2; pair += blockDim.x) {
                const int low = pair / half * 2 * half + pair % half;
                const float a = now[low], b = now[low + half];
                now[low] = __fadd_rn(a, b);
                now[low + half] = __fsub_rn(a, b);
            }
            __syncthreads();
        }
    }
    if (now != own)
        for (int i = threadIdx.x; i < width; i += blockDim.x) own[i] = now[i];
}

#define DOT_LANES 8
#define SUM_LANES 16

__device__ inline double row_dot(const float* a, const float* b, int dim) {
    double lanes[DOT_LANES] = {};
    int d = 0;
    for (; d + DOT_LANES <= dim; d += DOT_LANES)
#pragma unroll
        for (int l = 0; l < DOT_LANES; ++l) lanes[l] += widened(a[d + l]) * widened(b[d + l]);
#pragma unroll
    for (int l = 0; l < DOT_LANES; ++l)
        if (d + l < dim) lanes[l] += widened(a[d + l]) * widened(b[d + l]);
    double sum = lanes[0];
#pragma unroll
    for (int l = 1; l < DOT_LANES; ++l) sum += lanes[l];
    return sum;
}

// A thread a row.
extern "C" __global__ void row_dots(const float* a, const float* b, double* out, long long n, int dim) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i < n) out[i] = row_dot(a + i * dim, b + i * dim, dim);
}

// The squared cosine, up to the row's length, of the row and its code at one step.
__device__ inline double grid_score(const float* row, int dim, float inverse, int half) {
    const float top = (float)(half - 1);
    float products[SUM_LANES] = {};
    long long squares = 0;
    for (int d = 0; d < dim; d += SUM_LANES)
#pragma unroll
        for (int l = 0; l < SUM_LANES; ++l) {
            if (d + l >= dim) continue;
            const float x = fabsf(row[d + l]), scaled = __fmul_rn(x, inverse);
            const int v = (int)(scaled < top ? scaled : top);
            products[l] = __fadd_rn(products[l], __fmul_rn((float)v + 0.5f, x));
            squares += v * v + v;
        }
    double product = 0;
#pragma unroll
    for (int l = 0; l < SUM_LANES; ++l) product += widened(products[l]);
    return product * product / ((double)squares + 0.25 * dim);
}

// 1 / step of each row's grid. A thread a row.
extern "C" __global__ void grid_steps(const float* rows, float* out, long long n, int dim, int half,
                                      double normal_step) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n) return;
    const float* row = rows + i * dim;
    float largest = 0;
    for (int d = 0; d < dim; ++d) largest = fmaxf(largest, fabsf(row[d]));
    out[i] = 1.0f;
    if (!(largest >= 1e-30f)) return;
    const double by_length = normal_step * sqrt(row_dot(row, row, dim) / dim), by_largest = widened(largest) / half;
    const double low = 0.9 * by_length < 0.8 * by_largest ? 0.9 * by_length : 0.8 * by_largest;
    const double high = 1.1 * by_length > 1.02 * by_largest ? 1.1 * by_length : 1.02 * by_largest;
    double ratio = sqrt(sqrt(sqrt(high / low)));
    if (half >= 32) ratio = sqrt(ratio);
    double step = low, best = -1;
    for (int k = 0; k < (half >= 32 ? 17 : 9); ++k, step *= ratio) {
        const float inverse = rounded(1 / step);
        const double score = grid_score(row, dim, inverse, half);
        if (score > best) {
            best = score;
            out[i] = inverse;
        }
    }
}

// A thread a component.
extern "C" __global__ void grid_codes(const float* rows, const float* inverse_rows, const float* inverse_dims,
                                      const float* halves, u16* codes, long long size, int dim) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size) return;
    const int d = (int)(i % dim), half = (int)halves[d];
    const float top = halves[d] - 1;
    const float scaled = __fmul_rn(__fmul_rn(fabsf(rows[i]), inverse_dims[d]), inverse_rows[i / dim]);
    const int v = (int)(scaled < top ? scaled : top);
    codes[i] = (u16)(rows[i] >= 0 ? half + v : half - 1 - v);
}

extern "C" __global__ void level_codes(const float* rows, const float* inverse_rows, const float* bounds, u16* codes,
                                       long long size, int dim, int nbounds) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= size) return;
    const float scaled = __fmul_rn(rows[i], inverse_rows[i / dim]);
    int below = 0;
    for (int b = 0; b < nbounds; ++b) below += bounds[b] < scaled;
    codes[i] = (u16)below;
}

#define TOGETHER 8  // centroids that a thread weighs at a time; `size` is a multiple of it

// The nearest centroid in each part: a thread a row and part, rows beside each other.
extern "C" __global__ void nearest_codes(const float* rows, const float* columns, const float* half_squares, u8* codes,
                                         long long n, int m, int subdim, int size) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n * m) return;
    const long long row = i % n;
    const int j = (int)(i / n);
    const float* part = rows + (row * m + j) * subdim;
    const float* own = columns + (long long)j * subdim * size;
    float best = INFINITE;
    int number = 0;
    for (int v = 0; v < size; v += TOGETHER) {
        float products[TOGETHER] = {};
        for (int d = 0; d < subdim; ++d) {
            const float x = part[d];
#pragma unroll
            for (int u = 0; u < TOGETHER; ++u)
                products[u] = __fadd_rn(products[u], __fmul_rn(x, own[(long long)d * size + v + u]));
        }
#pragma unroll
        for (int u = 0; u < TOGETHER; ++u) {
            const float score = __fsub_rn(half_squares[j * size + v + u], products[u]);
            if (score < best) {
                best = score;
                number = v + u;
            }
        }
    }
    codes[row * m + j] = (u8)number;
}

// Bytes of cells, the last one first; what rounding misses goes to the cells before. A block a row, `spare` (n, dim) as
// in hadamard.
extern "C" __global__ void shaped_codes(const float* cells, const float* feedback, u8* codes, float* spare, int dim) {
    const long long first = (long long)blockIdx.x * dim;
    const float* own = cells + first;
    float* wanted = spare ? spare + first : dynamic_shared;
    for (int i = threadIdx.x; i < dim; i += blockDim.x) wanted[i] = own[i];
    __syncthreads();
    for (int i = dim - 1; i >= 0; --i) {
        const float code = rintf(fminf(fmaxf(wanted[i], 0.0f), 255.0f));
        const float missing = fminf(fmaxf(__fsub_rn(own[i], code), -4.0f), 4.0f);
        const float* factors = feedback + (long long)i * (i - 1) / 2;
        for (int j = threadIdx.x; j < i; j += blockDim.x)
            wanted[j] = __fadd_rn(wanted[j], __fmul_rn(factors[j], missing));
        if (threadIdx.x == 0) codes[first + i] = (u8)code;
        __syncthreads();
    }
}

// Bytes put together from bits of codes; fields (dim, shift, mask, position) of byte b from starts[b] on. A thread a
// byte.
extern "C" __global__ void gather_bits(const u16* codes, const int4* fields, const int* starts, u8* out, long long n,
                                       int dim, int nbytes) {
    const long long i = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (i >= n * nbytes) return;
    const u16* own = codes + i / nbytes * dim;
    const int byte = (int)(i % nbytes);
    int bits = 0;
    for (int f = starts[byte]; f < starts[byte + 1]; ++f) {
        const int4 field = fields[f];
        bits |= (own[field.x] >> field.y & field.z) << field.w;
    }
    out[i] = (u8)bits;
}
