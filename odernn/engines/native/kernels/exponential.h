// Exponential Runge-Kutta methods whose linear part is made of 2 x 2 blocks, `substeps` times a sample:
// Y_i = U_i y + dt sum_j A_ij k_j, k_i = f(Y_i), y_next = U y + dt sum_i B_i k_i, each of U, A and B a number or a
// block-diagonal matrix.
#pragma once

#include <vector>

#include "blocks.h"
#include "stepper.h"

namespace odernn {

template <class T>
class ExponentialRungeKutta final : public Stepper<T> {
 public:
  // `pullback` is null for the forward sweep, which writes the half of a preactivation that is kept into `kept` unless
  // that is null.
  ExponentialRungeKutta(Block<T>& block, Pullback<T>* pullback, const Gradients<T>* gradients, T* sums, T* kept)
      : block_(block),
        p_(block.problem),
        pullback_(pullback),
        gradients_(gradients),
        sums_(sums),
        kept_(kept),
        stages_(p_.stages) {
    const int64_t rows = taped() ? block.most * block.rows : block.rows, size = rows * columns(),
                  preactivation_size = rows * block.preactivation_columns();
    const bool want_dt = gradients != nullptr && gradients->dt != nullptr;
    Arena& s = block.arena;
    T *preactivation = nullptr, *gate = nullptr, *stage = nullptr, *middle = nullptr;
    if (!taped()) {
      preactivation = s.take<T>(preactivation_size);
      gate = block.gated() ? s.take<T>(size) : nullptr;
      stage = s.take_zeros<T>(size);
      middle = p_.substeps > 1 ? s.take_zeros<T>(size) : nullptr;
    }
    for (int64_t e = 0; e < p_.evaluations(); ++e) {
      Record<T> record;
      record.by_preactivation = taped() ? s.take<T>(preactivation_size) : preactivation;
      record.by_gate = taped() && block.gated() ? s.take<T>(size) : gate;
      record.source = s.take<const T*>(rows);
      if (moved(e % stages_)) record.buffer = taped() ? s.take_zeros<T>(size) : stage;
      if (taped() && (want_dt || multiplied(e % stages_))) record.rate = s.take<T>(size);
      records_.push_back(record);
    }
    for (int64_t k = 0; k < p_.substeps; ++k) {
      T* buffer = k == 0 ? nullptr : taped() ? s.take_zeros<T>(size) : middle;
      start_buffers_.push_back(buffer);
      starts_.push_back(s.take<const T*>(rows));
      if (buffer != nullptr) point_at(buffer, columns(), rows, starts_.back());
    }
    for (int64_t i = 0; i < stages_; ++i) {
      rates_.push_back(s.take<T>(size));
      cotangents_.push_back(taped() ? s.take<T>(block.rows * columns()) : nullptr);
    }
    if (taped()) kappa_ = s.take_zeros<T>(block.rows * columns());
    buffers_ = s.take<T*>(rows);
  }

  void step(int64_t n, int64_t c, int64_t, const T* const* y, const T* const*, T* const* next) override {
    origin_ = n - c;
    run(c * block_.rows, block_.rows, y, next);
  }

  void record(int64_t first, int64_t count, const States<T>& states) override {
    origin_ = first;
    run(0, count * block_.rows, states.at(first - 1), nullptr);
  }

