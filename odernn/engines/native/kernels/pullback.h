// The transpose of an evaluation of the field for a block of rows.
#pragma once

#include "block.h"

namespace odernn {

// out[i (stride + 1)] += sum_r a[r][i] b[r][i]: the diagonal of a^T b.
template <class T>
void add_diagonal_of_outer(const T* a, int64_t a_stride, const T* const* b, int64_t first, int64_t columns,
                           int64_t rows, T* out, int64_t stride) {
  for (int64_t i = 0; i < columns; i += kLanes<T>) {
    Vector<T> sum{};
    for (int64_t r = 0; r < rows; ++r) sum += load(a + r * a_stride + i) * load(b[r] + first + i);
    for (int64_t j = 0; j < kLanes<T>; ++j) out[(i + j) * (stride + 1)] += sum[j];
  }
}

// The cotangents of the control of a block of time, and the transpose of an evaluation.
template <class T>
class Pullback {
 public:
  explicit Pullback(Block<T>& block, Sums<T>& sums, bool wanted) : block_(block), sums_(sums), wanted_(wanted) {
    const Problem<T>& p = block.problem;
    earlier_ = block.control.earlier();
    const bool one_step = p.family == Family::kRungeKutta || p.family == Family::kExponential;
    shared_ =
        !kIsTraced && one_step && p.evaluations() == 1 && !earlier_ && !block.gated() && p.preactivation.groups == 1;
    const int64_t slots = (block.most + earlier_) * block.rows;
    if (wanted_ && !shared_) control_ = block.arena.template take_zeros<T>(slots * stride());
    if (wanted_ && earlier_) carried_ = block.arena.template take_zeros<T>(block.rows * stride());
    if (wanted_) {
      sample_stride_ = p.inputs + 1;
      if (p.affine) sample_buffer_ = block.arena.template take<T>(slots * sample_stride_);
      rows_ = block.arena.template take<const T*>(slots);
      result_ = block.arena.template take<T>(std::max<int64_t>(1, slots * whole_vectors<T>(p.inputs)));
    }
  }

  int64_t stride() const { return block_.control.stride(); }

  // Before the recursion of samples [first, first + count), the blocks coming from the end of the sequence.
  void begin(int64_t first, int64_t count) {
    once_ = !earlier_ && first >= block_.problem.starting_steps() && block_.problem.sees_control_once();
    if (!wanted_ || shared_ || once_) return;
    const int64_t n = count * block_.rows * stride(), head = earlier_ * block_.rows * stride();
    std::fill(control_, control_ + head + n, T(0));
    if (earlier_) {  // what the later block left for its sample before
      std::copy(carried_, carried_ + head, control_ + n);
    }
  }

  // by_preactivation := D^T (step * sum), the cotangent of the preactivation of filled sample `c`, whose rows'
  // derivatives `by_preactivation` and `by_gate` hold; the control's cotangents are added up on the way.
  void cotangent(const Coupling<T>& coupling, T theta, int64_t c, T* by_preactivation, T* by_gate, const T* step,
                 const Combination<T>& sum) {
    switch (block_.problem.kind) {
      case Kind::kTanh:
        return cotangent_of<Kind::kTanh>(coupling, theta, c, by_preactivation, by_gate, step, sum);
      case Kind::kGatedTanh:
        return cotangent_of<Kind::kGatedTanh>(coupling, theta, c, by_preactivation, by_gate, step, sum);
      case Kind::kLinear:
        return cotangent_of<Kind::kLinear>(coupling, theta, c, by_preactivation, by_gate, step, sum);
      case Kind::kLinearPlusTanh:
        return cotangent_of<Kind::kLinearPlusTanh>(coupling, theta, c, by_preactivation, by_gate, step, sum);
      case Kind::kTraced:
        return;
    }
  }

