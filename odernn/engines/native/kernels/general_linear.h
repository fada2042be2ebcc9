// Any explicit method that carries several vectors, as its LinearStep says: two-step midpoint, Adams-Bashforth, ...
// Backward, with lambda_l = dL/dx_l': kappa_i = dt (sum_l b_li lambda_l + sum_{j>i} a_ji mu_j), mu_i is what comes back
// through Y_i, and dL/dx_m = sum_l v_lm lambda_l + sum_i u_im mu_i.
#pragma once

#include <vector>

#include "row_sum.h"
#include "vectors.h"

namespace odernn {

template <class T>
class GeneralLinear final : public Stepper<T> {
 public:
  // `pullback` is null for the forward sweep, which writes the vectors that are kept into `kept` unless that is null.
  GeneralLinear(Block<T>& block, Pullback<T>* pullback, const Gradients<T>* gradients, T* kept)
      : block_(block), p_(block.problem), pullback_(pullback), gradients_(gradients), vectors_(block) {
    int64_t stages = 0;
    for (const LinearStep<T>& step : p_.linear_steps) stages = std::max(stages, step.stages);
    const int64_t rows = taped() ? block.most * block.rows : block.rows;
    for (int64_t i = 0; i < stages; ++i) rates_.push_back(block.arena.template take<T>(rows * columns()));
    taped() ? make_tape(stages) : make_working_memory(stages, kept);
  }

  void step(int64_t n, int64_t c, int64_t q, const T* const* y, const T* const* previous, T* const* next) override {
    const int64_t number = n * p_.substeps + q;
    const LinearStep<T>& step = p_.linear_step(number);
    vectors_.begin(y, previous);
    evaluate(step, n, q, c, 1, records_.data(), 0);
    for (int64_t l = 0; l < step.out; ++l) {
      T* const* to = l == 0 ? next : vectors_.place(l, number);
      if (to == nullptr) continue;
      RowSum<T> sum;
      add_vectors(step.v, step.in, l, n, q, 0, sum);
      for (int64_t j = 0; j < step.stages; ++j)
        sum.add(weight(step.b[l * step.stages + j], n, q), Rows<T>::strided(rates_[j], columns()), true);
      sum.write(block_.step + c * block_.rows, block_.rows, columns(), [&](int64_t r) { return to[r]; });
    }
    vectors_.turn(number, step.out);
  }

  const T* const* carried(int64_t vector) const override {
    const Carried<T>& x = vectors_[vector];
    return x.role == Role::kStateBefore ? nullptr : x.now;
  }

  void record(int64_t first, int64_t count, const States<T>& states) override {
    vectors_.fill(first, count);
    first_ = first;
    for (int64_t q = 0; q < p_.substeps; ++q) {
      const int64_t skip = starting_samples(first, count, q);
      for (int64_t c = 0; c < skip; ++c) {
        const int64_t number = (first + c) * p_.substeps + q;
        vectors_.look_at(states, number, 1);
        evaluate(p_.linear_step(number), first + c, q, c, 1, starts_[number].data(), 0);
      }
      if (skip == count) continue;
      vectors_.look_at(states, (first + skip) * p_.substeps + q, count - skip);
      evaluate(steady(), first + skip, q, skip, count - skip, records_.data() + q * steady().stages,
               skip * block_.rows);
    }
  }

  void reverse(int64_t n, int64_t c, int64_t q, const States<T>& states, T* lambda) override {
    const int64_t number = n * p_.substeps + q;
    const LinearStep<T>& step = p_.linear_step(number);
    const bool starts = number < p_.starting_steps(), joined = !kIsTraced && joins(step);
    const Record<T>* records = starts ? starts_[number].data() : records_.data() + q * step.stages;
    const int64_t at = starts ? 0 : c * block_.rows;
    if (wants_coefficients()) vectors_.look_at(states, number, 1);
    vectors_[0].lambda = lambda;
    for (int64_t i = step.stages - 1; i >= 0; --i) {
      T* preactivation = records[i].by_preactivation + at * block_.preactivation_columns();
      cotangent(step, n, c, q, i, records[i], at);
      if (i == 0 && joined) break;
      pullback_->transpose(p_.couplings[0], preactivation, kIsTraced ? mus_[i] : block_.zeros,
                           kIsTraced ? columns() : 0, mus_[i], columns());
    }
    if (wants_coefficients()) add_coefficient_gradients(step, n, c, q, records, at);
    for (int64_t m = step.in - 1; m >= 0; --m) pull_back(step, n, q, m, joined);
    vectors_.turn_back(step.in);
    T* preactivation = records[0].by_preactivation + at * block_.preactivation_columns();
    if (joined) pullback_->transpose(p_.couplings[0], preactivation, lambda, columns(), lambda, columns());
  }

