#include "kernels/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <thread>
#include <vector>

namespace fxsim {
namespace {

std::atomic<TorchParallelFor> torch_pool{nullptr};
std::atomic<int> own_threads{1};
thread_local bool inside = false;

// What runs on a thread already shares its work with others: it does not share it again.
struct Inside {
  Inside() { inside = true; }
  ~Inside() { inside = false; }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;
};

struct Work {
  RangeFn run;
  void* context;
};

void run_inside(std::int64_t begin, std::int64_t end, void* given) {
  const Inside guard;
  const Work& work = *static_cast<const Work*>(given);
  work.run(begin, end, work.context);
}

}  // namespace

void use_torch_pool(TorchParallelFor function) { torch_pool.store(function); }

void set_num_threads(int count) { own_threads.store(std::max(1, count)); }

void parallel_ranges(std::int64_t count, RangeFn run, void* context) {
  if (count <= 0) return;
  if (count == 1 || inside) return run(0, count, context);
  Work work{run, context};
  if (const TorchParallelFor pool = torch_pool.load()) {
    pool(0, count, 1, &run_inside, &work);
    return;
  }
  const auto threads = std::min<std::int64_t>(own_threads.load(), count);
  std::vector<std::thread> workers;
  for (std::int64_t t = 1; t < threads; ++t) {
    workers.emplace_back(&run_inside, count * t / threads, count * (t + 1) / threads, &work);
  }
  run_inside(0, count / threads, &work);
  for (std::thread& worker : workers) worker.join();
}

}  // namespace fxsim
