// Threads: torch's own pool where its address was handed over, else threads of our own. Work is split over outputs
// only, so no thread count can change a bit.
#pragma once

#include <cstdint>

namespace fxsim {

// The C signature of libtorch's torch_parallel_for (torch >= 2.10).
using RangeFn = void (*)(std::int64_t begin, std::int64_t end, void* context);
using TorchParallelFor = std::int32_t (*)(std::int64_t begin, std::int64_t end, std::int64_t grain, RangeFn run,
                                          void* context);

void use_torch_pool(TorchParallelFor function);
void set_num_threads(int count);  // of our own threads; torch's pool obeys torch.set_num_threads

void parallel_ranges(std::int64_t count, RangeFn run, void* context);

// Calls f(task) for every task of 0 .. count - 1, in any order and on any thread.
template <class F>
void parallel_for(std::int64_t count, const F& f) {
  auto run = [](std::int64_t begin, std::int64_t end, void* context) {
    const F& body = *static_cast<const F*>(context);
    for (std::int64_t task = begin; task < end; ++task) body(task);
  };
  parallel_ranges(count, run, const_cast<void*>(static_cast<const void*>(&f)));
}

}  // namespace fxsim
