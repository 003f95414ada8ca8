// Tasks on all threads that tell what happened in them.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "kernels/api.hpp"
#include "kernels/parallel.hpp"
#include "numbers/integers.hpp"

namespace fxsim {

// Calls run(task, events) for every task of 0 .. count - 1, in any order and on any thread; the events of all.
template <class F>
Events over_tasks(std::int64_t count, const F& run) {
  std::vector<Events> events(static_cast<std::size_t>(count));
  parallel_for(count, [&](std::int64_t task) { run(task, events[static_cast<std::size_t>(task)]); });
  Events total;
  for (const Events& own : events) total.merge(own);
  return total;
}

// Calls run(first_row, rows, events) for blocks of at most block_rows rows.
template <class F>
Events over_row_blocks(std::int64_t rows, std::int64_t block_rows, const F& run) {
  return over_tasks(ceil_div(rows, block_rows), [&](std::int64_t block, Events& events) {
    const std::int64_t first = block * block_rows;
    run(first, std::min(block_rows, rows - first), events);
  });
}

}  // namespace fxsim