  // Of a traced field, whose `preactivation` becomes its cotangent. What comes back to the rows `source` of the state
  // itself is stored in `state`, or added where it is a part of the sum.
  void traced_cotangent(T theta, int64_t c, const T* const* source, T* preactivation, const T* step,
                        const Combination<T>& sum, Window window, bool add_to_state, T* state) {
    const int64_t rows = block_.rows, columns = block_.columns();
    const bool by_halves = block_.problem.couplings[0].by_halves;  // nobody reads outside of the window
    const T* control = block_.control.at(theta, c * rows, rows);
    T* own = wanted_ ? control_ + ((c + earlier_) * rows) * stride() : nullptr;
    T* before = wanted_ && earlier_ ? own - rows * stride() : nullptr;
    const Vector<T> late = splat<T>(earlier_ ? theta : T(1)), early = splat<T>(1) - late;
    for (int64_t r = 0; r < rows; ++r) {
      const Vector<T> factor = splat<T>(step[r]);
      T* const p = preactivation + r * block_.preactivation_columns();
      T* const to = state + r * columns;
      const T *const y = source[r], *const u = control + r * stride();
      const int64_t at = r * stride();
      window.each_vector<T>(
          columns,
          [=, &sum](int64_t i, auto cut) {
            const TracedOperands<T> x(y, p, u, columns, i);
            TracedOperands<T> by = x;
            by.y = cut(Traced::pull_back<T>(factor * combined(sum, r, i), x.y, x.p, x.u, by.p, by.u));
            for (int64_t g = 0; g < Traced::kPreactivations; ++g) store(p + g * columns + i, cut(by.p[g]));
            if (own != nullptr)
              for (int64_t g = 0; g < Traced::kControls; ++g)
                add(own, before, at + g * columns + i, cut(by.u[g]), late, early);
            if (!add_to_state) store(to + i, by.y);
            if (add_to_state && Traced::kReturnsToState) store(to + i, load(to + i) + by.y);
          },
          [=](int64_t i) {
            for (int64_t g = 0; g < Traced::kPreactivations && !by_halves; ++g) store(p + g * columns + i, Vector<T>{});
            if (!add_to_state) store(to + i, Vector<T>{});
          });
    }
  }

  // out = initial + preactivation_cotangent K, the cotangents being zero outside of the window.
  void transpose(const Coupling<T>& coupling, T* preactivation_cotangent, const T* initial, int64_t initial_stride,
                 T* out, int64_t out_stride, Window window = {}) {
    const int64_t rows = block_.rows, columns = block_.columns(), width = block_.preactivation_columns();
    point_at(preactivation_cotangent, width, rows, block_.cotangents);
    if (!coupling.by_halves)
      return multiply(block_.cotangents, rows, coupling.pullback, initial, initial_stride, out, out_stride);
    for (int64_t r = 0; initial != out && r < rows; ++r)
      std::copy_n(initial + r * initial_stride, columns, out + r * out_stride);
    window.each_half(coupling, columns, [&](const Half<T>& half) {
      for (const Part<T>& k : half.parts) {
        T* to = out + k.source;
        if (k.diagonal == nullptr) {
          multiply(block_.cotangents, rows, k.pullback, to, out_stride, to, out_stride);
        } else {
          for (int64_t r = 0; r < rows; ++r)
            add_scaled(k.diagonal, preactivation_cotangent + r * width + k.target, columns / 2, to + r * out_stride,
                       to + r * out_stride);
        }
      }
    });
  }

  // Both.
  void apply(const Coupling<T>& coupling, T theta, int64_t c, T* by_preactivation, T* by_gate, const T* step,
             const Combination<T>& sum, const T* initial, int64_t initial_stride, T* out, int64_t out_stride) {
    cotangent(coupling, theta, c, by_preactivation, by_gate, step, sum);
    transpose(coupling, by_preactivation, initial, initial_stride, out, out_stride);
  }

  // K's gradient from `rows` virtual rows, whose cotangents are zero outside of the window.
  void add_weights(int coupling, const T* preactivation_cotangent, const T* const* source, int64_t rows,
                   Window window = {}) {
    T* sum = sums_.couplings[static_cast<size_t>(coupling)];
    if (sum == nullptr) return;
    const Problem<T>& p = block_.problem;
    const Coupling<T>& k = p.couplings[static_cast<size_t>(coupling)];
    if (k.by_halves) return add_half_weights(k, window, preactivation_cotangent, source, rows, sum);
    const int64_t columns = block_.preactivation_columns() - (p.preactivation.padded - p.preactivation.width);
    add_outer(preactivation_cotangent, block_.preactivation_columns(), columns, source, p.state.width, rows, sum,
              block_.columns());
  }

  // The gradients of the control's parameters and of the samples [first, first + count), after the recursion.
  void finish(int64_t first, int64_t count, const T* only_cotangents, const Gradients<T>& g) {
    if (!wanted_) return;
    const Problem<T>& p = block_.problem;
    const int64_t rows = block_.rows, head = earlier_ * rows;
    T* cotangents = shared_ ? const_cast<T*>(only_cotangents) : control_;
    if (earlier_) std::copy(cotangents, cotangents + head * stride(), carried_);
    if (earlier_ && first == 0 && p.before == nullptr) {  // the interval before the first sample is the first sample's
      for (int64_t i = 0; i < head * stride(); ++i) cotangents[head * stride() + i] += carried_[i];
    }
    T* own = cotangents + head * stride();
    if (p.squash) pull_back_tanh(block_.control.at(T(1), 0, count * rows), count * rows * stride(), own);
    if (p.affine) {
      affine_gradients(first, count, own, g);
    } else if (g.samples != nullptr) {
      for (int64_t i = 0; i < count * rows; ++i)
        copy_back(p.control, own + i * stride(),
                  g.samples + p.place(first + i / rows, block_.begin + i % rows) * p.inputs);
    }
    if (earlier_ && first == 0 && g.before != nullptr && p.before != nullptr) {
      for (int64_t r = 0; r < rows; ++r)
        copy_back(p.control, carried_ + r * stride(), g.before + (block_.begin + r) * p.control.columns());
    }
  }

