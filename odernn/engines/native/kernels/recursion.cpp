#include "recursion.h"

#include <algorithm>

namespace odernn {
namespace {

// ---- rows: distinct memory, so that the compiler makes vectors of the loops
// ------------------------------------------------------

template <class T>
void scale(int64_t n, T factor, const T* __restrict x, T* __restrict out) {
  for (int64_t i = 0; i < n; ++i) out[i] = factor * x[i];
}

template <class T>
void add_scaled(int64_t n, T factor, const T* __restrict x, T* __restrict out) {
  for (int64_t i = 0; i < n; ++i) out[i] += factor * x[i];
}

template <class T>
void product(int64_t n, const T* __restrict x, const T* __restrict y, T* __restrict out) {
  for (int64_t i = 0; i < n; ++i) out[i] = x[i] * y[i];
}

template <class T>
void add_product(int64_t n, const T* __restrict x, const T* __restrict y, T* __restrict out) {
  for (int64_t i = 0; i < n; ++i) out[i] += x[i] * y[i];
}

// lambda = carried + w lambda, carried = e lambda: cotangents one step earlier, but for what the
// rate gives.
template <class T>
void shift(int64_t n, T e, T w, T* __restrict lambda, T* __restrict carried) {
  for (int64_t i = 0; i < n; ++i) {
    const T l = lambda[i];
    lambda[i] = carried[i] + w * l;
    carried[i] = e * l;
  }
}

// ---- a block of rows through all steps
// ---------------------------------------------------------------------------------------------

template <class T>
class Rows {
 public:
  Rows(const Recursion<T>& recursion, int64_t begin, int64_t rows, Arena& arena)
      : p_(recursion), begin_(begin), rows_(rows), padded_(whole_vectors<T>(recursion.width)) {
    for (int64_t s = 0; s < p_.halves; ++s) lambda_.push_back(arena.take_zeros<T>(rows * padded_));
    if (p_.family == Family::kGeneralLinear) carried_ = arena.take_zeros<T>(rows * padded_);
    if (p_.family == Family::kRungeKutta)
      for (int64_t i = 0; i < p_.stages; ++i) mu_.push_back(arena.take<T>(rows * padded_));
    zeros_ = arena.take_zeros<T>(padded_);
    cotangents_ = arena.take<const T*>(rows);
  }

  void run() {
    for (int64_t s = 0; s < p_.halves; ++s) add(p_.lambda, s, lambda_[s]);
    if (p_.carried != nullptr) add(p_.carried, 0, carried_);
    for (int64_t n = p_.steps - 1; n >= 0; --n) {
      add_trajectory(n);
      switch (p_.family) {
        case Family::kRungeKutta:
          runge_kutta(n);
          break;
        case Family::kShears:
          shears(n);
          break;
        case Family::kGeneralLinear:
          two_states(n);
          break;
      }
    }
    for (int64_t s = 0; s < p_.halves; ++s) copy(lambda_[s], s, p_.out);
    if (carried_ != nullptr) copy(carried_, 0, p_.out_carried);
  }

 private:
  int64_t columns() const { return p_.halves * p_.width; }

  void add(const T* from, int64_t half, T* to) {
    for (int64_t r = 0; r < rows_; ++r)
      add_scaled(p_.width, T(1), from + (begin_ + r) * columns() + half * p_.width, to + r * padded_);
  }

  void copy(const T* from, int64_t half, T* to) {
    for (int64_t r = 0; r < rows_; ++r)
      std::copy(from + r * padded_, from + r * padded_ + p_.width, to + (begin_ + r) * columns() + half * p_.width);
  }

  // The gradient of the state after step n itself. The last step has the last one.
  void add_trajectory(int64_t n) {
    const int64_t after = p_.steps - 1 - n, count = (p_.steps + p_.every - 1) / p_.every;
    if (p_.trajectory == nullptr || after % p_.every != 0) return;
    const T* rows = p_.trajectory + (count - 1 - after / p_.every) * p_.batch * columns();
    for (int64_t s = 0; s < p_.halves; ++s) add(rows, s, lambda_[s]);
  }

  void copy_rows(const T* from, int64_t stride, T* to) {
    for (int64_t r = 0; from != to && r < rows_; ++r) std::copy_n(from + r * stride, padded_, to + r * padded_);
  }

  T* kappa(int64_t n, int64_t i, int64_t r) const {
    return p_.kappa + ((n * p_.stages + i) * p_.batch + begin_ + r) * p_.width;
  }

