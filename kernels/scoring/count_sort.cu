// CountSort: average precision and AUROC of every class, for one neuron a block, by counting.
//
// Keys of 16 bits are few enough to be marked in a bitmap. The marks before a key number the keys
// that occur without gaps, counts of these numbers summed up tell how many activations lie above
// each, and nothing is ever compared or exchanged. Within a class the same is done with places: a
// bitmap of those that the class holds, one bit a sentence, tells how many of the class lie at or
// above any. Classes too small for a bitmap of their own compare their few places directly.
//
// Sentences are taken class by class, PER to a thread, so that a thread's sums belong to one class
// or a few neighbouring ones. Partial sums of thread t for class c go to slot t + c: threads and
// classes ascend together, so no two share a slot, and they are added in one order on every run.
// Sentences beyond the last are padding with a key above all others: they rank after everything,
// no count of anything before them sees them, and only the sums leave them out.
//
// No header is included: NVRTC compiles this file alone. THREADS, PLACES and NO_MAP come from the
// table in count_sort.py, which the host lays classes out by.

constexpr int PER = PLACES / THREADS;   // sentences of a thread
constexpr int WARPS = THREADS / 32;
constexpr int KEY_WORDS = 65536 / 32;   // the bitmap of keys
constexpr int MAP_WORDS = PLACES / 32;  // the bitmap of a class
constexpr unsigned ALL = 0xFFFFFFFFu;
constexpr unsigned PADDING = 0xFFFFu;   // no number's key
constexpr float ROUND = 3072.0f;        // 1.5 * 2^11: adding it leaves multiples of 2^-12

static_assert(KEY_WORDS == WARPS * MAP_WORDS, "a warp sums one share of keys, or one class");
static_assert(MAP_WORDS == 128 && PER == 8, "a lane's words and a thread's halves fill a vector");
static_assert(KEY_WORDS == 4 * THREADS && PLACES == 8 * THREADS, "cleared at one blow");

// Two numbers to a word.
__device__ __forceinline__ unsigned half_of(const uint4& eight, int k) {
  const unsigned words[4] = {eight.x, eight.y, eight.z, eight.w};
  return k % 2 ? words[k / 2] >> 16 : words[k / 2] & 0xFFFFu;
}

// Two floats of 16 bits as unsigned integers in descending order: the bits of a number that is not
// negative are turned over, and one less than those of a negative one makes -0.0 equal to +0.0.
__device__ __forceinline__ unsigned keys_of(unsigned two) {
  const unsigned negative = two >> 15 & 0x10001u;
  return (two ^ (negative ^ 0x10001u) * 0x7FFFu) - negative;
}

// The sum of what the lanes before this one hold.
__device__ __forceinline__ unsigned sum_before(unsigned value, int lane) {
  unsigned sum = value;
#pragma unroll
  for (int step = 1; step < 32; step <<= 1) {
    const unsigned other = __shfl_up_sync(ALL, sum, step);
    sum += lane >= step ? other : 0;
  }
  return sum - value;
}

// What the warps before this one hold together.
__device__ __forceinline__ unsigned warps_before(const unsigned* totals, int warp, int lane) {
  return __reduce_add_sync(ALL, lane < warp ? totals[lane] : 0u);
}

__device__ __forceinline__ unsigned bits_of(const uint4& words) {
  return __popc(words.x) + __popc(words.y) + __popc(words.z) + __popc(words.w);
}

// Write for each of a warp's words how many bits are set in those before it.
__device__ __forceinline__ void number_bits(const unsigned* words, unsigned short* numbers,
                                            unsigned before, int lane) {
  const uint4 own = reinterpret_cast<const uint4*>(words)[lane];
  const unsigned first = before + sum_before(bits_of(own), lane);
  const unsigned second = first + __popc(own.x), third = second + __popc(own.y);
  reinterpret_cast<uint2*>(numbers)[lane] =
      make_uint2(first | second << 16, third | (third + __popc(own.z)) << 16);
}

// Two ends at `i` as they are, but larger than any where they are not of the class.
__device__ __forceinline__ unsigned within(unsigned two, int i, int from, int to) {
  if (i < from || i >= to) two = (two & 0xFFFF0000u) | 0x7FFFu;
  if (i + 1 < from || i + 1 >= to) two = (two & 0xFFFFu) | 0x7FFF0000u;
  return two;
}

