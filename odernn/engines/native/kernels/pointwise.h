// The elementwise parts of a step, over rows of padded columns.
#pragma once

#include "elementary.h"
#include "problem.h"
#include "traced.h"

namespace odernn {

// Rates and derivatives of one evaluation of the field for `rows` rows. On entry `by_preactivation` holds the
// preactivation (of kTanh and kLinear with the control added).
template <class T>
struct Rates {
  int64_t rows, columns;
  T* by_preactivation;  // in: the preactivation. out, if asked: d rate / d preactivation (gated: through the
                        // candidate), but what is constantly one
  T* by_gate;           // gated: d rate / d preactivation through the gate
  int64_t stride;       // of by_preactivation and by_gate
  const T* control;     // gated: (candidate, gate), each `columns` wide
  int64_t control_stride;
  T* rate;  // or null
  int64_t rate_stride;
  const T* const* state = nullptr;  // traced: rows of the state
  Window window{};                  // traced: the columns that have a rate
};

template <class T, bool kWantRate, bool kWantDerivative>
void tanh_rates(const Rates<T>& f) {
  for (int64_t r = 0; r < f.rows; ++r) {
    T* by_preactivation = f.by_preactivation + r * f.stride;
    T* rate = kWantRate ? f.rate + r * f.rate_stride : nullptr;
    for (int64_t i = 0; i < f.columns; i += kLanes<T>) {
      const Vector<T> k = tanh_of<T>(load(by_preactivation + i));
      if (kWantRate) store(rate + i, k);
      if (kWantDerivative) store(by_preactivation + i, splat<T>(1) - k * k);
    }
  }
}

template <class T, bool kWantRate, bool kWantDerivative>
void gated_rates(const Rates<T>& f) {
  for (int64_t r = 0; r < f.rows; ++r) {
    T* by_preactivation = f.by_preactivation + r * f.stride;
    const T* candidate = f.control + r * f.control_stride;
    const T* gate = candidate + f.columns;
    for (int64_t i = 0; i < f.columns; i += kLanes<T>) {
      const Vector<T> p = load(by_preactivation + i);
      const Fraction<T> c = tanh_fraction<T>(p + load(candidate + i));
      const Fraction<T> g = logistic_fraction<T>(p + load(gate + i));
      const Vector<T> inverse = splat<T>(1) / (c.under * g.under);  // one division for both
      if (kWantRate) store(f.rate + r * f.rate_stride + i, (c.over * g.over) * inverse);
      if (kWantDerivative) {
        const Vector<T> t = c.over * g.under * inverse, s = g.over * c.under * inverse;
        store(by_preactivation + i, s * (splat<T>(1) - t * t));
        store(f.by_gate + r * f.stride + i, s * (splat<T>(1) - s) * t);
      }
    }
  }
}

template <class T, bool kWantRate, bool>
void linear_rates(const Rates<T>& f) {
  if (!kWantRate) return;
  for (int64_t r = 0; r < f.rows; ++r)
    for (int64_t i = 0; i < f.columns; i += kLanes<T>)
      store(f.rate + r * f.rate_stride + i, load(f.by_preactivation + r * f.stride + i));
}

// The preactivation is (p_1, p_2), each `columns` wide; the derivative by p_2 takes the place of p_2.
template <class T, bool kWantRate, bool kWantDerivative>
void linear_plus_tanh_rates(const Rates<T>& f) {
  for (int64_t r = 0; r < f.rows; ++r) {
    const T* linear = f.by_preactivation + r * f.stride;
    T* preactivation = f.by_preactivation + r * f.stride + f.columns;
    const T* control = f.control + r * f.control_stride;
    for (int64_t i = 0; i < f.columns; i += kLanes<T>) {
      const Vector<T> k = tanh_of<T>(load(preactivation + i) + load(control + i));
      if (kWantRate) store(f.rate + r * f.rate_stride + i, load(linear + i) + k);
      if (kWantDerivative) store(preactivation + i, splat<T>(1) - k * k);
    }
  }
}

// Of a traced field: the preactivation stays what it is, as its derivatives are made where they are needed.
template <class T>
void traced_rates(const Rates<T>& f) {
  const Window window = f.window;
  for (int64_t r = 0; r < f.rows; ++r) {
    const T *state = f.state[r], *preactivation = f.by_preactivation + r * f.stride,
            *control = f.control + r * f.control_stride;
    T* const rate = f.rate + r * f.rate_stride;
    const int64_t columns = f.columns;
    window.each_vector<T>(
        columns,
        [=](int64_t i, auto cut) {
          const TracedOperands<T> x(state, preactivation, control, columns, i);
          store(rate + i, cut(Traced::rate<T>(x.y, x.p, x.u)));
        },
        [=](int64_t i) { store(rate + i, Vector<T>{}); });
  }
}

template <class T, bool kWantRate, bool kWantDerivative>
void compute_rates(Kind kind, const Rates<T>& f) {
  switch (kind) {
    case Kind::kTanh:
      return tanh_rates<T, kWantRate, kWantDerivative>(f);
    case Kind::kGatedTanh:
      return gated_rates<T, kWantRate, kWantDerivative>(f);
    case Kind::kLinear:
      return linear_rates<T, kWantRate, kWantDerivative>(f);
    case Kind::kLinearPlusTanh:
      return linear_plus_tanh_rates<T, kWantRate, kWantDerivative>(f);
    case Kind::kTraced:
      return;
  }
}

template <class T>
void compute_rates(Kind kind, const Rates<T>& f, bool derivative) {
  if constexpr (kIsTraced) {
    if (f.rate != nullptr) traced_rates(f);
    return;
  }
  if (derivative && f.rate != nullptr) return compute_rates<T, true, true>(kind, f);
  if (derivative) return compute_rates<T, false, true>(kind, f);
  return compute_rates<T, true, false>(kind, f);
}

// What comes back through one evaluation. On entry `by_preactivation` (and `by_gate`) hold the derivatives;
// `by_preactivation` becomes the cotangent of the preactivation, and `through` is called with those of the control:
// (row, column of the control, cotangent).
template <Kind kKind, class T, class Through>
inline void pull_back_rate(int64_t r, int64_t i, int64_t columns, Vector<T> kappa, T* by_preactivation,
                           const T* by_gate, const Through& through) {
  if constexpr (kKind == Kind::kLinear) {
    store(by_preactivation + i, kappa);
    through(r, i, kappa);
  } else if constexpr (kKind == Kind::kLinearPlusTanh) {
    const Vector<T> v = load(by_preactivation + columns + i) * kappa;
    store(by_preactivation + i, kappa);
    store(by_preactivation + columns + i, v);
    through(r, i, v);
  } else {
    const Vector<T> candidate = load(by_preactivation + i) * kappa;
    through(r, i, candidate);
    if constexpr (kKind == Kind::kGatedTanh) {
      const Vector<T> gate = load(by_gate + i) * kappa;
      through(r, columns + i, gate);
      store(by_preactivation + i, candidate + gate);
    } else {
      store(by_preactivation + i, candidate);
    }
  }
}

template <class T>
void tanh_in_place(T* x, int64_t n) {
  for (int64_t i = 0; i < n; i += kLanes<T>) store(x + i, tanh_of<T>(load(x + i)));
}

// out *= 1 - y^2: back through y = tanh(x).
template <class T>
void pull_back_tanh(const T* y, int64_t n, T* out) {
  for (int64_t i = 0; i < n; i += kLanes<T>) store(out + i, load(out + i) * (splat<T>(1) - load(y + i) * load(y + i)));
}

// A sum of rows with one coefficient each: how stages, states and their cotangents are put together.
template <class T>
struct Combination {
  int terms = 0;
  const T* row[kMostTerms];
  int64_t stride[kMostTerms];
  T coefficient[kMostTerms];

