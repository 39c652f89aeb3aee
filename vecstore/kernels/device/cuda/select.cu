// The k nearest of many scores without sorting them: what is within a query's bound joins its candidates, and the bound
// follows the k-th of those. A candidate is a key (distance, row), and where distances are known up to a slack, also
// its distance; then the key's distance is the largest it can be.

#define TAKE_ROWS 4      // neighbouring rows that a thread takes
#define TAKE_QUERIES 64  // queries that it takes them for
#define GATHERED 1024    // candidates of a block that join together

__device__ inline void four_of(const float* from, float* to) {
    const float4 four = *(const float4*)from;
    to[0] = four.x, to[1] = four.y, to[2] = four.z, to[3] = four.w;
}
__device__ inline void four_of(const int* from, int* to) {
    const int4 four = *(const int4*)from;
    to[0] = four.x, to[1] = four.y, to[2] = four.z, to[3] = four.w;
}

// One distance from its product: (start + add) + scale * (step * product), in this order and without fused rounding, so
// that every backend gives the same bits where products are exact. Products of AHEAD queries are read before anything
// is compared: a read that waits for a comparison waits for the memory every time. What joins is gathered in shared
// memory, then each query's candidates get their places together: a warp that waits for a place among those of all
// blocks waits far longer than for one among its own. What finds no room there joins by itself. Products have `lines`
// lines, of the queries which[0], ... of all nq or, where that is null, of all.
template <class T, int PARTS, int AHEAD>
__device__ void take(const T* __restrict__ products, const float* __restrict__ step, const float* __restrict__ start,
                     const float* __restrict__ spread, int columns, const int* __restrict__ column,
                     const float* __restrict__ add, const float* __restrict__ scale, const float* __restrict__ error,
                     const int* __restrict__ numbers, long long first, const u64* __restrict__ allowed,
                     long long allowed_rows, const u64* __restrict__ bounds, u32* __restrict__ counts,
                     u64* __restrict__ keys, float* __restrict__ distances, long long room, long long rows,
                     const int* __restrict__ which, int lines, int nq) {
    __shared__ u64 gathered[GATHERED];
    __shared__ float measured[GATHERED];
    __shared__ u32 ranks[GATHERED], joined[TAKE_QUERIES], bases[TAKE_QUERIES], total;
    __shared__ int queries[TAKE_QUERIES];
    __shared__ float farthest[TAKE_QUERIES], starts[TAKE_QUERIES], spreads[TAKE_QUERIES], steps[PARTS][TAKE_QUERIES];
    const int low = blockIdx.y * TAKE_QUERIES, some = low + TAKE_QUERIES < lines ? TAKE_QUERIES : lines - low;
    if ((int)threadIdx.x < TAKE_QUERIES) {
        const int line = low + ((int)threadIdx.x < some ? (int)threadIdx.x : some - 1), q = which ? which[line] : line;
        queries[threadIdx.x] = q;
        joined[threadIdx.x] = 0;
        if (threadIdx.x == 0) total = 0;
        farthest[threadIdx.x] = bounds[q] == ~0ull ? INFINITE : unordered((u32)(bounds[q] >> 32));
        for (int part = 0; part < PARTS; ++part) steps[part][threadIdx.x] = step[part * nq + q];
        starts[threadIdx.x] = start[(long long)q * columns];
        spreads[threadIdx.x] = spread ? spread[(long long)q * columns] : 0.0f;
    }
    __syncthreads();
    const long long begin = ((long long)blockIdx.x * blockDim.x + threadIdx.x) * TAKE_ROWS;
    const bool whole = begin + TAKE_ROWS <= rows && rows % TAKE_ROWS == 0;  // aligned, in every line
    int number[TAKE_ROWS], of[TAKE_ROWS];
    float own_add[TAKE_ROWS], own_scale[TAKE_ROWS], own_error[TAKE_ROWS];
#pragma unroll
    for (int r = 0; r < TAKE_ROWS; ++r) {
        const long long at = begin + r < rows ? begin + r : rows - 1;
        number[r] = begin + r >= rows ? -1 : numbers ? numbers[at] : (int)(first + at);
        if (allowed && number[r] >= 0 &&
            (number[r] >= allowed_rows || !(allowed[number[r] >> 6] >> (number[r] & 63) & 1)))
            number[r] = -1;
        of[r] = column ? column[at] : 0;
        own_add[r] = add ? add[at] : 0.0f;
        own_scale[r] = scale ? scale[at] : 1.0f;
        own_error[r] = error ? error[at] : 1.0f;
    }
    const int own_queries = begin < rows ? some : 0;
    for (int i = 0; i < own_queries; i += AHEAD) {
        T ahead[PARTS][AHEAD][TAKE_ROWS];
#pragma unroll
        for (int j = 0; j < AHEAD; ++j)
#pragma unroll
            for (int part = 0; part < PARTS; ++part) {
                const long long line = (long long)part * lines + low + (i + j < some ? i + j : some - 1);
                if (whole) {
                    four_of(products + line * rows + begin, ahead[part][j]);
                } else {
                    for (int r = 0; r < TAKE_ROWS; ++r)
                        ahead[part][j][r] = products[line * rows + (begin + r < rows ? begin + r : rows - 1)];
                }
            }
#pragma unroll
        for (int j = 0; j < AHEAD; ++j)
#pragma unroll
            for (int r = 0; r < TAKE_ROWS; ++r) {
                if (i + j >= some || number[r] < 0) continue;
                const int q = queries[i + j];
                const float from = columns > 1 ? start[(long long)q * columns + of[r]] : starts[i + j];
                const float wide = columns > 1 && spread ? spread[(long long)q * columns + of[r]] : spreads[i + j];
                float sum = __fmul_rn(steps[0][i + j], (float)ahead[0][j][r]);
#pragma unroll
                for (int part = 1; part < PARTS; ++part)
                    sum = __fadd_rn(sum, __fmul_rn(steps[part][i + j], (float)ahead[part][j][r]));
                float distance = __fadd_rn(__fadd_rn(from, own_add[r]), __fmul_rn(own_scale[r], sum));
                if (distance != distance) distance = INFINITE;
                const float slack = __fmul_rn(wide, own_error[r]);
                // a list that the query does not visit starts from no number
                if (__fsub_rn(distance, slack) > farthest[i + j] || from != from) continue;
                const u64 key = key_of(spread ? __fadd_rn(distance, slack) : distance, (u32)number[r]);
                if (!spread && key > bounds[q]) continue;
                const u32 slot = atomicAdd(&total, 1u);
                if (slot < GATHERED) {
                    gathered[slot] = key;
                    measured[slot] = distance;
                    ranks[slot] = atomicAdd(&joined[i + j], 1u) * TAKE_QUERIES + (u32)(i + j);
                    continue;
                }
                const u32 place = atomicAdd(&counts[q], 1u);
                if (place >= room) continue;
                keys[q * room + place] = key;
                if (spread) distances[q * room + place] = distance;
            }
    }
    __syncthreads();
    if ((int)threadIdx.x < some && joined[threadIdx.x] > 0)
        bases[threadIdx.x] = atomicAdd(&counts[queries[threadIdx.x]], joined[threadIdx.x]);
    __syncthreads();
    const u32 held = total < GATHERED ? total : GATHERED;
    for (u32 slot = threadIdx.x; slot < held; slot += blockDim.x) {
        const u32 i = ranks[slot] % TAKE_QUERIES, place = bases[i] + ranks[slot] / TAKE_QUERIES;
        if (place >= room) continue;
        keys[queries[i] * room + place] = gathered[slot];
        if (spread) distances[queries[i] * room + place] = measured[slot];
    }
}

