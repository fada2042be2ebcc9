// The explicit two-step midpoint rule: y_next = r^2 y_previous + (1 - r^2) y + dt (1 + r) f(y), r = dt / dt_previous.
// Without a previous state the first step is one of the explicit midpoint method.
#pragma once

#include <vector>

#include "stepper.h"

namespace odernn {

template <class T>
class TwoStep final : public Stepper<T> {
 public:
  TwoStep(Block<T>& block, Pullback<T>* pullback, const Gradients<T>* gradients)
      : block_(block), p_(block.problem), pullback_(pullback), gradients_(gradients) {
    const int64_t rows = taped() ? block.most * block.rows : block.rows, size = rows * columns();
    const int64_t small = block.rows * columns(), width = block.preactivation_columns();
    Arena& s = block.arena;
    for (int64_t e = 0; e < (taped() ? p_.substeps : 1); ++e) {
      Record<T> record;
      record.by_preactivation = s.take<T>(rows * width);
      record.by_gate = block.gated() ? s.take<T>(size) : nullptr;
      record.source = s.take<const T*>(rows);
      if (gradients != nullptr && gradients->dt != nullptr) record.rate = s.take<T>(size);
      records_.push_back(record);
    }
    rates_ = s.take<T>(small);
    half_.by_preactivation = s.take<T>(block.rows * width);
    half_.by_gate = block.gated() ? s.take<T>(small) : nullptr;
    half_.buffer = s.take<T>(small);
    half_.rate = s.take<T>(small);
    half_.source = s.take<const T*>(block.rows);
    point_at(half_.buffer, columns(), block.rows, half_.source);
    carried_ = s.take_zeros<T>(small);
    middle_cotangent_ = s.take<T>(small);
    scaled_ = s.take<T>(block.rows);
    inner_ = s.take<T>(block.rows);
    buffers_ = s.take<T*>(block.rows);
  }

  // The cotangent of the last state but one.
  T* carried() { return carried_; }

  void step(int64_t n, int64_t c, int64_t substep, const T* const* y, const T* const* previous,
            T* const* next) override {
    const int64_t from = c * block_.rows;
    const T* step = block_.step + from;
    if (cold(n, substep)) {
      start(c, y, records_[0], false);
      Combination<T> sum;
      sum.add(T(1), half_.rate, columns());
      return advance(y, step, sum, block_.rows, columns(), next);
    }
    Record<T>& record = records_[0];
    block_.evaluate(p_.couplings[0], y, theta(substep), from, block_.rows, record.by_preactivation, record.by_gate,
                    false, rates_);
    for (int64_t r = 0; r < block_.rows; ++r) {
      const T ratio = this->ratio(n, substep, r);
      const Vector<T> old = splat<T>(ratio * ratio), same = splat<T>(1 - ratio * ratio),
                      factor = splat<T>(step[r] * (1 + ratio));
      for (int64_t i = 0; i < columns(); i += kLanes<T>)
        store(next[r] + i,
              old * load(previous[r] + i) + same * load(y[r] + i) + factor * load(rates_ + r * columns() + i));
    }
  }

  void record(int64_t first, int64_t count, const States<T>& states) override {
    const int64_t rows = block_.rows;
    for (int64_t q = 0; q < p_.substeps; ++q) {
      Record<T>& record = records_[q];
      for (int64_t c = 0; c < count; ++c) {
        const T* const* y = states.at((first + c) * p_.substeps + q - 1);
        std::copy(y, y + rows, record.source + c * rows);
      }
      block_.evaluate(p_.couplings[0], record.source, theta(q), 0, count * rows, record.by_preactivation,
                      record.by_gate, true, record.rate);
    }
  }

  void reverse(int64_t n, int64_t c, int64_t substep, const States<T>& states, T* lambda) override {
    if (cold(n, substep)) {
      reverse_start(c, states.at(-1), lambda);
    } else {
      reverse_substep(n, c, substep, states, lambda);
    }
  }

  void add_weights(int64_t count, Pullback<T>& pullback) override {
    for (const Record<T>& record : records_)
      pullback.add_weights(0, record.by_preactivation, record.source, count * block_.rows);
    if (started_) pullback.add_weights(0, half_.by_preactivation, half_.source, block_.rows);
  }

 private:
  bool taped() const { return pullback_ != nullptr; }
  int64_t columns() const { return block_.columns(); }
  bool cold(int64_t n, int64_t substep) const { return n == 0 && substep == 0 && p_.y_previous == nullptr; }
  T theta(int64_t substep) const { return T(substep) / T(p_.substeps); }

  T step_before(int64_t n, int64_t r) const {
    return n > 0 ? p_.step(n - 1, block_.begin + r) : p_.dt_previous[block_.begin + r];
  }
  T ratio(int64_t n, int64_t substep, int64_t r) const {
    return substep > 0 ? T(1) : p_.step(n, block_.begin + r) / step_before(n, r);
  }

