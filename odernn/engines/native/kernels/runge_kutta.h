// Explicit Runge-Kutta: k_i = f(y + dt sum_j a_ij k_j), y_next = y + dt sum_i b_i k_i, `substeps` times a sample.
#pragma once

#include <vector>

#include "stepper.h"

namespace odernn {

template <class T>
class RungeKutta final : public Stepper<T> {
 public:
  // `pullback` is null for the forward sweep, which writes the half of a preactivation that is kept into `kept` unless
  // that is null.
  RungeKutta(Block<T>& block, Pullback<T>* pullback, const Gradients<T>* gradients, T* kept)
      : block_(block), p_(block.problem), pullback_(pullback), gradients_(gradients), kept_(kept), stages_(p_.stages) {
    const int64_t rows = taped() ? block.most * block.rows : block.rows, size = rows * columns(),
                  preactivation_size = rows * block.preactivation_columns();
    const bool want_dt = gradients != nullptr && gradients->dt != nullptr;
    Arena& s = block.arena;
    T *stage = nullptr, *preactivation = nullptr, *middle = nullptr, *gate = nullptr;
    if (!taped()) {
      preactivation = s.take<T>(preactivation_size);
      gate = block.gated() ? s.take<T>(size) : nullptr;
      stage = stages_ > 1 ? s.take<T>(size) : nullptr;
      middle = p_.substeps > 1 ? s.take<T>(size) : nullptr;
    }
    for (int64_t e = 0; e < p_.evaluations(); ++e) {
      Record<T> record;
      record.by_preactivation = taped() ? s.take<T>(preactivation_size) : preactivation;
      record.by_gate = taped() && block.gated() ? s.take<T>(size) : gate;
      record.buffer = e == 0 ? nullptr : taped() ? s.take<T>(size) : e % stages_ == 0 ? middle : stage;
      record.source = s.take<const T*>(rows);
      if (record.buffer != nullptr) point_at(record.buffer, columns(), rows, record.source);
      if (want_dt) record.rate = s.take<T>(size);
      records_.push_back(record);
    }
    for (int64_t i = 0; i < stages_; ++i) {
      rates_.push_back(want_dt ? nullptr : s.take<T>(size));
      cotangents_.push_back(taped() ? s.take<T>(block.rows * columns()) : nullptr);
    }
    buffers_ = s.take<T*>(rows);
  }

  void step(int64_t n, int64_t c, int64_t, const T* const* y, const T* const*, T* const* next) override {
    run(n, c * block_.rows, block_.rows, y, next);
  }

  void record(int64_t first, int64_t count, const States<T>& states) override {
    run(first, 0, count * block_.rows, states.at(first - 1), nullptr);
  }

  void reverse(int64_t n, int64_t c, int64_t, const States<T>&, T* lambda) override {
    const int64_t at = c * block_.rows * columns(), preactivation_at = c * block_.rows * block_.preactivation_columns();
    const T* step = block_.step + c * block_.rows;
    for (int64_t e = p_.evaluations() - 1; e >= 0; --e) {
      const int64_t i = e % stages_;
      Combination<T> sum;  // of kappa_i = dt (b_i lambda + sum_{j>i} a_ji mu_j)
      sum.add(p_.b[i], lambda, columns());
      for (int64_t j = i + 1; j < stages_; ++j) sum.add(p_.a[j * stages_ + i], cotangents_[j], columns());
      const Record<T>& record = records_[e];
      if (record.rate != nullptr) {
        add_inner(sum, record.rate + at, columns(), block_.rows, columns(), T(1),
                  gradients_->dt + n * p_.batch + block_.begin);
      }
      T* by_gate = record.by_gate == nullptr ? nullptr : record.by_gate + at;
      if constexpr (kIsTraced) {
        T* preactivation = record.by_preactivation + preactivation_at;
        T* out = i > 0 ? cotangents_[i] : lambda;
        pullback_->traced_cotangent(theta(e), c, record.source + c * block_.rows, preactivation, step, sum, window(i),
                                    i == 0, out);
        if (i == 0) add_later(lambda);
        pullback_->transpose(p_.couplings[0], preactivation, out, columns(), out, columns(), window(i));
      } else if (i > 0) {
        pullback_->apply(p_.couplings[0], theta(e), c, record.by_preactivation + preactivation_at, by_gate, step, sum,
                         block_.zeros, 0, cotangents_[i], columns());
      } else {  // dL/dy = lambda + sum_i mu_i, mu_0 being added by the product itself
        pullback_->cotangent(p_.couplings[0], theta(e), c, record.by_preactivation + preactivation_at, by_gate, step,
                             sum);
        add_later(lambda);
        pullback_->transpose(p_.couplings[0], record.by_preactivation + preactivation_at, lambda, columns(), lambda,
                             columns());
      }
    }
  }

  void add_weights(int64_t count, Pullback<T>& pullback) override {
    for (int64_t e = 0; e < p_.evaluations(); ++e)
      pullback.add_weights(0, records_[e].by_preactivation, records_[e].source, count * block_.rows,
                           window(e % stages_));
  }

  const T* preactivation_cotangents() const override { return records_[0].by_preactivation; }