  void add(T c, const T* rows, int64_t row_stride) {
    if (c == T(0)) return;
    row[terms] = rows;
    stride[terms] = row_stride;
    coefficient[terms++] = c;
  }
};

// The combination at row r, columns [i, i + lanes).
template <class T>
inline Vector<T> combined(const Combination<T>& sum, int64_t r, int64_t i) {
  Vector<T> v{};
  for (int j = 0; j < sum.terms; ++j) v += sum.coefficient[j] * load(sum.row[j] + r * sum.stride[j] + i);
  return v;
}

// out[r] = y[r] + step[r] * sum[r] in the columns of the window, whole vectors.
template <class T>
void advance(const T* const* y, const T* step, const Combination<T>& sum, int64_t rows, Window columns, T* const* out) {
  for (int64_t r = 0; r < rows; ++r) {
    const T* from = y[r];
    T* to = out[r];
    if (sum.terms == 0) {
      std::copy(from + columns.from, from + columns.to, to + columns.from);
    } else if (sum.terms == 1) {
      const T* k = sum.row[0] + r * sum.stride[0];
      const Vector<T> factor = splat<T>(step[r] * sum.coefficient[0]);
      for (int64_t i = columns.from; i < columns.to; i += kLanes<T>)
        store(to + i, load(from + i) + factor * load(k + i));
    } else {
      const Vector<T> factor = splat<T>(step[r]);
      for (int64_t i = columns.from; i < columns.to; i += kLanes<T>)
        store(to + i, load(from + i) + factor * combined(sum, r, i));
    }
  }
}

// out[r] += sum[r].
template <class T>
void accumulate(const Combination<T>& sum, int64_t rows, int64_t columns, T* out, int64_t stride) {
  for (int64_t r = 0; r < rows; ++r)
    for (int64_t i = 0; i < columns; i += kLanes<T>)
      store(out + r * stride + i, load(out + r * stride + i) + combined(sum, r, i));
}

// The sum over columns of sum[r] * k[r], times factor, added to out[r].
template <class T>
void add_inner(const Combination<T>& sum, const T* k, int64_t stride, int64_t rows, int64_t columns, T factor, T* out) {
  for (int64_t r = 0; r < rows; ++r) {
    Vector<T> v{};
    for (int64_t i = 0; i < columns; i += kLanes<T>) v += combined(sum, r, i) * load(k + r * stride + i);
    out[r] += factor * sum_of_lanes<T>(v);
  }
}

}  // namespace odernn