  void reverse(int64_t n, int64_t c, int64_t, const States<T>&, T* lambda) override {
    const int64_t rows = block_.rows, at = c * rows * columns(),
                  preactivation_at = c * rows * block_.preactivation_columns();
    const T* step = block_.step + c * rows;
    const BlockRows<T> blocks = blocks_of(c * rows);
    for (int64_t k = p_.substeps - 1; k >= 0; --k) {
      const Rows<T> start = Rows<T>::pointed(starts_[k] + c * rows);
      const Record<T>* records = &records_[k * stages_];
      const Rows<T> end = Rows<T>::strided(lambda, columns());
      add_product(n, p_.flows[stages_], end, nullptr, start);
      for (int64_t i = 0; i < stages_; ++i)
        if (p_.weights[i].place >= 0)
          add_product(n, p_.weights[i], end, step, Rows<T>::strided(records[i].rate + at, columns()));
      for (int64_t i = stages_ - 1; i >= 0; --i) {
        const Record<T>& record = records[i];
        const Combination<T> sum = kappa(i, blocks, lambda);
        if (gradients_->dt != nullptr)
          add_inner(sum, record.rate + at, columns(), rows, columns(), T(1),
                    gradients_->dt + n * p_.batch + block_.begin);
        T *by_preactivation = record.by_preactivation + preactivation_at,
          *by_gate = record.by_gate == nullptr ? nullptr : record.by_gate + at;
        pullback_->cotangent(p_.couplings[0], theta(k, i), c, by_preactivation, by_gate, step, sum);
        if (i == 0 && last_is_added()) break;
        pullback_->transpose(p_.couplings[0], by_preactivation, block_.zeros, 0, cotangents_[i], columns());
        const Rows<T> mu = Rows<T>::strided(cotangents_[i], columns());
        add_product(n, p_.flows[i], mu, nullptr, start);
        for (int64_t j = 0; j < i; ++j)
          if (a(i, j).place >= 0) add_product(n, a(i, j), mu, step, Rows<T>::strided(records[j].rate + at, columns()));
      }
      Mixture<T> back;  // dL/dy = U^T lambda + sum_i U_i^T mu_i; mu_0 is added by its product itself where U_0 is one
      back.add(p_.flows[stages_], end);
      for (int64_t i = last_is_added() ? 1 : 0; i < stages_; ++i)
        back.add(p_.flows[i], Rows<T>::strided(cotangents_[i], columns()));
      if (back.terms > 1 || p_.flows[stages_].place >= 0) {
        point_at(lambda, columns(), rows, buffers_);
        mix<T>(back, blocks, nullptr, rows, half(), true, buffers_);
      }
      if (last_is_added())
        pullback_->transpose(p_.couplings[0], records[0].by_preactivation + preactivation_at, lambda, columns(), lambda,
                             columns());
    }
  }

  void add_weights(int64_t count, Pullback<T>& pullback) override {
    for (const Record<T>& record : records_)
      pullback.add_weights(0, record.by_preactivation, record.source, count * block_.rows);
  }

  const T* preactivation_cotangents() const override { return records_[0].by_preactivation; }

 private:
  bool taped() const { return pullback_ != nullptr; }
  int64_t columns() const { return block_.columns(); }
  int64_t half() const { return p_.state.width / 2; }
  const Entry<T>& a(int64_t i, int64_t j) const { return p_.rows[i * stages_ + j]; }
  T theta(int64_t k, int64_t i) const { return (T(k) + p_.c[i]) / T(p_.substeps); }

  // Whether the state of stage i is not the start of the step itself.
  bool moved(int64_t i) const {
    bool found = p_.flows[i].place >= 0;
    for (int64_t j = 0; j < i; ++j) found |= a(i, j).coefficient != T(0);
    return found;
  }

  // Whether a matrix is applied to the rate of stage i, so that its gradient needs the rate.
  bool multiplied(int64_t i) const {
    bool found = p_.weights[i].place >= 0;
    for (int64_t j = i + 1; j < stages_; ++j) found |= a(j, i).place >= 0;
    return found;
  }

  bool last_is_added() const { return p_.flows[0].place < 0; }

  BlockRows<T> blocks_of(int64_t from) const {
    return {p_.blocks, p_.blocks_time, half(), block_.rows, origin_ * block_.rows + from};
  }

  T* rate(int64_t e) { return records_[e].rate != nullptr ? records_[e].rate : rates_[e % stages_]; }

