// Partitioned methods (symplectic Euler, Stoermer-Verlet, ...): each move adds to one half of the state a rate of the
// other.
//
// Where a sample's first move has the same rate as its last (Stoermer-Verlet), the last move of one sample and the
// first of the next read the same half: they differ only in the control and share one product, forward, back and in
// the weight gradient.
#pragma once

#include <vector>

#include "stepper.h"

namespace odernn {

template <class T>
class Shears final : public Stepper<T> {
 public:
  Shears(Block<T>& block, Pullback<T>* pullback, const Gradients<T>* gradients)
      : block_(block), p_(block.problem), pullback_(pullback), gradients_(gradients) {
    const int64_t rows = taped() ? block.most * block.rows : block.rows, size = rows * columns();
    Arena& s = block.arena;
    T* preactivation = taped() ? nullptr : s.take<T>(size);
    const bool want_dt = gradients != nullptr && gradients->dt != nullptr;
    for (size_t e = 0; e < p_.shears.size(); ++e) {
      Record<T> record;
      record.by_preactivation = taped() ? s.take<T>(size) : preactivation;
      record.buffer = taped() ? s.take<T>(size) : nullptr;  // the half that it moves, afterwards
      record.source = s.take<const T*>(rows);
      if (want_dt) record.rate = s.take<T>(size);
      records_.push_back(record);
    }
    rates_ = s.take<T>(size);
    joined_ = p_.shears.size() > 1 && p_.shears.front().coupling == p_.shears.back().coupling;
    if (joined_) {
      preactivations_ = s.take<T>(size + block.rows * columns());
      waiting_ = s.take_zeros<T>(block.rows * columns());
      ends_ = s.take<const T*>(rows + block.rows);
    }
    for (int i = 0; i < 2; ++i) {
      now_[i] = s.take<const T*>(rows);
      buffers_[i] = s.take<T*>(rows);
    }
  }

  void step(int64_t n, int64_t c, int64_t, const T* const* y, const T* const*, T* const* next) override {
    for (int64_t r = 0; r < block_.rows; ++r)
      for (int s = 0; s < 2; ++s) {
        buffers_[s][r] = next[r] + s * columns();
        now_[s][r] = y[r] + s * columns();
      }
    if (joined_ && n == 0) end_preactivation(now_[end().source], block_.rows);
    run(c * block_.rows, block_.rows);
    for (int s = 0; s < 2; ++s)  // a half that nothing moved
      for (int64_t r = 0; r < block_.rows; ++r)
        if (now_[s][r] != buffers_[s][r]) std::copy(now_[s][r], now_[s][r] + columns(), buffers_[s][r]);
  }

  void record(int64_t first, int64_t count, const States<T>& states) override {
    const T* const* y = states.at(first - 1);
    for (int64_t r = 0; r < count * block_.rows; ++r)
      for (int s = 0; s < 2; ++s) now_[s][r] = y[r] + s * columns();
    first_ = first;
    if (joined_) {
      const int64_t all = (count + 1) * block_.rows;
      for (int64_t r = 0; r < all; ++r) ends_[r] = y[r] + end().source * columns();
      end_preactivation(ends_, all);
    }
    run(0, count * block_.rows);
  }

  void reverse(int64_t n, int64_t c, int64_t, const States<T>&, T* lambda) override {
    const int64_t at = c * block_.rows * columns(), stride = p_.state.stride();
    for (size_t e = p_.shears.size(); e-- > 0;) {
      const Shear<T>& shear = p_.shears[e];
      const Coupling<T>& coupling = p_.couplings[shear.coupling];
      Combination<T> sum;
      sum.add(shear.coefficient, lambda + coupling.target * columns(), stride);
      const Record<T>& record = records_[e];
      if (record.rate != nullptr) {
        add_inner(sum, record.rate + at, columns(), block_.rows, columns(), T(1),
                  gradients_->dt + n * p_.batch + block_.begin);
      }
      T* source = lambda + coupling.source * columns();
      T* by_preactivation = record.by_preactivation + at;
      pullback_->cotangent(coupling, shear.theta, c, by_preactivation, nullptr, block_.step + c * block_.rows, sum);
      if (joined_ && e == 0 && n > 0) {  // its product waits for the move before
        std::copy(by_preactivation, by_preactivation + block_.rows * columns(), waiting_);
        continue;
      }
      if (joined_ && e + 1 == p_.shears.size())  // nothing waits at the end of a row
        for (int64_t i = 0; i < block_.rows * columns(); ++i) by_preactivation[i] += waiting_[i];
      pullback_->transpose(coupling, by_preactivation, source, stride, source, stride);
    }
  }

  void add_weights(int64_t count, Pullback<T>& pullback) override {
    for (size_t e = 0; e < records_.size(); ++e) {
      const int64_t samples = !joined_ || e > 0 ? count : first_ == 0 ? 1 : 0;  // the others are with the move before
      pullback.add_weights(p_.shears[e].coupling, records_[e].by_preactivation, records_[e].source,
                           samples * block_.rows);
    }
  }

 private:
  bool taped() const { return pullback_ != nullptr; }
  int64_t columns() const { return block_.columns(); }

  const Coupling<T>& end() const { return p_.couplings[p_.shears.back().coupling]; }

  void end_preactivation(const T* const* source, int64_t rows) {
    multiply(source, rows, end().forward, block_.zeros, int64_t(0), preactivations_, columns());
  }

  void run(int64_t from, int64_t count) {
    for (size_t e = 0; e < p_.shears.size(); ++e) {
      const Shear<T>& shear = p_.shears[e];
      const Coupling<T>& coupling = p_.couplings[shear.coupling];
      Record<T>& record = records_[e];
      const T** source = now_[coupling.source];
      if (taped()) std::copy(source, source + count, record.source);
      const bool last = taped() && e + 1 == p_.shears.size();  // what it moves is the next sample's, which is known
      T* rates = record.rate != nullptr ? record.rate : last ? nullptr : rates_;
      const bool at_end = e + 1 == p_.shears.size();
      if (joined_ && (e == 0 || at_end)) {
        if (at_end && !taped()) end_preactivation(source, count);
        const T* preactivation = preactivations_ + (at_end && taped() ? block_.rows * columns() : 0);
        block_.evaluate_preactivation(preactivation, coupling, shear.theta, from, count, record.by_preactivation,
                                      taped(), rates);
      } else {
        block_.evaluate(coupling, source, shear.theta, from, count, record.by_preactivation, nullptr, taped(), rates);
      }
      if (last) continue;
      Combination<T> sum;
      sum.add(shear.coefficient, rates, columns());
      T** buffers = buffers_[coupling.target];
      if (taped()) point_at(record.buffer, columns(), count, buffers);
      advance(now_[coupling.target], block_.step + from, sum, count, {0, columns()}, buffers);
      std::copy(buffers, buffers + count, now_[coupling.target]);
    }
  }

  Block<T>& block_;
  const Problem<T>& p_;
  Pullback<T>* pullback_;
  const Gradients<T>* gradients_;
  std::vector<Record<T>> records_;
  T *rates_, *preactivations_ = nullptr, *waiting_ = nullptr;
  const T** ends_ = nullptr;
  bool joined_ = false;
  int64_t first_ = 0;
  const T** now_[2];
  T** buffers_[2];
};

}  // namespace odernn
