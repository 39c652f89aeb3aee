// Shared by the sources beside it, which are compiled together with it. The tests compile all of them for a processor
// too (tests/kernels/fake_cupy.py), where a block's threads take turns and __CUDACC__ is not defined.
// Counts and offsets are 64-bit: rows times queries pass 2^31.

typedef unsigned int u32;
typedef unsigned long long u64;
typedef unsigned short u16;
typedef unsigned char u8;

#ifdef __CUDACC__
extern __shared__ float dynamic_shared[];
__device__ inline float half_number(u16 bits) {
    float out;
    asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"(bits));
    return out;
}
__device__ inline u16 half_bits(float value) {
    u16 out;
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(out) : "f"(value));
    return out;
}
// CuPy compiles with denormal numbers flushed to zero; these keep them.
__device__ inline double widened(float value) {
    double out;
    asm("cvt.f64.f32 %0, %1;" : "=d"(out) : "f"(value));
    return out;
}
__device__ inline float rounded(double value) {
    float out;
    asm("cvt.rn.f32.f64 %0, %1;" : "=f"(out) : "d"(value));
    return out;
}
#endif

// What rows are stored as.
enum { FLOAT32 = 0, FLOAT16 = 1, BFLOAT16 = 2 };

__device__ inline float bfloat_number(u16 bits) { return __uint_as_float((u32)bits << 16); }

__device__ inline u16 bfloat_bits(float value) {  // to the nearest, ties to even
    const u32 bits = __float_as_uint(value);
    return (u16)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

__device__ inline double widened_at(const void* rows, long long at, int kind) {
    if (kind == FLOAT32) return widened(((const float*)rows)[at]);
    const u16 bits = ((const u16*)rows)[at];
    return widened(kind == FLOAT16 ? half_number(bits) : bfloat_number(bits));
}

// Unsigned numbers in the order of the floats they are made of; minus zero counts as zero.
__device__ inline u32 ordered(float value) {
    const u32 bits = __float_as_uint(value) == 0x80000000u ? 0 : __float_as_uint(value);
    return bits & 0x80000000u ? ~bits : bits | 0x80000000u;
}

__device__ inline float unordered(u32 key) { return __uint_as_float(key & 0x80000000u ? key & 0x7FFFFFFFu : ~key); }

// A candidate's distance and, where distances are equal, its row: compared as one number.
__device__ inline u64 key_of(float distance, u32 row) { return (u64)ordered(distance) << 32 | row; }

#define WARP 32
#define INFINITE __uint_as_float(0x7F800000u)