  // kappa_i / dt = B_i^T lambda + sum_{j>i} A_ji^T mu_j.
  Combination<T> kappa(int64_t i, const BlockRows<T>& blocks, const T* lambda) {
    Combination<T> sum;
    bool plain = p_.weights[i].place < 0;
    for (int64_t j = i + 1; j < stages_; ++j) plain &= a(j, i).place < 0;
    if (plain) {
      sum.add(p_.weights[i].coefficient, lambda, columns());
      for (int64_t j = i + 1; j < stages_; ++j) sum.add(a(j, i).coefficient, cotangents_[j], columns());
    } else {
      Mixture<T> mixture;
      mixture.add(p_.weights[i], Rows<T>::strided(lambda, columns()));
      for (int64_t j = i + 1; j < stages_; ++j) mixture.add(a(j, i), Rows<T>::strided(cotangents_[j], columns()));
      point_at(kappa_, columns(), block_.rows, buffers_);
      mix<T>(mixture, blocks, nullptr, block_.rows, half(), true, buffers_);
      sum.add(T(1), kappa_, columns());
    }
    return sum;
  }

  // The gradient by the matrix of `entry` from the cotangents of what it made and what it was applied to.
  void add_product(int64_t n, const Entry<T>& entry, const Rows<T>& result, const T* step, const Rows<T>& source) {
    if (entry.place < 0 || sums_ == nullptr) return;
    add_block_products<T>(result, step, source, block_.rows, half(),
                          sums_ + n * p_.blocks_time + entry.place * 4 * half());
  }

  // Virtual rows [from, from + count) through one sample. Without `next` the last rates are not needed.
  void run(int64_t from, int64_t count, const T* const* y, T* const* next) {
    const T* step = block_.step + from;
    const BlockRows<T> blocks = blocks_of(from);
    std::copy(y, y + count, starts_[0]);
    for (int64_t k = 0; k < p_.substeps; ++k) {
      const Rows<T> start = Rows<T>::pointed(starts_[k]);
      const bool last = k + 1 == p_.substeps;
      for (int64_t i = 0; i < stages_; ++i) {
        const int64_t e = k * stages_ + i;
        Record<T>& record = records_[e];
        if (record.buffer == nullptr) {
          std::copy(starts_[k], starts_[k] + count, record.source);
        } else {
          Mixture<T> state;
          state.add(p_.flows[i], start);
          for (int64_t j = 0; j < i; ++j) state.add(a(i, j), Rows<T>::strided(rate(e - i + j), columns()), true);
          point_at(record.buffer, columns(), count, record.source);
          point_at(record.buffer, columns(), count, buffers_);
          mix<T>(state, blocks, step, count, half(), false, buffers_);
        }
        const bool unused = last && i + 1 == stages_ && next == nullptr && record.rate == nullptr;
        const bool kept = i == p_.kept_stage, there = kept && taped();
        const int64_t n = origin_ + from / block_.rows;
        if (there) block_.read_kept(gradients_->kept, n, count, record.by_preactivation);
        block_.evaluate(p_.couplings[0], record.source, theta(k, i), from, count, record.by_preactivation,
                        record.by_gate, taped(), unused ? nullptr : rate(e), {}, there);
        if (kept && kept_ != nullptr) block_.write_kept(record.by_preactivation, n, count, kept_);
      }
      if (last && next == nullptr) break;
      Mixture<T> end;
      end.add(p_.flows[stages_], start);
      for (int64_t i = 0; i < stages_; ++i)
        end.add(p_.weights[i], Rows<T>::strided(rate(k * stages_ + i), columns()), true);
      if (!last) point_at(start_buffers_[k + 1], columns(), count, buffers_);
      mix<T>(end, blocks, step, count, half(), false, last ? next : buffers_);
    }
  }

  Block<T>& block_;
  const Problem<T>& p_;
  Pullback<T>* pullback_;
  const Gradients<T>* gradients_;
  T *sums_, *kept_;
  int64_t stages_, origin_ = 0;
  std::vector<Record<T>> records_;
  std::vector<T*> rates_, cotangents_, start_buffers_;
  std::vector<const T**> starts_;
  T* kappa_ = nullptr;
  T** buffers_;
};

}  // namespace odernn