  T* carried_cotangents(int64_t vector) override { return vectors_[vector].lambda; }

  void add_weights(int64_t count, Pullback<T>& pullback) override {
    for (int64_t q = 0; q < p_.substeps; ++q) {
      const int64_t skip = starting_samples(first_, count, q), from = skip * block_.rows;
      for (int64_t c = 0; c < skip; ++c)
        for (const Record<T>& record : starts_[(first_ + c) * p_.substeps + q])
          pullback.add_weights(0, record.by_preactivation, record.source, block_.rows);
      if (skip == count) continue;
      for (int64_t i = 0; i < steady().stages; ++i) {
        const Record<T>& record = records_[q * steady().stages + i];
        pullback.add_weights(0, record.by_preactivation + from * block_.preactivation_columns(), record.source + from,
                             count * block_.rows - from);
      }
    }
  }

 private:
  bool taped() const { return pullback_ != nullptr; }
  int64_t columns() const { return block_.columns(); }
  const LinearStep<T>& steady() const { return p_.linear_steps.back(); }
  T theta(const LinearStep<T>& step, int64_t q, int64_t i) const { return (T(q) + step.c[i]) / T(p_.substeps); }
  Window window() const { return {0, p_.state.width}; }
  bool wants_coefficients() const { return gradients_ != nullptr && gradients_->coefficients != nullptr; }

  // How many of the filled samples have a step `q` that still starts the method.
  int64_t starting_samples(int64_t first, int64_t count, int64_t q) const {
    const int64_t steps = p_.starting_steps() - q, samples = steps <= 0 ? 0 : (steps + p_.substeps - 1) / p_.substeps;
    return std::min(std::max<int64_t>(samples - first, 0), count);
  }

  bool varies(const Entry<T>& entry, int64_t q) const {
    return entry.place >= 0 && p_.coefficients != nullptr && q < p_.coefficients_substeps;
  }

  Weight<T> weight(const Entry<T>& entry, int64_t n, int64_t q) const {
    if (!varies(entry, q)) return {entry.coefficient};
    return {T(0),
            p_.coefficients + n * p_.coefficients_time + q * p_.coefficients_substep +
                block_.begin * p_.coefficients_row + entry.place,
            p_.coefficients_row};
  }

  Record<T> record_of(int64_t rows, bool with_buffer, bool with_rate) {
    Arena& arena = block_.arena;
    Record<T> record;
    record.by_preactivation = arena.take<T>(rows * block_.preactivation_columns());
    record.by_gate = block_.gated() ? arena.take<T>(rows * columns()) : nullptr;
    record.source = arena.take<const T*>(rows);
    if (with_buffer) record.buffer = arena.take<T>(rows * columns());
    if (with_rate) record.rate = arena.take<T>(rows * columns());
    return record;
  }

  // Whether a stage is made of more than one of the vectors as it is.
  static bool is_made(const LinearStep<T>& step, int64_t i) {
    int64_t terms = 0;
    for (int64_t m = 0; m < step.in; ++m) {
      const Entry<T>& entry = step.u[i * step.in + m];
      terms += entry.place >= 0 || (entry.coefficient != T(0) && entry.coefficient != T(1)) ? 2
               : entry.coefficient == T(1)                                                  ? 1
                                                                                            : 0;
    }
    for (int64_t j = 0; j < i; ++j) terms += step.a[i * step.stages + j] != T(0) ? 2 : 0;
    return terms != 1;
  }

  void make_working_memory(int64_t stages, T* kept) {
    for (int64_t i = 0; i < stages; ++i) records_.push_back(i == 0 ? record_of(block_.rows, true, false) : records_[0]);
    vectors_.take_rows(kept);
  }

  void make_tape(int64_t stages) {
    const bool with_rate = gradients_->dt != nullptr || wants_coefficients();
    const int64_t numbers = block_.rows * columns();
    for (int64_t q = 0; q < p_.substeps; ++q)
      for (int64_t i = 0; i < steady().stages; ++i)
        records_.push_back(record_of(block_.most * block_.rows, is_made(steady(), i), with_rate));
    for (int64_t k = 0; k < p_.starting_steps(); ++k) {
      starts_.emplace_back();
      for (int64_t i = 0; i < p_.linear_step(k).stages; ++i)
        starts_.back().push_back(record_of(block_.rows, is_made(p_.linear_step(k), i), with_rate));
    }
    for (int64_t i = 0; i < stages; ++i) mus_.push_back(block_.arena.template take<T>(numbers));
    kappa_ = block_.arena.template take<T>(numbers);
    vectors_.take_cotangents(gradients_->kept);
  }

