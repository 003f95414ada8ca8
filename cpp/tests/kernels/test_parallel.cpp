#include "kernels/parallel.hpp"

#include <atomic>
#include <vector>

#include "tests/catch.hpp"

namespace fxsim {
namespace {

std::int64_t handed_to_pool = 0;

// Stands in for torch's pool: cuts the range in uneven pieces and runs them backwards.
std::int32_t fake_pool(std::int64_t begin, std::int64_t end, std::int64_t, RangeFn run, void* context) {
  handed_to_pool += end - begin;
  const std::int64_t middle = begin + (end - begin) / 3;
  run(middle, end, context);
  run(begin, middle, context);
  return 0;
}

void each_task_runs_once() {
  for (const std::int64_t count : {0, 1, 2, 3, 5, 64, 1001}) {
    std::vector<std::atomic<int>> runs(static_cast<std::size_t>(count));
    parallel_for(count, [&](std::int64_t task) { ++runs[static_cast<std::size_t>(task)]; });
    for (const std::atomic<int>& r : runs) REQUIRE(r.load() == 1);
  }
}

TEST_CASE("each task runs once, whatever the number of threads") {
  for (const int threads : {1, 2, 3, 4, 7, 0, -1}) {
    set_num_threads(threads);
    each_task_runs_once();
  }
  set_num_threads(1);
}

TEST_CASE("a pool that was handed over does the work") {
  use_torch_pool(&fake_pool);
  handed_to_pool = 0;
  each_task_runs_once();
  use_torch_pool(nullptr);
  REQUIRE(handed_to_pool >= 2 + 3 + 5 + 64 + 1001);
}

}  // namespace
}  // namespace fxsim
