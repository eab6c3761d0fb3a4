// The kernels of count_sort.cu behind one C function, run on a CPU block by block.

#include "cuda_on_cpu.hpp"

#include COUNT_SORT

namespace {

struct Arguments {
  const unsigned short *x, *order, *maps;
  const unsigned* threads;
  const int* offsets;
  float *ap, *auroc;
  int *finite, n, n_classes, n_maps;
  long long stride_x, stride_out;
  unsigned infinity;
} the;

template <auto RUN>
void call() {
  RUN(the.x, the.order, the.maps, the.threads, the.offsets, the.ap, the.auroc, the.finite, the.n,
      the.n_classes, the.n_maps, the.stride_x, the.stride_out, the.infinity);
}

}  // namespace

extern "C" int run(int walks, unsigned blocks, unsigned shared, unsigned seed,
                   const unsigned short* x, const unsigned short* order,
                   const unsigned short* maps, const unsigned* threads, const int* offsets,
                   float* ap, float* auroc, int* finite, int n, int n_classes, int n_maps,
                   long long stride_x, long long stride_out, unsigned infinity) {
  the = {x, order, maps, threads, offsets, ap, auroc, finite, n, n_classes, n_maps, stride_x,
         stride_out, infinity};
  cpu::body = walks ? call<count_sort_walks> : call<count_sort_maps>;
  std::mt19937 random(seed);
  for (unsigned b = 0; b < blocks; b++) {
    cpu::run_block(THREADS, b, random);
    const char* const bytes = reinterpret_cast<const char*>(memory);
    for (unsigned i = shared; i < sizeof memory; i++) {
      if (bytes[i] != static_cast<char>(0xAB)) return 1;  // beyond what was asked for
    }
  }
  return 0;
}