#define TAKE(NAME, TYPE, PARTS, AHEAD)                                                                              \
    extern "C" __global__ void NAME(                                                                                \
        const TYPE* products, const float* step, const float* start, const float* spread, int columns,              \
        const int* column, const float* add, const float* scale, const float* error, const int* numbers,            \
        long long first, const u64* allowed, long long allowed_rows, const u64* bounds, u32* counts, u64* keys,     \
        float* distances, long long room, long long rows, const int* which, int lines, int nq) {                    \
        take<TYPE, PARTS, AHEAD>(products, step, start, spread, columns, column, add, scale, error, numbers, first, \
                                 allowed, allowed_rows, bounds, counts, keys, distances, room, rows, which, lines,  \
                                 nq);                                                                               \
    }
TAKE(take_float_1, float, 1, 8)
TAKE(take_float_2, float, 2, 4)
TAKE(take_float_3, float, 3, 2)
TAKE(take_int_1, int, 1, 8)

// One block of 256 threads a query. Where it has more than `more_than` candidates: its bound becomes the k-th smallest
// key of theirs, found eight bits at a time from the first in which they differ, and those that can no longer be among
// the k nearest leave. What found no room before is lost, and said so. `distances` is null where keys are exact.
extern "C" __global__ void tighten(u64* keys, float* distances, u32* counts, u64* bounds, u8* lost, long long room,
                                   u32 k, u32 more_than) {
    __shared__ u64 any[256], all[256];
    __shared__ u32 histogram[256];
    __shared__ u64 prefix;
    __shared__ u32 below, in_bin, kept;
    const int q = blockIdx.x;
    u64* own = keys + q * room;
    float* given = distances ? distances + q * room : distances;
    const u32 arrived = counts[q];
    const u32 count = arrived < room ? arrived : (u32)room;
    if (arrived <= more_than || count < k) return;
    u64 ones = 0, common = ~0ull;
    for (u32 i = threadIdx.x; i < count; i += blockDim.x) {
        ones |= own[i];
        common &= own[i];
    }
    any[threadIdx.x] = ones;
    all[threadIdx.x] = common;
    __syncthreads();
    for (int half = blockDim.x / 2; half > 0; half /= 2) {
        if ((int)threadIdx.x < half) {
            any[threadIdx.x] |= any[threadIdx.x + half];
            all[threadIdx.x] &= all[threadIdx.x + half];
        }
        __syncthreads();
    }
    const u64 differ = any[0] ^ all[0];
    if (threadIdx.x == 0) {
        prefix = all[0];
        below = 0;
        kept = 0;
        if (arrived > count) lost[q] = 1;
    }
    __syncthreads();                        // where keys differ in nothing that is looked at, the prefix is the bound
    const int lowest = distances ? 32 : 0;  // an upper bound's row says nothing
    int top = 64 - __clzll(differ), shift = top - 8 > lowest ? top - 8 : lowest;
    while (top > lowest) {
        histogram[threadIdx.x] = 0;
        __syncthreads();
        for (u32 i = threadIdx.x; i < count; i += blockDim.x)
            if (top == 64 || (own[i] ^ prefix) >> top == 0) atomicAdd(&histogram[own[i] >> shift & 255], 1u);
        __syncthreads();
        u32 before = below;
        for (int bin = 0; bin < (int)threadIdx.x; ++bin) before += histogram[bin];
        const u32 here = histogram[threadIdx.x];
        const u64 longer = (prefix & ~(255ull << shift)) | (u64)threadIdx.x << shift;
        __syncthreads();
        if (before < k && k <= before + here) {
            prefix = longer;
            below = before;
            in_bin = here;
        }
        __syncthreads();
        top = shift;
        if (!distances && below + in_bin == k) break;  // all of the bin are among the k
        shift = top - 8 > lowest ? top - 8 : lowest;
    }
    const int open = top > lowest ? top : lowest;
    u64 bound = open > 0 ? prefix | ((1ull << open) - 1) : prefix;
    if (bounds[q] < bound) bound = bounds[q];
    const float farthest = unordered((u32)(bound >> 32));
    for (u32 low = 0; low < count; low += blockDim.x) {
        const u32 i = low + threadIdx.x;
        const u64 key = i < count ? own[i] : 0;
        const float distance = i < count && distances ? given[i] : 0.0f;
        // 2 d - most is the least it can be; infinite ones (not a number here) stay
        bool stays = distances ? !(distance - (unordered((u32)(key >> 32)) - distance) > farthest) : key <= bound;
        stays = stays && i < count;
        __syncthreads();  // read before others write
        if (stays) {
            const u32 place = atomicAdd(&kept, 1u);
            own[place] = key;
            if (distances) given[place] = distance;
        }
        __syncthreads();
    }
    if (threadIdx.x == 0) {
        bounds[q] = bound;
        counts[q] = kept;
    }
}