 private:
  template <Kind kKind>
  void cotangent_of(const Coupling<T>& coupling, T theta, int64_t c, T* by_preactivation, T* by_gate, const T* step,
                    const Combination<T>& sum) {
    const int64_t rows = block_.rows, columns = block_.columns(), width = block_.preactivation_columns();
    const bool control = wanted_ && !shared_;
    T* own = control ? control_ + ((c + earlier_) * rows) * stride() +
                           (kKind == Kind::kGatedTanh ? 0 : coupling.target * columns)
                     : nullptr;
    T* before = control && earlier_ ? own - rows * stride() : nullptr;
    const Vector<T> late = splat<T>(earlier_ ? theta : T(1)), early = splat<T>(1) - late;
    const auto through = [&](int64_t r, int64_t i, Vector<T> v) {
      if (control) add(own, before, r * stride() + i, v, late, early);
    };
    for (int64_t r = 0; r < rows; ++r) {
      const Vector<T> factor = splat<T>(step[r]);
      const T* gate = kKind == Kind::kGatedTanh ? by_gate + r * columns : nullptr;
      for (int64_t i = 0; i < columns; i += kLanes<T>)
        pull_back_rate<kKind>(r, i, columns, factor * combined(sum, r, i), by_preactivation + r * width, gate, through);
    }
  }

  void add_half_weights(const Coupling<T>& coupling, Window window, const T* cotangent, const T* const* source,
                        int64_t rows, T* sum) {
    const int64_t columns = block_.columns(), stride = block_.preactivation_columns();
    const T** from = block_.half_rows;
    window.each_half(coupling, columns, [&](const Half<T>& half) {
      for (const Place& place : half.places) {
        T* to = sum + place.target * columns + place.source;
        if (place.diagonal) {
          add_diagonal_of_outer(cotangent + place.target, stride, source, place.source, columns / 2, rows, to, columns);
        } else {
          for (int64_t r = 0; r < rows; ++r) from[r] = source[r] + place.source;
          add_outer(cotangent + place.target, stride, columns / 2, from, place.columns, rows, to, columns);
        }
      }
    });
  }

  void add(T* own, T* before, int64_t at, Vector<T> v, Vector<T> late, Vector<T> early) const {
    if (once_) return store(own + at, v);
    store(own + at, load(own + at) + late * v);
    if (before != nullptr) store(before + at, load(before + at) + early * v);
  }

  void affine_gradients(int64_t first, int64_t count, const T* own, const Gradients<T>& g) {
    const Problem<T>& p = block_.problem;
    const int64_t rows = block_.rows, n = count * rows;
    if (sums_.input != nullptr) {
      for (int64_t i = 0; i < n; ++i) {
        T* row = sample_buffer_ + i * sample_stride_;
        const T* source = p.samples_row(first + i / rows, block_.begin + i % rows);
        std::copy(source, source + p.inputs, row);
        row[p.inputs] = T(1);  // the bias
      }
      point_at(own, stride(), n, rows_);
      add_outer(sample_buffer_, sample_stride_, p.inputs + 1, rows_, stride(), n, sums_.input, stride());
    }
    if (g.samples != nullptr) {
      const int64_t width = p.input_pullback.columns;
      point_at(own, stride(), n, rows_);
      multiply(rows_, n, p.input_pullback, block_.zeros, int64_t(0), result_, width);
      for (int64_t i = 0; i < n; ++i)
        std::copy(result_ + i * width, result_ + i * width + p.inputs,
                  g.samples + p.place(first + i / rows, block_.begin + i % rows) * p.inputs);
    }
  }

  Block<T>& block_;
  Sums<T>& sums_;
  bool wanted_, shared_, once_ = false;  // once: the cotangents of the filled samples' control are no sums
  int64_t earlier_, sample_stride_ = 0;
  T *control_ = nullptr, *carried_ = nullptr, *sample_buffer_ = nullptr, *result_ = nullptr;
  const T** rows_ = nullptr;
};

}  // namespace odernn