 private:
  // lambda += the cotangents of the stages after the first.
  void add_later(T* lambda) {
    Combination<T> later;
    for (int64_t j = 1; j < stages_; ++j) later.add(T(1), cotangents_[j], columns());
    if (later.terms > 0) accumulate(later, block_.rows, columns(), lambda, columns());
  }

  // The columns that stage i moves.
  Window window(int64_t i) const {
    const int64_t width = p_.state.width;
    if (p_.moved.empty()) return {0, width};
    return p_.moved[i] == 0 ? Window{0, width / 2} : Window{width / 2, width};
  }

  bool taped() const { return pullback_ != nullptr; }
  int64_t columns() const { return block_.columns(); }
  T theta(int64_t e) const { return (T(e / stages_) + p_.c[e % stages_]) / T(p_.substeps); }

  T* rate(int64_t e) { return records_[e].rate != nullptr ? records_[e].rate : rates_[e % stages_]; }

  // Whether a rate moves one half of the state, of whole vectors.
  bool apart() const { return !p_.moved.empty() && p_.state.width % (2 * kLanes<T>) == 0; }

  // Whether the stages before stage i have moved half `h` as far as the whole step does. Going back, where a sample is
  // one step, that half is then the saved state's.
  bool arrives(int64_t i, int64_t h) const {
    bool all = taped() && apart() && p_.substeps == 1;
    for (int64_t j = 0; j < stages_ && all; ++j) all = p_.moved[j] != h || p_.b[j] == p_.a[i * stages_ + j];
    return all;
  }

  // Whether a later stage of its step is made with the rate of stage i.
  bool is_read(int64_t i) const {
    bool found = false;
    for (int64_t j = i + 1; j < stages_; ++j)
      found |= p_.a[j * stages_ + i] != T(0) && !(apart() && arrives(j, p_.moved[i]));
    return found;
  }

  // out = start + dt sum_j a_j k_j over the first stages of the step whose first evaluation is `first`.
  void add_rates(const T* a, int64_t stages, int64_t first, const T* const* start, const T* step, int64_t count,
                 T* const* out) {
    for (int64_t h = 0; h < (apart() ? 2 : 1); ++h) add_rates_of(h, a, stages, first, start, step, count, out);
  }

  // The same of one half of the state where a rate moves one.
  void add_rates_of(int64_t h, const T* a, int64_t stages, int64_t first, const T* const* start, const T* step,
                    int64_t count, T* const* out) {
    Combination<T> sum;
    for (int64_t j = 0; j < stages; ++j)
      if (!apart() || p_.moved[j] == h) sum.add(a[j], rate(first + j), columns());
    const int64_t width = apart() ? columns() / 2 : columns();
    advance(start, step, sum, count, {h * width, (h + 1) * width}, out);
  }

  // The state of stage i > 0 of the step whose first evaluation is `first`.
  void make_stage(int64_t i, int64_t first, const T* const* y, const T* const* start, const T* step, int64_t count,
                  T* const* out) {
    for (int64_t h = 0; h < (apart() ? 2 : 1); ++h) {
      const bool there = arrives(i, h);
      add_rates_of(h, p_.a.data() + i * stages_, there ? 0 : i, first, there ? y + block_.rows : start, step, count,
                   out);
    }
  }

  // Virtual rows [from, from + count) of sample n, and perhaps of the following ones, through one sample. Without
  // `next` the last rates are not needed.
  void run(int64_t n, int64_t from, int64_t count, const T* const* y, T* const* next) {
    const T* step = block_.step + from;
    const T* const* start = y;
    for (int64_t r = 0; r < count; ++r) records_[0].source[r] = y[r];
    for (int64_t e = 0; e < p_.evaluations(); ++e) {
      const int64_t i = e % stages_;
      Record<T>& record = records_[e];
      if (i > 0) {
        point_at(record.buffer, columns(), count, buffers_);
        make_stage(i, e - i, y, start, step, count, buffers_);
      }
      const bool last = e + 1 == p_.evaluations(), last_step = e - i + stages_ == p_.evaluations();
      const bool unread = last_step && next == nullptr && record.rate == nullptr && !is_read(i);
      T* rates = unread ? nullptr : rate(e);
      const bool kept = i == p_.kept_stage, there = kept && taped();
      if (there) block_.read_kept(gradients_->kept, n, count, record.by_preactivation);
      block_.evaluate(p_.couplings[0], record.source, theta(e), from, count, record.by_preactivation, record.by_gate,
                      taped(), rates, window(i), there);
      if (kept && kept_ != nullptr) block_.write_kept(record.by_preactivation, n, count, kept_);
      if (i + 1 < stages_ || (last && next == nullptr)) continue;
      if (!last) point_at(records_[e + 1].buffer, columns(), count, buffers_);
      add_rates(p_.b.data(), stages_, e - i, start, step, count, last ? next : buffers_);
      if (!last) start = records_[e + 1].source;
    }
  }

  Block<T>& block_;
  const Problem<T>& p_;
  Pullback<T>* pullback_;
  const Gradients<T>* gradients_;
  T* kept_;
  int64_t stages_;
  std::vector<Record<T>> records_;
  std::vector<T*> rates_, cotangents_;
  T** buffers_;
};

}  // namespace odernn
