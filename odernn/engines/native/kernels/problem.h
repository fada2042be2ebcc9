// What a call integrates, in plain pointers: the same for the forward sweep and for its adjoint.
#pragma once

#include <vector>

#include "matmul.h"

namespace odernn {

constexpr size_t kMostTerms = 16;  // of a sum of stages and states

// dy/dt from the preactivation p and the control u: see arguments.cpp, which names them.
enum class Kind { kTanh, kGatedTanh, kLinear, kLinearPlusTanh, kTraced };
enum class Family { kRungeKutta, kExponential, kShears, kTwoStep };

// A row of `groups` equal groups of columns, each padded to whole vectors in working memory. Padding holds zeros
// throughout: the preactivation of zero is zero and every kind maps zero to zero, or, where it is traced, is cut off.
struct Layout {
  int64_t groups = 1, width = 0, padded = 0;

  template <class T>
  static Layout of(int64_t groups, int64_t columns) {
    return {groups, columns / groups, whole_vectors<T>(columns / groups)};
  }
  int64_t columns() const { return groups * width; }
  int64_t stride() const { return groups * padded; }
  bool same() const { return width == padded; }  // the caller's rows and the padded ones look alike
};

template <bool kWrite = true, class T>
void prefetch(const T* row, int64_t columns) {
  for (int64_t i = 0; i < columns; i += 64 / int64_t(sizeof(T))) __builtin_prefetch(row + i, kWrite);
}

template <class T>
void copy_padded(const Layout& layout, const T* row, T* padded) {
  for (int64_t s = 0; s < layout.groups; ++s)
    for (int64_t i = 0; i < layout.padded; ++i)
      padded[s * layout.padded + i] = i < layout.width ? row[s * layout.width + i] : T(0);
}

template <class T>
void copy_back(const Layout& layout, const T* padded, T* row) {
  for (int64_t s = 0; s < layout.groups; ++s)
    for (int64_t i = 0; i < layout.width; ++i) row[s * layout.width + i] = padded[s * layout.padded + i];
}

// One block of K: it maps the state, or a half of it, to the preactivation that drives the rate, or a half of that.
template <class T>
struct Coupling {
  Packed<T> forward;               // source -> preactivation, K^T
  Packed<T> pullback;              // preactivation -> source, K
  int64_t source = 0, target = 0;  // halves of the state; 0 where K is one block
};

// One substep of a partitioned method moves one half of the state along a rate that depends only on the other.
template <class T>
struct Shear {
  int coupling;
  T coefficient;  // of the solver's step
  T theta;        // where in the sample's interval the control is taken, 0 at its start, 1 at its end
};

// A coefficient of an exponential method: a number, times the matrix number `place` or, if that is -1, the identity.
template <class T>
struct Entry {
  T coefficient;
  int64_t place;
};

template <class T>
struct Problem {
  int64_t times = 0, batch = 0, inputs = 0;
  Layout state, control;
  Layout preactivation;  // of one evaluation
  Kind kind = Kind::kTanh;
  Family family = Family::kRungeKutta;
  bool linear_hold = false;

  const T* y0 = nullptr;             // (batch, state)
  const T* samples = nullptr;        // (times, batch, inputs), or the control itself (times, batch, control)
  const int64_t* lengths = nullptr;  // (batch), samples of each row, longest first; null: all have `times`
  const int64_t* earlier = nullptr;  // (times + 1), of several lengths: how many samples there are before each time
  const int64_t* index = nullptr;    // which row of `samples` each sample is, time after time
  bool packed = false;               // whether the saved states lie time after time too, and not as `samples` do
  bool affine = false;               // the control is samples V^T + bias
  bool squash = false;               // or the tanh of that
  Packed<T> input;                   // inputs -> control
  Packed<T> input_pullback;          // control -> inputs
  const T* bias = nullptr;           // (control), padded
  const T* before = nullptr;         // (batch, control) of the sample before the first, or null: the first sample's
  const T* dt = nullptr;             // of one solver step
  int64_t dt_time = 0, dt_row = 0;   // strides
  int64_t substeps = 1;

