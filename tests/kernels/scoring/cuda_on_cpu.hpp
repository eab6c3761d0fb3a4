// Enough of CUDA to run a kernel's source on a CPU, a block at a time: every thread is a fiber.
//
// A warp runs until the block's barrier, a fiber of it until the warp's next exchange, so between two
// barriers one warp is far ahead of the next, in an order drawn anew for each block. Reading what
// no barrier has made ready therefore gives wrong results here, as it might on a device.

#pragma once

#include <ucontext.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>
#include <utility>
#include <vector>

#define __device__
#define __global__
#define __forceinline__ inline
#define __restrict__
#define __shared__
#define __launch_bounds__(...)

using std::max;
using std::min;

struct uint2 { unsigned x, y; };
struct uint4 { unsigned x, y, z, w; };
struct dim3 { unsigned x, y, z; };

inline uint2 make_uint2(unsigned x, unsigned y) { return {x, y}; }
inline uint4 make_uint4(unsigned x, unsigned y, unsigned z, unsigned w) { return {x, y, z, w}; }

alignas(16) uint4 memory[1 << 14];  // a block's shared memory
dim3 threadIdx, blockIdx;

namespace cpu {

constexpr int THREADS_A_WARP = 32;

struct Meeting {  // what waits for all of its threads
  unsigned arrived = 0, round = 0;
};

struct Warp {
  Meeting meeting;
  unsigned values[2][THREADS_A_WARP];  // of this exchange and of the one before
};

struct Fiber {
  ucontext_t context;
  std::vector<char> stack = std::vector<char>(1 << 16);
  bool done = false, waits = false;  // waits for the block
};

inline ucontext_t scheduler;
inline std::vector<Fiber> fibers;
inline std::vector<Warp> warps;
inline Meeting block;
inline std::vector<char> votes;
inline unsigned current;
inline void (*body)();

inline void pause() { swapcontext(&fibers[current].context, &scheduler); }

inline unsigned wait_for(Meeting& meeting, unsigned all) {
  const unsigned round = meeting.round;
  if (++meeting.arrived == all) meeting.arrived = 0, meeting.round++;
  while (meeting.round == round) pause();
  return round;
}

inline unsigned exchange(unsigned value, unsigned (*choose)(const unsigned*, int, int), int step) {
  Warp& warp = warps[current / THREADS_A_WARP];
  const int lane = current % THREADS_A_WARP;
  unsigned* const values = warp.values[warp.meeting.round & 1];
  values[lane] = value;
  wait_for(warp.meeting, THREADS_A_WARP);
  return choose(values, lane, step);
}

inline void start() {
  body();
  fibers[current].done = true;
}

// Run one block of `threads` threads.
inline void run_block(unsigned threads, unsigned number, std::mt19937& random) {
  fibers.resize(threads);
  warps.assign(threads / THREADS_A_WARP, Warp{});
  block = Meeting{};
  votes.assign(threads, 0);
  blockIdx = {number, 0, 0};
  std::memset(memory, 0xAB, sizeof memory);  // nothing is zero unless the kernel makes it so
  std::vector<unsigned> order(threads);
  for (unsigned t = 0; t < threads; t++) {
    order[t] = t;
    Fiber& fiber = fibers[t];
    fiber.done = fiber.waits = false;
    getcontext(&fiber.context);
    fiber.context.uc_stack.ss_sp = fiber.stack.data();
    fiber.context.uc_stack.ss_size = fiber.stack.size();
    fiber.context.uc_link = &scheduler;
    makecontext(&fiber.context, start, 0);
  }
  std::shuffle(order.begin(), order.end(), random);
  std::vector<unsigned> turn(warps.size());
  for (unsigned w = 0; w < turn.size(); w++) turn[w] = w;
  for (unsigned left = threads; left;) {
    left = 0;
    std::shuffle(turn.begin(), turn.end(), random);
    for (const unsigned w : turn) {
      for (bool busy = true; busy;) {
        busy = false;
        for (const unsigned t : order) {
          if (t / THREADS_A_WARP != w || fibers[t].done) continue;
          current = t;
          threadIdx = {t, 0, 0};
          swapcontext(&scheduler, &fibers[t].context);
          busy |= !fibers[t].done && !fibers[t].waits;
        }
      }
    }
    for (const Fiber& fiber : fibers) left += !fiber.done;
  }
}

}  // namespace cpu

inline void __syncthreads() {
  const unsigned own = cpu::current;
  cpu::fibers[own].waits = true;
  cpu::wait_for(cpu::block, cpu::fibers.size());
  cpu::fibers[own].waits = false;
}

inline int __syncthreads_and(int vote) {
  cpu::votes[cpu::current] = vote != 0;
  __syncthreads();
  const int all = std::count(cpu::votes.begin(), cpu::votes.end(), 0) == 0;
  __syncthreads();
  return all;
}

inline unsigned __shfl_up_sync(unsigned, unsigned value, int step) {
  return cpu::exchange(value, [](const unsigned* v, int l, int s) { return v[l < s ? l : l - s]; },
                       step);
}

inline unsigned __shfl_sync(unsigned, unsigned value, int from) {
  return cpu::exchange(value, [](const unsigned* v, int, int f) { return v[f]; }, from);
}

inline unsigned __shfl_xor_sync(unsigned, unsigned value, int mask) {
  return cpu::exchange(value, [](const unsigned* v, int l, int m) { return v[l ^ m]; }, mask);
}

inline double __shfl_xor_sync(unsigned all, double value, int mask) {
  unsigned halves[2];
  std::memcpy(halves, &value, 8);
  for (unsigned& half : halves) half = __shfl_xor_sync(all, half, mask);
  std::memcpy(&value, halves, 8);
  return value;
}

inline unsigned __reduce_add_sync(unsigned, unsigned value) {
  const auto sum = [](const unsigned* v, int, int) {
    unsigned total = 0;
    for (int lane = 0; lane < cpu::THREADS_A_WARP; lane++) total += v[lane];
    return total;
  };
  return cpu::exchange(value, sum, 0);
}

inline unsigned atomicAdd(unsigned* at, unsigned more) { return std::exchange(*at, *at + more); }
inline unsigned atomicOr(unsigned* at, unsigned bits) { return std::exchange(*at, *at | bits); }
inline int __popc(unsigned bits) { return __builtin_popcount(bits); }
inline unsigned __byte_perm(unsigned x, unsigned y, unsigned chosen) {
  const unsigned long long both = x | static_cast<unsigned long long>(y) << 32;
  unsigned result = 0;
  for (int i = 0; i < 4; i++) {
    result |= (both >> 8 * (chosen >> 4 * i & 7) & 0xFFu) << 8 * i;
  }
  return result;
}
inline unsigned __dp4a(unsigned x, unsigned y, unsigned sum) {
  for (int i = 0; i < 32; i += 8) sum += (x >> i & 0xFFu) * (y >> i & 0xFFu);
  return sum;
}
inline float __uint_as_float(unsigned bits) {
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
}
inline float __fdividef(float x, float y) { return std::nextafter(x / y, 2.0f); }  // an ulp off
inline float __fadd_rn(float x, float y) { return x + y; }
inline float __fmul_rn(float x, float y) { return x * y; }
inline float __fmaf_rn(float x, float y, float z) { return std::fma(x, y, z); }