  // Row `i` of a table of the vectors, of the sample `k` of those that are looked at, which is n.
  void add_vectors(const std::vector<Entry<T>>& table, int64_t in, int64_t i, int64_t n, int64_t q, int64_t k,
                   RowSum<T>& sum) const {
    for (int64_t m = 0; m < in; ++m) {
      const Weight<T> w = weight(table[i * in + m], n, q);
      if (!w.is(T(0))) sum.add(w, Rows<T>::pointed(vectors_[m].now + k * block_.rows));
    }
  }

  // The stages of a step of `count` filled samples from c on, the first of which is n, into rows from `at` on of the
  // records. The vectors are looked at already.
  void evaluate(const LinearStep<T>& step, int64_t n, int64_t q, int64_t c, int64_t count, const Record<T>* records,
                int64_t at) {
    const int64_t from = c * block_.rows, all = count * block_.rows;
    for (int64_t i = 0; i < step.stages; ++i) {
      const Record<T>& record = records[i];
      for (int64_t k = 0; k < count; ++k) make_stage(step, i, n + k, q, k, from, records, at);
      T* gate = record.by_gate == nullptr ? nullptr : record.by_gate + at * columns();
      T* rate = is_needed(step, i, record) ? this->rate(i, record, at) : nullptr;
      block_.evaluate(p_.couplings[0], record.source + at, theta(step, q, i), from, all,
                      record.by_preactivation + at * block_.preactivation_columns(), gate, taped(), rate, window());
    }
  }

  T* rate(int64_t i, const Record<T>& record, int64_t at) const {
    return record.rate == nullptr ? rates_[i] : record.rate + at * columns();
  }

  // Whether anybody reads the rate of a stage.
  bool is_needed(const LinearStep<T>& step, int64_t i, const Record<T>& record) const {
    bool needed = !taped() || record.rate != nullptr;
    for (int64_t j = i + 1; j < step.stages; ++j) needed |= step.a[j * step.stages + i] != T(0);
    return needed;
  }

  // The state of stage i of sample n, which is number k of those that are evaluated at once.
  void make_stage(const LinearStep<T>& step, int64_t i, int64_t n, int64_t q, int64_t k, int64_t from,
                  const Record<T>* records, int64_t at) {
    const int64_t rows = block_.rows, first = at + k * rows;
    RowSum<T> sum;
    add_vectors(step.u, step.in, i, n, q, k, sum);
    for (int64_t j = 0; j < i; ++j)
      sum.add({step.a[i * step.stages + j]},
              Rows<T>::strided(rate(j, records[j], at) + k * rows * columns(), columns()), true);
    const T** source = records[i].source + first;
    if (const T* const* only = sum.only_rows()) {
      std::copy(only, only + rows, source);
      return;
    }
    T* buffer = records[i].buffer + first * columns();
    point_at(buffer, columns(), rows, source);
    sum.write(block_.step + from + k * rows, rows, columns(), [&](int64_t r) { return buffer + r * columns(); });
  }

  // The preactivation's cotangent of stage i, in place of its derivative.
  void cotangent(const LinearStep<T>& step, int64_t n, int64_t c, int64_t q, int64_t i, const Record<T>& record,
                 int64_t at) {
    const T* dt = block_.step + c * block_.rows;
    const Combination<T> sum = kappa(step, n, q, i, dt);
    if (gradients_->dt != nullptr)
      add_inner(sum, record.rate + at * columns(), columns(), block_.rows, columns(), T(1),
                gradients_->dt + n * p_.batch + block_.begin);
    T* preactivation = record.by_preactivation + at * block_.preactivation_columns();
    T* gate = record.by_gate == nullptr ? nullptr : record.by_gate + at * columns();
    if constexpr (kIsTraced) {
      pullback_->traced_cotangent(theta(step, q, i), c, record.source + at, preactivation, dt, sum, window(), false,
                                  mus_[i]);
    } else {
      pullback_->cotangent(p_.couplings[0], theta(step, q, i), c, preactivation, gate, dt, sum);
    }
  }

