#include "kernels/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace fxsim {
namespace {

std::atomic<TorchParallelFor> torch_pool{nullptr};
std::atomic<int> own_threads{1};

}  // namespace

void use_torch_pool(TorchParallelFor function) { torch_pool.store(function); }

void set_num_threads(int count) { own_threads.store(std::max(1, count)); }

void parallel_ranges(std::int64_t count, RangeFn run, void* context) {
  if (count <= 0) return;
  if (count == 1) return run(0, 1, context);
  if (const TorchParallelFor pool = torch_pool.load()) {
    pool(0, count, 1, run, context);
    return;
  }
  const auto threads = std::min<std::int64_t>(own_threads.load(), count);
  std::vector<std::thread> workers;
  for (std::int64_t t = 1; t < threads; ++t) {
    workers.emplace_back(run, count * t / threads, count * (t + 1) / threads, context);
  }
  run(0, count / threads, context);
  for (std::thread& worker : workers) worker.join();
}

}  // namespace fxsim