// A whole number below 2^23 as float, without the slow conversion unit.
__device__ __forceinline__ float exactly(unsigned n) {
  return __uint_as_float(0x4B000000u | n) - 8388608.0f;
}

// Sums of hits / rank: `whole` in multiples of 2^-12, which float32 adds exactly up to 4,096, and
// what that leaves in `part`, right to 2^-35 a term: the reciprocal need not be, to be corrected.
struct Sums {
  float whole, part;
  unsigned ranks;
  __device__ __forceinline__ void add(unsigned hits, unsigned start, unsigned end) {
    const float rank = exactly(end), share = __fdividef(1.0f, rank), count = exactly(hits);
    const float near = __fadd_rn(__fmul_rn(count, share), ROUND) - ROUND;
    whole += near;
    part = __fmaf_rn(__fmaf_rn(-near, rank, count), share, part);
    ranks += start + end;
  }
};

template <bool WALKS>
__device__ __forceinline__ void count_sort(
    const unsigned short* __restrict__ x, const unsigned short* __restrict__ order,
    const unsigned short* __restrict__ maps, const unsigned* __restrict__ threads,
    const int* __restrict__ offsets, float* __restrict__ ap, float* __restrict__ auroc,
    int* __restrict__ finite, int n, int n_classes, int n_maps, long long stride_x,
    long long stride_out, unsigned infinity) {
  extern __shared__ uint4 memory[];
  unsigned* const bins = reinterpret_cast<unsigned*>(memory);  // later the slots of sums
  unsigned short* const keys = reinterpret_cast<unsigned short*>(bins + PLACES);  // later the ends
  unsigned* const totals = reinterpret_cast<unsigned*>(keys + PLACES);
  unsigned* const words = totals + 32;  // the bitmap of keys, later those of classes
  unsigned short* const key_numbers = reinterpret_cast<unsigned short*>(words + KEY_WORDS);
  unsigned short* const map_numbers = reinterpret_cast<unsigned short*>(words + n_maps * MAP_WORDS);
  const int t = threadIdx.x, lane = t & 31, warp = t >> 5;
  const int first = t * PER, own = min(max(n - first, 0), PER);
  const long long m = blockIdx.x;
  const uint4 none = make_uint4(0, 0, 0, 0);

  // 1. Mark the keys that occur.
  reinterpret_cast<uint4*>(words)[t] = none;
  reinterpret_cast<uint4*>(bins)[t] = reinterpret_cast<uint4*>(bins)[t + THREADS] = none;
  const unsigned short* const row = x + m * stride_x;
  uint4 eight;
  if (own == PER && (reinterpret_cast<unsigned long long>(row) & 15) == 0) {
    eight = reinterpret_cast<const uint4*>(row)[t];
  } else {
    unsigned two[4];
#pragma unroll
    for (int k = 0; k < PER; k += 2) {
      two[k / 2] = k < own ? row[first + k] : 0;
      two[k / 2] |= k + 1 < own ? static_cast<unsigned>(row[first + k + 1]) << 16 : 0;
    }
    eight = make_uint4(two[0], two[1], two[2], two[3]);
  }
  // The top bit of a half is carried into where its magnitude reaches infinity.
  const unsigned carry = (0x8000u - infinity) * 0x10001u, size = 0x7FFF7FFFu;
  const unsigned beyond = ((eight.x & size) + carry) | ((eight.y & size) + carry) |
                          ((eight.z & size) + carry) | ((eight.w & size) + carry);
  eight = make_uint4(keys_of(eight.x), keys_of(eight.y), keys_of(eight.z), keys_of(eight.w));
  if (own < PER) {
    unsigned two[4] = {eight.x, eight.y, eight.z, eight.w};
    for (int k = 0; k < PER; k++) two[k / 2] |= k < own ? 0 : PADDING << 16 * (k % 2);
    eight = make_uint4(two[0], two[1], two[2], two[3]);
  }
  reinterpret_cast<uint4*>(keys)[t] = eight;
  const int ordinary = __syncthreads_and((beyond & 0x80008000u) == 0);
  if (t == 0) finite[m] = ordinary;
  if (!ordinary) return;  // the caller names the neuron and refuses all
#pragma unroll
  for (int k = 0; k < PER; k++) {
    const unsigned key = half_of(eight, k);
    atomicOr(&words[key >> 5], 1u << (key & 31));
  }
  __syncthreads();

  // 2. Number them.
  const unsigned* const share = words + warp * MAP_WORDS;
  const unsigned marked = __reduce_add_sync(ALL, bits_of(reinterpret_cast<const uint4*>(share)[lane]));
  if (lane == 0) totals[warp] = marked;
  __syncthreads();
  number_bits(share, key_numbers + warp * MAP_WORDS, warps_before(totals, warp, lane), lane);
  __syncthreads();

  // 3. Count them, class by class; what was counted before tells equal activations apart.
  const uint4 listed = reinterpret_cast<const uint4*>(order)[t];
  unsigned at[PER];  // number of the key | how many came before << 16
#pragma unroll
  for (int k = 0; k < PER; k++) {
    const unsigned key = keys[half_of(listed, k)];
    const unsigned below = words[key >> 5] & ((1u << (key & 31)) - 1);
    const unsigned number = key_numbers[key >> 5] + __popc(below);
    at[k] = number | atomicAdd(&bins[number], 1u) << 16;
  }
  __syncthreads();

  // 4. Counts become ranks: those above | those not below << 16. Bitmaps of classes start empty.
  uint4* const counted = reinterpret_cast<uint4*>(bins + first);
  const uint4 low = counted[0], high = counted[1];
  unsigned counts[PER] = {low.x, low.y, low.z, low.w, high.x, high.y, high.z, high.w}, sum = 0;
#pragma unroll
  for (int k = 0; k < PER; k++) sum += counts[k];
  unsigned above = sum_before(sum, lane);
  if (lane == 31) totals[warp] = above + sum;
#pragma unroll 1
  for (int i = t; i < n_maps * MAP_WORDS / 4; i += THREADS) {
    reinterpret_cast<uint4*>(words)[i] = none;
  }
  __syncthreads();
  above += warps_before(totals, warp, lane);
#pragma unroll
  for (int k = 0; k < PER; k++) {
    const unsigned upto = above + counts[k];
    counts[k] = above | upto << 16;
    above = upto;
  }
  counted[0] = make_uint4(counts[0], counts[1], counts[2], counts[3]);
  counted[1] = make_uint4(counts[4], counts[5], counts[6], counts[7]);
  __syncthreads();

  // 5. Every activation learns its ranks and takes its place in the bitmap of its class.
  const uint4 own_maps = reinterpret_cast<const uint4*>(maps)[t];
#pragma unroll
  for (int k = 0; k < PER; k++) {
    const unsigned ranks = bins[at[k] & 0xFFFFu], map = half_of(own_maps, k);
    const unsigned place = (ranks & 0xFFFFu) + (at[k] >> 16);
    if (!WALKS || map != NO_MAP) {
      atomicOr(&words[map * MAP_WORDS + (place >> 5)], 1u << (place & 31));
    }
    at[k] = ranks;
  }
  if (WALKS) {
    reinterpret_cast<uint4*>(keys)[t] = make_uint4(
        at[0] >> 16 | (at[1] & 0xFFFF0000u), at[2] >> 16 | (at[3] & 0xFFFF0000u),
        at[4] >> 16 | (at[5] & 0xFFFF0000u), at[6] >> 16 | (at[7] & 0xFFFF0000u));
  }
  __syncthreads();
#pragma unroll 1
  for (int i = warp; i < n_maps; i += WARPS) {
    number_bits(words + i * MAP_WORDS, map_numbers + i * MAP_WORDS, 0, lane);
  }
  __syncthreads();

  // 6. Small classes: compare each of the thread's ends with all of its class, four at a time. A
  // difference of halves keeps its top bit where the other end is not larger, and never borrows.
  const unsigned thread = threads[t];  // its first class | which sentences end a sum << 16
  unsigned found[PER];
  if (WALKS) {
#pragma unroll
    for (int k = 0; k < PER; k++) found[k] = 0;
    for (int c = thread & 0xFFFFu; c < n_classes && offsets[c] < first + own; c++) {
      const int from = offsets[c], to = offsets[c + 1];
      if (maps[from] != NO_MAP) continue;
      unsigned mine[PER];
#pragma unroll
      for (int k = 0; k < PER; k++) {
        const bool member = first + k >= from && first + k < to;
        mine[k] = 0x80008000u | (member ? (at[k] >> 16) * 0x10001u : 0u);
      }
#pragma unroll 1
      for (int i = from & ~3; i < to; i += 4) {
        uint2 four = *reinterpret_cast<const uint2*>(keys + i);
        if (i < from || i + 4 > to) four = make_uint2(within(four.x, i, from, to),
                                                      within(four.y, i + 2, from, to));
#pragma unroll
        for (int k = 0; k < PER; k++) {
          const unsigned tops = __byte_perm(mine[k] - four.x, mine[k] - four.y, 0x7531);
          found[k] = __dp4a(tops & 0x80808080u, 0x01010101u, found[k]);  // 128 each
        }
      }
    }
  }

  // 7. Sum hits / rank within each class; the slots lie over the bins, which nobody reads now.
  float* const whole = reinterpret_cast<float*>(bins);
  float* const part = whole + THREADS + n_classes;
  unsigned* const ranks = bins + 2 * (THREADS + n_classes);
  unsigned slot = t + (thread & 0xFFFFu);
  Sums sums{0.0f, 0.0f, 0};
#pragma unroll
  for (int k = 0; k < PER; k++) {
    const unsigned start = at[k] & 0xFFFFu, end = at[k] >> 16, map = half_of(own_maps, k);
    unsigned hits = 0;
    if (WALKS && map == NO_MAP) {
      hits = found[k] >> 7;
    } else {
      const unsigned word = map * MAP_WORDS + ((end - 1) >> 5);
      hits = map_numbers[word] + __popc(words[word] & (ALL >> (~(end - 1) & 31)));
    }
    sums.add(k < own ? hits : 0, k < own ? start : 0, end);
    sums.ranks -= k < own ? 0 : end;
    if (thread >> (16 + k) & 1) {
      whole[slot] = sums.whole, part[slot] = sums.part, ranks[slot] = sums.ranks;
      sums = Sums{0.0f, 0.0f, 0}, slot++;
    }
  }
  __syncthreads();

  // 8. Scores: a group of lanes a class, more lanes where there are fewer classes.
  const int lanes = n_classes <= 2 * WARPS ? 32 : n_classes <= 8 * WARPS ? 8 : 1;
#pragma unroll 1
  for (int group = 0; group < n_classes; group += THREADS / lanes) {
    const int c = group + t / lanes;
    if (group + warp * (32 / lanes) >= n_classes) break;  // nothing for this warp
    const bool real = c < n_classes;
    const int from = real ? offsets[c] : 0, to = real ? offsets[c + 1] : 0;
    double precision = 0.0;
    unsigned total = 0;
#pragma unroll 1
    for (int i = from / PER + t % lanes; real && i <= (to - 1) / PER; i += lanes) {
      precision += static_cast<double>(whole[i + c]) + static_cast<double>(part[i + c]);
      total += ranks[i + c];
    }
#pragma unroll 1
    for (int step = lanes / 2; step; step >>= 1) {
      precision += __shfl_xor_sync(ALL, precision, step);
      total += __shfl_xor_sync(ALL, total, step);
    }
    if (real && t % lanes == 0) {
      const long long members = to - from;
      const double pairs = 2.0 * static_cast<double>(members) * static_cast<double>(n - members);
      ap[c * stride_out + m] = static_cast<float>(precision / static_cast<double>(members));
      auroc[c * stride_out + m] =
          static_cast<float>(static_cast<double>((2 * n - members) * members - total) / pairs);
    }
  }
}

#define KERNEL(NAME, WALKS, BLOCKS)                                                                \
  extern "C" __global__ void __launch_bounds__(THREADS, BLOCKS) NAME(                              \
      const unsigned short* x, const unsigned short* order, const unsigned short* maps,            \
      const unsigned* threads, const int* offsets, float* ap, float* auroc, int* finite, int n,    \
      int n_classes, int n_maps, long long stride_x, long long stride_out, unsigned infinity) {    \
    count_sort<WALKS>(x, order, maps, threads, offsets, ap, auroc, finite, n, n_classes, n_maps,   \
                      stride_x, stride_out, infinity);                                             \
  }

KERNEL(count_sort_maps, false, 3)  // every class has a bitmap
KERNEL(count_sort_walks, true, 2)  // some are small
#undef KERNEL