  // kappa_i without the step.
  Combination<T> kappa(const LinearStep<T>& step, int64_t n, int64_t q, int64_t i, const T* dt) {
    Combination<T> sum;
    RowSum<T> rows;
    bool one_for_all = true;
    for (int64_t l = 0; l < step.out; ++l) {
      const Entry<T>& entry = step.b[l * step.stages + i];
      one_for_all &= !varies(entry, q);
      sum.add(entry.coefficient, vectors_[l].lambda, columns());
      rows.add(weight(entry, n, q), Rows<T>::strided(vectors_[l].lambda, columns()));
    }
    for (int64_t j = i + 1; j < step.stages; ++j) {
      const T a = step.a[j * step.stages + i];
      sum.add(a, mus_[j], columns());
      rows.add({a}, Rows<T>::strided(mus_[j], columns()));
    }
    if (one_for_all) return sum;
    rows.write(dt, block_.rows, columns(), [&](int64_t r) { return kappa_ + r * columns(); });
    Combination<T> made;
    made.add(T(1), kappa_, columns());
    return made;
  }

  // Whether what comes back through the first stage goes to the state as it is, and the product itself can add it.
  static bool joins(const LinearStep<T>& step) {
    for (int64_t m = 0; m < step.in; ++m)
      if (step.u[m].place >= 0 || step.u[m].coefficient != T(m == 0)) return false;
    return true;
  }

  // dL by the vector m before the step, but for what comes back through the first stage if that is joined.
  void pull_back(const LinearStep<T>& step, int64_t n, int64_t q, int64_t m, bool joined) {
    RowSum<T> sum;
    for (int64_t l = 0; l < step.out; ++l)
      sum.add(weight(step.v[l * step.in + m], n, q), Rows<T>::strided(vectors_[l].lambda, columns()));
    for (int64_t i = joined ? 1 : 0; i < step.stages; ++i)
      sum.add(weight(step.u[i * step.in + m], n, q), Rows<T>::strided(mus_[i], columns()));
    T* to = m == 0 ? vectors_[0].lambda : vectors_[m].lambda_before;
    if (sum.is(to)) return;
    sum.write(nullptr, block_.rows, columns(), [&](int64_t r) { return to + r * columns(); });
  }

  // dL by the coefficients that are given.
  void add_coefficient_gradients(const LinearStep<T>& step, int64_t n, int64_t c, int64_t q, const Record<T>* records,
                                 int64_t at) {
    for (int64_t i = 0; i < step.stages; ++i) add_products(step.u, step.in, i, n, q, mus_[i]);
    for (int64_t l = 0; l < step.out; ++l) {
      add_products(step.v, step.in, l, n, q, vectors_[l].lambda);
      for (int64_t j = 0; j < step.stages; ++j)
        add_product(step.b[l * step.stages + j], n, q, vectors_[l].lambda,
                    Rows<T>::strided(records[j].rate + at * columns(), columns()), block_.step + c * block_.rows);
    }
  }

  // dL by the entries of row `i` of a table of the vectors, if there are numbers for them: <left, x_m>.
  void add_products(const std::vector<Entry<T>>& table, int64_t in, int64_t i, int64_t n, int64_t q, const T* left) {
    for (int64_t m = 0; m < in; ++m)
      add_product(table[i * in + m], n, q, left, Rows<T>::pointed(vectors_[m].now), nullptr);
  }

  void add_product(const Entry<T>& entry, int64_t n, int64_t q, const T* left, const Rows<T>& right, const T* step) {
    if (!varies(entry, q)) return;
    const int64_t count = p_.coefficients_count;
    T* out = gradients_->coefficients + ((n * p_.coefficients_substeps + q) * p_.batch + block_.begin) * count;
    for (int64_t r = 0; r < block_.rows; ++r) {
      Vector<T> v{};
      for (int64_t i = 0; i < columns(); i += kLanes<T>) v += load(left + r * columns() + i) * load(right[r] + i);
      out[r * count + entry.place] += sum_of_lanes<T>(v) * (step == nullptr ? T(1) : step[r]);
    }
  }

  Block<T>& block_;
  const Problem<T>& p_;
  Pullback<T>* pullback_;
  const Gradients<T>* gradients_;
  Vectors<T> vectors_;
  std::vector<Record<T>> records_;              // of a step of the started method; going back, of every substep
  std::vector<std::vector<Record<T>>> starts_;  // going back: of the steps that start it
  std::vector<T*> rates_, mus_;
  T* kappa_ = nullptr;
  int64_t first_ = 0;
};

}  // namespace odernn
