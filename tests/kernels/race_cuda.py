"""CUDA's threads as fibers that ThreadSanitizer knows, in the place of those of fake_cuda.py: what two threads of a
block do to the same place without a wait between them is reported. Blocks run one after another here; what they share
is atomic. A shuffle counts as a wait of its warp. `make races` runs the tests of kernels like this.
"""

FLAGS = ["-O1", "-g", "-fsanitize=thread"]
PLACE = r"""
#include <ucontext.h>
#define QUIET __attribute__((no_sanitize("thread"), noinline))  // the stand-in's own, which only one runs at a time
extern "C" {
void* __tsan_create_fiber(unsigned);
void* __tsan_get_current_fiber();
void __tsan_switch_to_fiber(void*, unsigned);
void __tsan_acquire(void*);
void __tsan_release(void*);
}
static Place blockIdx, blockDim, gridDim, place_now;
QUIET static Place place_of_now() { return place_now; }
#define threadIdx (place_of_now())
"""
THREADS = r"""
template <class T> static T atomicAdd(T* at, T add) { return __atomic_fetch_add(at, add, __ATOMIC_RELAXED); }

enum { MOST = 512 };
struct Fiber { ucontext_t state; void* known; char* stack; };
static Fiber scheduler, fibers[MOST];
static bool ended[MOST];
static unsigned long long exchanged[2][MOST];
static int shuffles[MOST], lanes_arrived[MOST / 32], lanes_live[MOST / 32], lanes_generation[MOST / 32];
static int begun, arrived, generation, live, turns;
static char begins, ends, waits_of[2], lanes_of[MOST / 32][2];
QUIET static void change(Fiber* own, Fiber* next) {
  __tsan_switch_to_fiber(next->known, 1);  // without being a wait
  swapcontext(&own->state, &next->state);
}
QUIET static void yield() {
  const int own = place_now.x, count = blockDim.x;
  int next = own;
  if (live) do next = next + 1 < count ? next + 1 : 0; while (ended[next]);
  if (live && next == own) return;
  place_now.x = next;
  change(&fibers[own], live ? &fibers[next] : &scheduler);
}
QUIET static void __syncthreads() {
  const int own = generation;
  __tsan_release(&waits_of[own & 1]);
  if (++arrived == live) { arrived = 0; ++generation; }
  while (own == generation) yield();
  __tsan_acquire(&waits_of[own & 1]);
}
QUIET static unsigned long long exchange(unsigned long long value, int mask) {
  const int t = place_now.x, warp = t / 32, own = lanes_generation[warp];
  unsigned long long* place = exchanged[shuffles[t]++ & 1];
  place[t] = value;
  __tsan_release(&lanes_of[warp][own & 1]);
  if (++lanes_arrived[warp] == lanes_live[warp]) { lanes_arrived[warp] = 0; ++lanes_generation[warp]; }
  while (own == lanes_generation[warp]) yield();
  __tsan_acquire(&lanes_of[warp][own & 1]);
  return place[t ^ mask];
}
template <class T> static T __shfl_xor_sync(unsigned, T value, int mask) {
  unsigned long long bits = 0;
  __builtin_memcpy(&bits, &value, sizeof value);
  bits = exchange(bits, mask);
  __builtin_memcpy(&value, &bits, sizeof value);
  return value;
}
"""
RUN = r"""
QUIET static void end() {
  const int warp = place_now.x / 32;
  __tsan_release(&ends);
  ended[place_now.x] = true;
  --live;
  if (live && arrived == live) { arrived = 0; ++generation; }
  if (--lanes_live[warp] && lanes_arrived[warp] == lanes_live[warp]) {
    lanes_arrived[warp] = 0;
    ++lanes_generation[warp];
  }
  yield();
}
QUIET static void fiber() {
  for (;;) {
    __tsan_acquire(&begins);
    body((void**)arguments_now);
    end();
  }
}
QUIET static void run(int gx, int gy, int bx, bool, void** from, void (*kernel)(void**)) {
  gridDim = {gx, gy, 1}; blockDim = {bx, 1, 1}; arguments_now = from; body = kernel;
  scheduler.known = __tsan_get_current_fiber();
  for (; begun < bx; ++begun) {
    Fiber& own = fibers[begun];
    own.known = __tsan_create_fiber(0);
    own.stack = (char*)malloc(1 << 17);
    getcontext(&own.state);
    own.state.uc_stack.ss_sp = own.stack;
    own.state.uc_stack.ss_size = 1 << 17;
    makecontext(&own.state, fiber, 0);
  }
  for (int i = 0; i < gx * gy; ++i) {
    blockIdx = {i % gx, i / gx, 0};
    arrived = 0; live = bx;
    for (int t = 0; t < bx; ++t) ended[t] = false, shuffles[t] = 0;
    for (int warp = 0; warp < bx / 32; ++warp) lanes_arrived[warp] = lanes_generation[warp] = 0, lanes_live[warp] = 32;
    place_now = {0, 0, 0};
    __tsan_release(&begins);
    change(&scheduler, &fibers[0]);
    __tsan_acquire(&ends);
  }
}
extern "C" void take_turns(int how) { turns = how; }
"""
