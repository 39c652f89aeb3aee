// Codes of lists, in blocks of 32 places, as the numbers they stand for; and sums of looked-up table entries. Blocks
// are blocks[i] or, where that is null, first + i. Words are four bytes of each place side by side:
// words[block][w][place].

__device__ inline long long block_of(const long long* blocks, long long first, long long i) {
    return blocks ? blocks[i] : first + i;
}

#define SLAB 128  // words of each of a block's places that are turned in shared memory at a time

// The words of a slab of one block of codes, read word by word and written place by place: neighbouring threads read
// neighbouring places and write neighbouring columns. `write` gets (place, word's number, word).
template <class Write>
__device__ void turned(const u32* words, long long block, int nwords, Write write) {
    __shared__ u32 tile[SLAB][33];
    const int from = blockIdx.y * SLAB, some = nwords - from < SLAB ? nwords - from : SLAB;
    const u32* own = words + (block * nwords + from) * 32;
    for (int i = threadIdx.x; i < some * 32; i += blockDim.x) tile[i / 32][i % 32] = own[i];
    __syncthreads();
    for (int i = threadIdx.x; i < some * 32; i += blockDim.x)
        write(i / some, from + i % some, tile[i % some][i / some]);
}

// Eight entries of `width` float16 numbers each, written 16 bytes at a time.
template <int WIDTH>
__device__ void unpack_word(u32 word, const u16* values, u16* own) {
    u16 numbers[8 * WIDTH];
#pragma unroll
    for (int nibble = 0; nibble < 8; ++nibble)
#pragma unroll
        for (int c = 0; c < WIDTH; ++c)
            numbers[nibble * WIDTH + c] = values[(nibble * 16 + (word >> 4 * nibble & 15)) * WIDTH + c];
#pragma unroll
    for (int part = 0; part < WIDTH; ++part) {
        const u16* some = numbers + 8 * part;
        ((uint4*)own)[part] = make_uint4(some[0] | (u32)some[1] << 16, some[2] | (u32)some[3] << 16,
                                         some[4] | (u32)some[5] << 16, some[6] | (u32)some[7] << 16);
    }
}

// Nibble j of a place selects values[j][nibble][0 .. width): out (places, stride) float16, from column `at`.
extern "C" __global__ void unpack_tables(const u32* words, const long long* blocks, long long first, const u16* values,
                                         u16* out, int nwords, int m, int width, int stride, int at) {
    const long long i = blockIdx.x;
    turned(words, block_of(blocks, first, i), nwords, [=](int place, int w, u32 word) {  // __syncthreads
        u16* own = out + (i * 32 + place) * stride + at + 8 * w * width;
        const u16* entries = values + (long long)8 * w * 16 * width;
        const int some = m - 8 * w < 8 ? m - 8 * w : 8;
        if (some == 8 && stride % 8 == 0 && at % 8 == 0) {
            if (width == 1) return unpack_word<1>(word, entries, own);
            if (width == 2) return unpack_word<2>(word, entries, own);
            if (width == 4) return unpack_word<4>(word, entries, own);
        }
        for (int nibble = 0; nibble < some; ++nibble)
            for (int c = 0; c < width; ++c)
                own[nibble * width + c] = entries[(nibble * 16 + (word >> 4 * nibble & 15)) * width + c];
    });
}

// Byte i of a run of `count` fields of `bits` holds fields i, i + count * bits / 8, ..., lowest first; a field stands
// for itself less (2^bits - 1) / 2. extra is (places, nbytes), the run begins at `from`; out from column `at`, float16.
extern "C" __global__ void unpack_run(const u8* extra, const long long* blocks, long long first, u16* out, long long n,
                                      int nbytes, int from, int bits, int count, int stride, int at) {
    const int own_bytes = count * bits / 8;
    const long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (thread >= n * 32 * own_bytes) return;
    const int byte = thread % own_bytes;
    const long long place = thread / own_bytes, stored = block_of(blocks, first, place / 32) * 32 + place % 32;
    u32 fields = extra[stored * nbytes + from + byte];
    const u32 mask = (1u << bits) - 1;
    for (int field = byte; field < count; field += own_bytes, fields >>= bits)
        out[place * stride + at + field] = half_bits((float)(fields & mask) - 0.5f * (float)mask);
}

// Byte j of a place selects values[j][byte][0 .. width): out (places, stride) float16. codes is (places, m), out from
// column `at`.
extern "C" __global__ void unpack_bytes(const u8* codes, const long long* blocks, long long first, const u16* values,
                                        u16* out, long long n, int m, int width, int stride, int at) {
    const long long thread = (long long)blockIdx.x * blockDim.x + threadIdx.x;
    if (thread >= n * 32 * m) return;
    const int j = thread % m;
    const long long place = thread / m, stored = block_of(blocks, first, place / 32) * 32 + place % 32;
    const u16* entry = values + ((long long)j * 256 + codes[stored * m + j]) * width;
    for (int c = 0; c < width; ++c) out[place * stride + at + j * width + c] = entry[c];
}