  int64_t stages = 1;
  std::vector<T> a, b, c;      // Runge-Kutta
  std::vector<int64_t> moved;  // traced: the half of the state that each stage moves; empty: all of it
  std::vector<Entry<T>> flows, rows,
      weights;                     // exponential: of y in each stage and over the step; `a`, stages x stages; `b`
  const T* blocks = nullptr;       // (steps, matrices, 2, 2, half), one set for all samples or one each
  int64_t blocks_time = 0;         // stride from one sample to the next
  int64_t block_numbers = 0;       // in all
  std::vector<Shear<T>> shears;    // partitioned: of one whole sample
  const T* y_previous = nullptr;   // two-step: (batch, state), or null to start
  const T* dt_previous = nullptr;  // (batch)

  std::vector<Coupling<T>> couplings;

  T step(int64_t time, int64_t row) const {
    return dt[earlier == nullptr ? time * dt_time + row * dt_row : (earlier[time] + row) * dt_time];
  }
  // States saved for each sample: the two-step method needs those between samples too.
  int64_t saved_per_sample() const { return family == Family::kTwoStep ? substeps : 1; }
  int64_t evaluations() const {
    if (family == Family::kShears) return static_cast<int64_t>(shears.size());
    return family == Family::kTwoStep ? substeps : substeps * stages;
  }
  int64_t length(int64_t row) const { return lengths == nullptr ? times : lengths[row]; }
  // Which row of `samples` a sample is, and of all saved states the one with this number in its row.
  int64_t place(int64_t time, int64_t row) const {
    return index == nullptr ? time * batch + row : index[earlier[time] + row];
  }
  int64_t saved_place(int64_t number, int64_t row) const {
    if (index == nullptr) return number * batch + row;
    const int64_t each = saved_per_sample(), time = each == 1 ? number : number / each, k = number - time * each;
    if (!packed) return place(time, row) * each + k;
    return earlier[time] * each + (earlier[time + 1] - earlier[time]) * k + row;
  }
  // Whether the saved states of neighbouring rows need not be neighbours.
  bool is_scattered() const { return index != nullptr && !packed; }
  const T* samples_row(int64_t time, int64_t row) const { return samples + place(time, row) * inputs; }
};

// Gradients given and asked. Null pointers: not given, not asked.
template <class T>
struct Gradients {
  const T* saved = nullptr;         // of every saved state, as these lie
  const T* end = nullptr;           // of the last state (batch, state)
  const T* end_previous = nullptr;  // two-step: of the last state but one

  T* y0 = nullptr;           // (batch, state)
  T* samples = nullptr;      // as samples
  T* before = nullptr;       // (batch, control)
  T* dt = nullptr;           // (times, batch) of one solver step
  T* y_previous = nullptr;   // (batch, state)
  T* dt_previous = nullptr;  // (batch)
};

// Sums over rows, one for each shard of the batch, added up in order at the end.
template <class T>
struct Sums {
  std::vector<T*>
      couplings;        // (preactivation columns padded, source columns padded), in the layout of the preactivation
  T* blocks = nullptr;  // as the problem's
  T* input = nullptr;   // (inputs + 1, control padded): V^T and, in row `inputs`, the bias
};

// Rows [begin, end) of the batch through all of their time.
// `saved` (times * saved_per_sample, batch, state), of several lengths (storage * saved_per_sample, state), or null;
// `last`, `last_but_one` (batch, state) or null.
template <class T>
void solve_rows(const Problem<T>& problem, int64_t begin, int64_t end, T* saved, T* last, T* last_but_one);

template <class T>
void pull_back_rows(const Problem<T>& problem, const T* saved, const Gradients<T>& gradients, Sums<T>& sums,
                    int64_t begin, int64_t end);

}  // namespace odernn
