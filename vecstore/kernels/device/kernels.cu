// What CuPy has no fast primitive for. One thread does one item and shares nothing with others, so that the same source
// runs on a CPU, thread after thread, where the tests compare it with numpy (tests/kernels/test_device_source.py).
// Counts and offsets are 64-bit: rows times queries pass 2^31.

extern "C" {

// out[q * n + row]: differing bits. A thread takes one row and `tile` queries, which it reads in step with its warp.
__global__ void differing(const unsigned int* rows, const unsigned int* queries, float* out, long long n, int words,
                          int nq, int tile) {
  const long long row = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (row >= n) return;
  const unsigned int* own = rows + row * words;
  const int first = blockIdx.y * tile;
  const int last = first + tile < nq ? first + tile : nq;
  for (int low = first; low < last; low += 4) {
    int counts[4] = {0, 0, 0, 0};
    const int some = last - low < 4 ? last - low : 4;
    for (int w = 0; w < words; ++w) {
      const unsigned int word = own[w];
      for (int q = 0; q < some; ++q) counts[q] += __popc(word ^ queries[(long long)(low + q) * words + w]);
    }
    for (int q = 0; q < some; ++q) out[(long long)(low + q) * n + row] = (float)counts[q];
  }
}

// Places of the values that are at most the bound of their row: `found` is how many there are, of which the first
// `room` to arrive are written. NaN compares false.
__global__ void within(const float* values, const float* bounds, long long* rows, long long* columns,
                       unsigned long long* found, long long total, long long width, long long room) {
  const long long step = (long long)gridDim.x * blockDim.x;
  for (long long at = (long long)blockIdx.x * blockDim.x + threadIdx.x; at < total; at += step) {
    const long long row = at / width;
    if (values[at] <= bounds[row]) {
      const unsigned long long place = atomicAdd(found, 1ULL);
      if ((long long)place < room) {
        rows[place] = row;
        columns[place] = at - row * width;
      }
    }
  }
}

// out[q * runs + r]: the largest of values[q * n + starts[r] ...] up to the next start; no run is empty.
__global__ void largest_of_runs(const float* values, const long long* starts, float* out, long long n, long long runs) {
  const long long run = (long long)blockIdx.x * blockDim.x + threadIdx.x;
  if (run >= runs) return;
  const float* own = values + (long long)blockIdx.y * n;
  float best = own[starts[run]];
  for (long long at = starts[run] + 1; at < starts[run + 1]; ++at) best = own[at] > best ? own[at] : best;
  out[(long long)blockIdx.y * runs + run] = best;
}

}
