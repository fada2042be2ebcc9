// The linear backward recursion of a method for any affine-pointwise field, its derivatives being given: what cannot be
// done for all times at once. kernels.py has the shapes and the formulas.
#pragma once

#include <vector>

#include "problem.h"

namespace odernn {

// A number for each step and row.
template <class T>
struct Schedule {
  const T* values = nullptr;
  int64_t time = 0, row = 0;  // strides
  T at(int64_t n, int64_t r) const { return values[n * time + r * row]; }
};

// Rows of K that take a part of a preactivation's cotangent back to a part of the state.
template <class T>
struct Piece {
  int64_t source = 0, target = 0;  // its first column in the state, and in the preactivation
  Packed<T> pullback;
  const T* diagonal = nullptr;  // or a square with these numbers on its diagonal and zeros elsewhere
  int64_t size = 0;             // of that square
};

template <class T>
struct Recursion {
  Family family = Family::kRungeKutta;
  int64_t steps = 0, stages = 0, batch = 0;
  int64_t halves = 1, width = 0;  // of the state: partitioned methods move one of two halves at a time
  int64_t groups = 1;             // a preactivation is groups * width wide
  int64_t every = 1;              // steps from one gradient in `trajectory` to the next; the last step has one

  std::vector<T> a, b;
  std::vector<int64_t> moved;
  std::vector<Schedule<T>> schedules;  // dt, or a general linear method's weights e, w, s
  // The preactivation that drives the half with this number -> the state that it is made of. Where stages of a
  // Runge-Kutta method move halves there are two too, and else one.
  std::vector<std::vector<Piece<T>>> pullbacks;

  const T* preactivation_derivative = nullptr;  // (steps, stages, batch, groups * width)
  const T* state_derivative = nullptr;          // (steps, stages, batch, width) or null
  const T* trajectory = nullptr;                // (steps / every, rounded up, batch, state) or null
  const T* lambda = nullptr;                    // (batch, state)
  const T* carried = nullptr;                   // general linear: (batch, state) or null

  T* preactivation_cotangent = nullptr;  // as preactivation_derivative
  T* kappa = nullptr;                    // (steps, stages, batch, width)
  T* out = nullptr;                      // (batch, state)
  T* out_carried = nullptr;              // general linear: (batch, state)
};

// Rows [begin, end) of the batch through all steps.
template <class T>
void recur_rows(const Recursion<T>& recursion, int64_t begin, int64_t end);

}  // namespace odernn
