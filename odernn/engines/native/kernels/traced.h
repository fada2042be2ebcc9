// The elementwise part of a field of the user's own, whose C++ is made from its `pointwise` and named by
// ODERNN_POINTWISE; without that name these are the kernels of the registered fields.
#pragma once

#include <cmath>

#include "elementary.h"
#include "problem.h"

namespace odernn {

// A function of numbers on every lane.
template <class T, class F>
inline Vector<T> lanewise(const F& f, Vector<T> x) {
  for (int i = 0; i < kLanes<T>; ++i) x[i] = f(x[i]);
  return x;
}

// The larger of two; a NaN stays a NaN.
template <class T>
inline Vector<T> larger(Vector<T> x, Vector<T> y) {
  return x > y ? x : (x == x ? y : x);
}

}  // namespace odernn

#ifdef ODERNN_POINTWISE
#include ODERNN_POINTWISE
namespace odernn {
constexpr bool kIsTraced = true;
}
#else
namespace odernn {
constexpr bool kIsTraced = false;
struct Traced {  // stands where nothing is traced, and is never called
  static constexpr int64_t kPreactivations = 1, kControls = 1;
  static constexpr bool kReads[] = {true}, kReturnsToState = true;
  template <class T>
  static Vector<T> rate(Vector<T> y, const Vector<T>*, const Vector<T>*) {
    return y;
  }
  template <class T>
  static Vector<T> pull_back(Vector<T> kappa, Vector<T>, const Vector<T>*, const Vector<T>*, Vector<T>*, Vector<T>*) {
    return kappa;
  }
};
}  // namespace odernn
#endif

namespace odernn {

// Columns [from, to) of the state: those that move. In the padding a field may be anything.
struct Window {
  int64_t from, to;

  // The halves of a state of `width` columns in it.
  template <class T, class F>
  void each_half(const Coupling<T>& coupling, int64_t width, F f) const {
    if (from == 0) f(coupling.halves[0]);
    if (to != width / 2) f(coupling.halves[1]);
  }

  // inside(i, cut) for all vectors of columns [i, i + lanes) with a column in it, and outside(i) for the others of
  // `columns`; cut(v) has zeros in the lanes that lie outside.
  template <class T, class Inside, class Outside>
  inline void each_vector(int64_t columns, const Inside& inside, const Outside& outside) const {
    constexpr int64_t lanes = kLanes<T>;
    const int64_t first = (from + lanes - 1) / lanes * lanes, last = to / lanes * lanes;
    for (int64_t i = first; i < last; i += lanes) inside(i, [](Vector<T> v) { return v; });
    for (int64_t i = 0; i < columns; i += lanes) {
      if (i >= first && i < last) continue;
      misses<T>(i) ? outside(i) : inside(i, [this, i](Vector<T> v) { return cut<T>(v, i); });
    }
  }

  // Whether all columns [i, i + lanes) lie outside.
  template <class T>
  bool misses(int64_t i) const {
    return i + kLanes<T> <= from || i >= to;
  }

  // Zeros in the lanes of columns [i, i + lanes) that lie outside.
  template <class T>
  inline Vector<T> cut(Vector<T> v, int64_t i) const {
    for (int64_t j = 0; j < kLanes<T>; ++j) v[j] = i + j >= from && i + j < to ? v[j] : T(0);
    return v;
  }
};

// What one unit's vector of columns is made of: y, its preactivations and its controls.
template <class T>
struct TracedOperands {
  Vector<T> y, p[Traced::kPreactivations], u[Traced::kControls];

  inline TracedOperands(const T* state, const T* preactivation, const T* control, int64_t padded, int64_t i)
      : y(load(state + i)) {
    for (int64_t g = 0; g < Traced::kPreactivations; ++g) p[g] = load(preactivation + g * padded + i);
    for (int64_t g = 0; g < Traced::kControls; ++g) u[g] = load(control + g * padded + i);
  }
};

}  // namespace odernn
