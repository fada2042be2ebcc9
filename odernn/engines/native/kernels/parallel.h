// The rows of a batch, shared out among as many threads as torch has: each shard runs through all of time by itself.
#pragma once

#include <ATen/Parallel.h>

#include <algorithm>
#include <vector>

#ifndef _OPENMP
#include <exception>
#include <system_error>
#include <thread>
#endif

namespace odernn {

inline int64_t count_shards(int64_t batch) {
  return std::min<int64_t>(at::get_num_threads(), batch);
}

#ifdef _OPENMP

// work(i) for every i below `count`, at the same time. The first exception is thrown again here.
template <class Work>
void in_parallel(int64_t count, const Work& work) {
  at::parallel_for(0, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) work(i);
  });
}

#else

// The same, with threads of our own that last for the call: without OpenMP in the compiler torch's parallel_for runs on
// one thread.
template <class Work>
void in_parallel(int64_t count, const Work& work) {
  std::vector<std::exception_ptr> errors(static_cast<size_t>(count));
  const auto run = [&](int64_t i) noexcept {
    const c10::ParallelGuard guard(true);
    try {
      work(i);
    } catch (...) {
      errors[static_cast<size_t>(i)] = std::current_exception();
    }
  };
  std::vector<std::thread> threads;
  threads.reserve(static_cast<size_t>(count));
  int64_t started = 1;
  try {
    for (; started < count && !at::in_parallel_region(); ++started) threads.emplace_back(run, started);
  } catch (const std::system_error&) {  // the system has no thread left: this one does what remains
  }
  run(0);
  for (int64_t i = started; i < count; ++i) run(i);
  for (std::thread& thread : threads) thread.join();
  for (const std::exception_ptr& error : errors)
    if (error != nullptr) std::rethrow_exception(error);
}

#endif

// work(i, begin, end): shard i of count_shards(batch) of the rows [0, batch), of which there is one at least.
template <class Work>
void for_shards(int64_t batch, const Work& work) {
  const int64_t shards = count_shards(batch);
  in_parallel(shards, [&](int64_t i) { work(i, batch * i / shards, batch * (i + 1) / shards); });
}

// The same where a row costs as much as is said here: each shard costs about as much, and has one row at least.
template <class Work>
void for_shards(const std::vector<int64_t>& costs, const Work& work) {
  const int64_t batch = static_cast<int64_t>(costs.size()), shards = count_shards(batch);
  int64_t total = 0, before = 0, row = 0;
  for (const int64_t cost : costs) total += cost;
  std::vector<int64_t> bounds(static_cast<size_t>(shards) + 1, 0);
  for (int64_t i = 1; i <= shards; ++i) {
    for (; row < batch - (shards - i); ++row) {
      const int64_t after = before + costs[static_cast<size_t>(row)];
      if (after * shards > total * i && row > bounds[static_cast<size_t>(i) - 1]) break;
      before = after;
    }
    bounds[static_cast<size_t>(i)] = row;
  }
  in_parallel(shards, [&](int64_t i) { work(i, bounds[static_cast<size_t>(i)], bounds[static_cast<size_t>(i) + 1]); });
}

}  // namespace odernn