// Keys by distance instead of by the largest it can be.
extern "C" __global__ void settle(u64* keys, const float* distances, const u32* counts, long long room) {
    const int q = blockIdx.x;
    for (u32 i = threadIdx.x; i < counts[q]; i += blockDim.x)
        keys[q * room + i] = key_of(distances[q * room + i], (u32)keys[q * room + i]);
}

// The k smallest keys of each query in order, by counting how many are smaller. One block a query.
extern "C" __global__ void order(const u64* keys, const u32* counts, const u8* lost, long long room, long long* rows,
                                 float* distances, u8* lost_too, u32 k) {
    const int q = blockIdx.x;
    if (threadIdx.x == 0) lost_too[q] = lost[q];
    const u64* own = keys + q * room;
    const u32 count = counts[q] < room ? counts[q] : (u32)room;
    for (u32 i = count + threadIdx.x; i < k; i += blockDim.x) {
        rows[(long long)q * k + i] = -1;
        distances[(long long)q * k + i] = INFINITE;
    }
    for (u32 i = threadIdx.x; i < count; i += blockDim.x) {
        const u64 key = own[i];
        u32 place = 0;
        for (u32 j = 0; j < count; ++j) place += own[j] < key || (own[j] == key && j < i);
        if (place >= k) continue;
        rows[(long long)q * k + place] = (long long)(key & 0xFFFFFFFFu);
        distances[(long long)q * k + place] = unordered((u32)(key >> 32));
    }
}