  // out = initial + (D_p kappa) K + D_y kappa for stage i of step n, whose kappa is known.
  void pull_back(int64_t n, int64_t i, const std::vector<Piece<T>>& pieces, const T* initial, int64_t initial_stride,
                 T* out) {
    const int64_t first = (n * p_.stages + i) * p_.batch + begin_, preactivation = p_.groups * p_.width;
    for (int64_t r = 0; r < rows_; ++r) {
      const T* derivative = p_.preactivation_derivative + (first + r) * preactivation;
      T* cotangent = p_.preactivation_cotangent + (first + r) * preactivation;
      for (int64_t g = 0; g < preactivation; g += p_.width)
        product(p_.width, derivative + g, kappa(n, i, r), cotangent + g);
      cotangents_[r] = cotangent;
    }
    if (pieces.empty()) copy_rows(initial, initial_stride, out);
    for (const Piece<T>& piece : pieces) {
      T* to = out + piece.source;
      const bool whole = pieces.size() == 1 && piece.diagonal == nullptr && piece.size == 0;
      if (whole) {
        multiply(cotangents_, rows_, piece.pullback, initial, initial_stride, out, padded_);
        continue;
      }
      if (&piece == pieces.data()) copy_rows(initial, initial_stride, out);
      if (piece.diagonal == nullptr) {
        multiply(cotangents_, rows_, piece.pullback, to, padded_, to, padded_);
      } else {
        for (int64_t r = 0; r < rows_; ++r)
          add_product(piece.size, piece.diagonal, cotangents_[r] + piece.target, to + r * padded_);
      }
    }
    if (p_.state_derivative == nullptr) return;
    for (int64_t r = 0; r < rows_; ++r)
      add_product(p_.width, p_.state_derivative + (first + r) * p_.width, kappa(n, i, r), out + r * padded_);
  }

  // The half that stage i of a Runge-Kutta method moves, or 0 where it moves all units.
  int64_t half_of(int64_t i) const { return p_.moved.empty() ? 0 : p_.moved[i]; }

  void runge_kutta(int64_t n) {
    T* lambda = lambda_[0];
    for (int64_t i = p_.stages - 1; i >= 0; --i) {
      for (int64_t r = 0; r < rows_; ++r) {
        const T step = p_.schedules[0].at(n, begin_ + r);
        scale(p_.width, step * p_.b[i], lambda + r * padded_, kappa(n, i, r));
        for (int64_t j = i + 1; j < p_.stages; ++j) {
          const T a = p_.a[j * p_.stages + i];
          if (a != T(0)) add_scaled(p_.width, step * a, mu_[j] + r * padded_, kappa(n, i, r));
        }
      }
      if (i > 0) pull_back(n, i, p_.pullbacks[half_of(i)], zeros_, 0, mu_[i]);
    }
    for (int64_t j = 1; j < p_.stages; ++j) add_scaled(rows_ * padded_, T(1), mu_[j], lambda);
    pull_back(n, 0, p_.pullbacks[half_of(0)], lambda, padded_, lambda);  // adds the first stage's own
  }

  void shears(int64_t n) {
    for (int64_t e = p_.stages - 1; e >= 0; --e) {
      const int64_t moved = p_.moved[e];
      T *lambda = lambda_[moved], *other = lambda_[1 - moved];
      for (int64_t r = 0; r < rows_; ++r)
        scale(p_.width, p_.schedules[0].at(n, begin_ + r) * p_.b[e], lambda + r * padded_, kappa(n, e, r));
      pull_back(n, e, p_.pullbacks[moved], other, padded_, other);
    }
  }

  void two_states(int64_t n) {
    T* lambda = lambda_[0];
    for (int64_t r = 0; r < rows_; ++r) {
      const T e = p_.schedules[0].at(n, begin_ + r), w = p_.schedules[1].at(n, begin_ + r),
              s = p_.schedules[2].at(n, begin_ + r);
      scale(p_.width, s, lambda + r * padded_, kappa(n, 0, r));
      shift(p_.width, e, w, lambda + r * padded_, carried_ + r * padded_);
    }
    pull_back(n, 0, p_.pullbacks[0], lambda, padded_, lambda);
  }

  const Recursion<T>& p_;
  int64_t begin_, rows_, padded_;
  std::vector<T*> lambda_, mu_;
  T *carried_ = nullptr, *zeros_;
  const T** cotangents_;
};

}  // namespace

template <class T>
void recur_rows(const Recursion<T>& recursion, int64_t begin, int64_t end) {
  constexpr int64_t kMost = 2 * kTileRows;
  const int64_t n = end - begin, blocks = (n + kMost - 1) / kMost;
  for (int64_t i = 0; i < blocks; ++i) {
    Arena arena;
    const int64_t first = n * i / blocks;
    Rows<T>(recursion, begin + first, n * (i + 1) / blocks - first, arena).run();
  }
}

template void recur_rows<float>(const Recursion<float>&, int64_t, int64_t);
template void recur_rows<double>(const Recursion<double>&, int64_t, int64_t);

}  // namespace odernn