// Bytes less 128, or levels[nibble]: out (places, stride) int8 of dim columns, zero in the rest; stride is a multiple
// of what a word holds (4 or 8).
extern "C" __global__ void unpack_words(const u32* words, const long long* blocks, long long first,
                                        const signed char* levels, signed char* out, int nwords, int dim, int stride) {
    const long long i = blockIdx.x;
    const int fields = levels ? 8 : 4;
    turned(words, block_of(blocks, first, i), nwords, [=](int place, int w, u32 word) {  // __syncthreads
        if (w * fields >= stride) return;
        u32 packed[2] = {0, 0};
#pragma unroll
        for (int field = 0; field < 8; ++field) {
            if (field >= fields || w * fields + field >= dim) break;
            const int value = levels ? levels[word >> 4 * field & 15] : (int)(word >> 8 * field & 255) - 128;
            packed[field / 4] |= (u32)(value & 255) << 8 * (field % 4);
        }
        u32* own = (u32*)(out + (i * 32 + place) * stride + w * fields);
        own[0] = packed[0];
        if (levels) own[1] = packed[1];
    });
}

// out[q * n * 32 + place]: the sum of the table entries that a place's nibbles select, for few queries: tables (nq, m,
// 16) lie in shared memory, where 16 neighbouring entries are in 16 banks. Sums join what `out` holds.
extern "C" __global__ void table_sums(const u32* words, const long long* blocks, long long first, const float* tables,
                                      float* out, long long n, int nwords, int m) {
    const int q = blockIdx.y;
    for (int i = threadIdx.x; i < m * 16; i += blockDim.x) dynamic_shared[i] = tables[(long long)q * m * 16 + i];
    __syncthreads();
    const long long step = (long long)gridDim.x * blockDim.x;
    for (long long place = (long long)blockIdx.x * blockDim.x + threadIdx.x; place < n * 32; place += step) {
        const u32* own = words + block_of(blocks, first, place / 32) * nwords * 32 + place % 32;
        float sums[4] = {0, 0, 0, 0};
        for (int low = 0; low < nwords; low += 8) {
            u32 ahead[8];
#pragma unroll
            for (int w = 0; w < 8; ++w) ahead[w] = low + w < nwords ? own[(low + w) * 32] : 0;
#pragma unroll
            for (int w = 0; w < 8; ++w) {
                const float* tables_of = dynamic_shared + (low + w) * 128;
                const int some = m - 8 * (low + w) < 8 ? m - 8 * (low + w) : 8;
#pragma unroll
                for (int nibble = 0; nibble < 8; ++nibble)
                    if (nibble < some) sums[nibble % 4] += tables_of[nibble * 16 + (ahead[w] >> 4 * nibble & 15)];
            }
        }
        out[q * n * 32 + place] = sums[0] + sums[1] + (sums[2] + sums[3]);
    }
}

// out[q * n * 32 + place] += the fields of a run (see unpack_run) times the query's numbers (nq, count), in shared
// memory. A warp takes a place.
extern "C" __global__ void run_sums(const u8* extra, const long long* blocks, long long first, const float* queries,
                                    float* out, long long n, int nbytes, int from, int bits, int count) {
    const int q = blockIdx.y, own_bytes = count * bits / 8, lane = threadIdx.x % WARP;
    for (int i = threadIdx.x; i < count; i += blockDim.x) dynamic_shared[i] = queries[(long long)q * count + i];
    __syncthreads();
    const u32 mask = (1u << bits) - 1;
    const long long warps = (long long)gridDim.x * blockDim.x / WARP;
    for (long long place = ((long long)blockIdx.x * blockDim.x + threadIdx.x) / WARP; place < n * 32; place += warps) {
        const u8* own = extra + (block_of(blocks, first, place / 32) * 32 + place % 32) * nbytes + from;
        float sum = 0;
        for (int byte = lane; byte < own_bytes; byte += WARP) {
            u32 fields = own[byte];
            for (int field = byte; field < count; field += own_bytes, fields >>= bits)
                sum += ((float)(fields & mask) - 0.5f * (float)mask) * dynamic_shared[field];
        }
        for (int half = WARP / 2; half > 0; half /= 2) sum += __shfl_xor_sync(0xFFFFFFFFu, sum, half);
        if (lane == 0) out[q * n * 32 + place] += sum;
    }
}
