// What the forward sweep and its adjoint share: the choice of method and of the sizes of blocks.
#pragma once

#include <memory>

#include "exponential.h"
#include "general_linear.h"
#include "runge_kutta.h"
#include "shears.h"

namespace odernn {

constexpr int64_t kSolveRows = 32;  // virtual rows whose control is made at once, forward
constexpr int64_t kTapeBytes =
    int64_t(256) << 10;  // of a block of time, backward: with the weights it stays in the second-level cache
constexpr int64_t kStateNumbers = 2048;  // of a block of rows: it stays in the first-level cache

template <class T>
std::unique_ptr<Stepper<T>> make_stepper(Block<T>& block, Pullback<T>* pullback, const Gradients<T>* gradients,
                                         T* block_sums, T* kept) {
  const Family family = block.problem.family;
  if (family == Family::kGeneralLinear) return std::make_unique<GeneralLinear<T>>(block, pullback, gradients, kept);
  if constexpr (kIsTraced) {
    return std::make_unique<RungeKutta<T>>(block, pullback, gradients, kept);
  } else {
    switch (family) {
      case Family::kExponential:
        return std::make_unique<ExponentialRungeKutta<T>>(block, pullback, gradients, block_sums, kept);
      case Family::kShears:
        return std::make_unique<Shears<T>>(block, pullback, gradients);
      default:
        return std::make_unique<RungeKutta<T>>(block, pullback, gradients, kept);
    }
  }
}

// Call `work(first, rows)` on blocks of rows as equal as can be.
template <class T, class Work>
void for_row_blocks(const Problem<T>& problem, int64_t begin, int64_t end, Work work) {
  const int64_t target = std::max<int64_t>(2 * kTileRows, kStateNumbers / problem.state.stride());
  const int64_t n = end - begin, blocks = (n + target - 1) / target;
  for (int64_t i = 0; i < blocks; ++i) {
    const int64_t first = n * i / blocks;
    work(begin + first, n * (i + 1) / blocks - first);
  }
}

}  // namespace odernn
