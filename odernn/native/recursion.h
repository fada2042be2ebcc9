// The linear backward recursion of an explicit Runge-Kutta method for any affine-pointwise field, its derivatives being given.
#pragma once

#include <vector>

#include "matmul.h"

namespace odernn {

template <class T>
struct Recursion {
  int64_t steps = 0, stages = 0, batch = 0, width = 0, groups = 1;  // the image is groups * width wide
  std::vector<T> a, b;
  const T* dt = nullptr;
  int64_t dt_time = 0, dt_row = 0;
  Packed<T> pullback;
  const T* image_derivative = nullptr;  // (steps, stages, batch, groups * width)
  const T* state_derivative = nullptr;  // (steps, stages, batch, width) or null
  const T* trajectory = nullptr;        // gradients of the states after the steps (steps, batch, width) or null
  const T* lambda = nullptr;            // (batch, width)

  T* image_cotangent = nullptr;  // (steps, stages, batch, groups * width)
  T* kappa = nullptr;            // (steps, stages, batch, width)
  T* out = nullptr;              // (batch, width)
};

template <class T>
void recur_rows(const Recursion<T>& recursion, int64_t begin, int64_t end);

}  // namespace odernn
