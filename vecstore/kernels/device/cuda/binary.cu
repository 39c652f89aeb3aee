// Packed bits in tiles of 32 rows: tiles[tile][group][row of the tile], a group being 128 bits, so that neighbouring
// threads read neighbouring bytes. Rows are numbers[i] or, where that is null, first + i.

// out[q * n + i]: differing bits. A thread takes one row and QUERIES queries, which it reads at once with all others.
template <int QUERIES>
__device__ void differing(const uint4* __restrict__ tiles, const uint4* __restrict__ queries,
                          const int* __restrict__ numbers, long long first, int* __restrict__ out, long long n,
                          int groups, int nq) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (at >= n) return;
    const long long row = numbers ? numbers[at] : first + at;
    const uint4* own = tiles + row / 32 * groups * 32 + row % 32;
    const int low = blockIdx.y * QUERIES;
    int counts[QUERIES];
#pragma unroll
    for (int q = 0; q < QUERIES; ++q) counts[q] = 0;
#pragma unroll 4
    for (int g = 0; g < groups; ++g) {
        const uint4 bits = own[g * 32];
#pragma unroll
        for (int q = 0; q < QUERIES; ++q) {
            const uint4 asked = queries[(long long)(low + q < nq ? low + q : nq - 1) * groups + g];
            counts[q] += __popc(bits.x ^ asked.x) + __popc(bits.y ^ asked.y) + __popc(bits.z ^ asked.z) +
                         __popc(bits.w ^ asked.w);
        }
    }
#pragma unroll
    for (int q = 0; q < QUERIES; ++q)
        if (low + q < nq) out[(long long)(low + q) * n + at] = counts[q];
}

extern "C" __global__ void differing_1(const uint4* tiles, const uint4* queries, const int* numbers, long long first,
                                       int* out, long long n, int groups, int nq) {
    differing<1>(tiles, queries, numbers, first, out, n, groups, nq);
}

extern "C" __global__ void differing_8(const uint4* tiles, const uint4* queries, const int* numbers, long long first,
                                       int* out, long long n, int groups, int nq) {
    differing<8>(tiles, queries, numbers, first, out, n, groups, nq);
}

// out[i * groups * 128 + bit]: float16, 1 for a set bit, -1 for another. A thread takes 32 bits.
extern "C" __global__ void signs(const u32* tiles, const int* numbers, long long first, u16* out, long long n,
                                 int groups) {
    const long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    const int words = 4 * groups;
    if (at >= n * words) return;
    const long long i = at / words, row = numbers ? numbers[i] : first + i;
    const int word = at % words;
    const u32 bits = ~tiles[((row / 32 * groups + word / 4) * 32 + row % 32) * 4 + word % 4];
    uint4* own = (uint4*)(out + (i * words + word) * 32);
#pragma unroll
    for (int part = 0; part < 4; ++part) {
        u32 two[4];
#pragma unroll
        for (int w = 0; w < 4; ++w) {
            const u32 pair = bits >> (8 * part + 2 * w);
            two[w] = 0x3C003C00u | (pair & 1) << 15 | (pair & 2) << 30;  // the bits of 1.0, and signs
        }
        own[part] = make_uint4(two[0], two[1], two[2], two[3]);
    }
}