  // The explicit midpoint method's two rates, the first into `rates_`, the second into `half_`.
  void start(int64_t c, const T* const* y, Record<T>& record, bool derivative) {
    const int64_t from = c * block_.rows;
    const int64_t at = taped() ? from * columns() : 0,
                  preactivation_at = taped() ? from * block_.preactivation_columns() : 0;
    T* by_gate = record.by_gate == nullptr ? nullptr : record.by_gate + at;
    block_.evaluate(p_.couplings[0], y, T(0), from, block_.rows, record.by_preactivation + preactivation_at, by_gate,
                    derivative, rates_);
    Combination<T> sum;
    sum.add(T(0.5), rates_, columns());
    point_at(half_.buffer, columns(), block_.rows, buffers_);
    advance(y, block_.step + from, sum, block_.rows, columns(), buffers_);
    block_.evaluate(p_.couplings[0], half_.source, middle(), from, block_.rows, half_.by_preactivation, half_.by_gate,
                    derivative, half_.rate);
  }
  T middle() const { return T(0.5) / T(p_.substeps); }

  void reverse_substep(int64_t n, int64_t c, int64_t q, const States<T>& states, T* lambda) {
    const int64_t rows = block_.rows, at = c * rows * columns(),
                  preactivation_at = c * rows * block_.preactivation_columns();
    Record<T>& record = records_[q];
    Combination<T> sum;
    sum.add(T(1), lambda, columns());
    if (gradients_->dt != nullptr) add_step_gradient(n, q, states, sum, record.rate + at);
    for (int64_t r = 0; r < rows; ++r) scaled_[r] = block_.step[c * rows + r] * (1 + ratio(n, q, r));
    T* by_gate = record.by_gate == nullptr ? nullptr : record.by_gate + at;
    pullback_->cotangent(p_.couplings[0], theta(q), c, record.by_preactivation + preactivation_at, by_gate, scaled_,
                         sum);
    for (int64_t r = 0; r < rows; ++r) {
      const T x = ratio(n, q, r);
      const Vector<T> old = splat<T>(x * x), same = splat<T>(1 - x * x);
      for (int64_t i = r * columns(); i < (r + 1) * columns(); i += kLanes<T>) {
        const Vector<T> l = load(lambda + i);
        store(lambda + i, load(carried_ + i) + same * l);
        store(carried_ + i, old * l);
      }
    }
    pullback_->transpose(p_.couplings[0], record.by_preactivation + preactivation_at, lambda, columns(), lambda,
                         columns());
  }

  // y_next depends on dt through (1 + r) dt f and through r = dt / dt_previous.
  void add_step_gradient(int64_t n, int64_t q, const States<T>& states, const Combination<T>& lambda, const T* rate) {
    const int64_t rows = block_.rows;
    std::fill(inner_, inner_ + rows, T(0));
    add_inner(lambda, rate, columns(), rows, columns(), T(1), inner_);
    const T* const* y = states.at(n * p_.substeps + q - 1);
    const T* const* previous = states.at(n * p_.substeps + q - 2);
    for (int64_t r = 0; r < rows; ++r) {
      T* out = gradients_->dt + n * p_.batch + block_.begin + r;
      const T x = ratio(n, q, r);
      *out += (1 + x) * inner_[r];
      if (q > 0) continue;  // r is 1 whatever dt is
      Vector<T> v{};
      for (int64_t i = 0; i < columns(); i += kLanes<T>)
        v += combined(lambda, r, i) * (load(previous[r] + i) - load(y[r] + i));
      const T slope = (2 * x * sum_of_lanes<T>(v) + p_.step(n, block_.begin + r) * inner_[r]) / step_before(n, r);
      *out += slope;
      if (n > 0) {
        out[-p_.batch] -= slope * x;
      } else if (gradients_->dt_previous != nullptr) {
        gradients_->dt_previous[block_.begin + r] -= slope * x;
      }
    }
  }

  void reverse_start(int64_t c, const T* const* y, T* lambda) {
    started_ = true;
    const int64_t rows = block_.rows, at = c * rows * columns(),
                  preactivation_at = c * rows * block_.preactivation_columns();
    const T* step = block_.step + c * rows;
    Record<T>& record = records_[0];
    start(c, y, record, true);
    Combination<T> whole, half;
    whole.add(T(1), lambda, columns());
    if (gradients_->dt != nullptr)
      add_inner(whole, half_.rate, columns(), rows, columns(), T(1), gradients_->dt + block_.begin);
    T* mu = middle_cotangent_;
    pullback_->apply(p_.couplings[0], middle(), c, half_.by_preactivation, half_.by_gate, step, whole, block_.zeros, 0,
                     mu, columns());
    half.add(T(0.5), mu, columns());
    if (gradients_->dt != nullptr)
      add_inner(half, rates_, columns(), rows, columns(), T(1), gradients_->dt + block_.begin);
    T* by_gate = record.by_gate == nullptr ? nullptr : record.by_gate + at;
    pullback_->cotangent(p_.couplings[0], T(0), c, record.by_preactivation + preactivation_at, by_gate, step, half);
    Combination<T> sum;  // what the second step left for the initial state, and the middle's
    sum.add(T(1), mu, columns());
    sum.add(T(1), carried_, columns());
    accumulate(sum, rows, columns(), lambda, columns());
    pullback_->transpose(p_.couplings[0], record.by_preactivation + preactivation_at, lambda, columns(), lambda,
                         columns());
  }

  Block<T>& block_;
  const Problem<T>& p_;
  Pullback<T>* pullback_;
  const Gradients<T>* gradients_;
  std::vector<Record<T>> records_;
  Record<T> half_;
  T *rates_, *carried_, *middle_cotangent_, *scaled_, *inner_;
  T** buffers_;
  bool started_ = false;
};

}  // namespace odernn
