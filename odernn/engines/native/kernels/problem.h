// What a call integrates, in plain pointers: the same for the forward sweep and for its adjoint.
#pragma once

#include <algorithm>
#include <vector>

#include "matmul.h"

namespace odernn {

constexpr size_t kMostTerms = 16;  // of a sum of stages and states

// dy/dt from the preactivation p and the control u: see arguments.cpp, which names them.
enum class Kind { kTanh, kGatedTanh, kLinear, kLinearPlusTanh, kTraced };
enum class Family { kRungeKutta, kExponential, kShears, kGeneralLinear };
// What is saved of a vector that a general linear method carries: nothing; all of it; all of it if coefficients are
// given; nothing, as it is the state one solver step before.
enum class Role { kDropped, kKept, kKeptWithCoefficients, kStateBefore };

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

// GCC takes a function that does nothing but this for one without effects, whose calls it drops; the empty statement is
// an effect.
template <bool kWrite = true, class T>
void prefetch(const T* row, int64_t columns) {
  for (int64_t i = 0; i < columns; i += 64 / int64_t(sizeof(T))) {
    __builtin_prefetch(row + i, kWrite);
    asm volatile("" : : "r"(row));
  }
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

// A part of the rows of K that drive one half of the state, in one group of the preactivation.
template <class T>
struct Part {
  int64_t source = 0, target = 0;  // its first column in the state, and in the preactivation
  bool first = true;               // of those with this target
  Packed<T> forward, pullback;     // as `Coupling` has them
  const T* diagonal = nullptr;     // or a square with these numbers on its diagonal and zeros elsewhere
};

// Where entries of K may be other than zero: a rectangle, or the diagonal of a square.
struct Place {
  int64_t source, target, columns;
  bool diagonal;
};

// The rows of K that drive one half of the state: what is not zero, in parts, and what may have a gradient.
template <class T>
struct Half {
  std::vector<Part<T>> parts;
  std::vector<Place> places;
  std::vector<int64_t> empty;  // targets of groups without a part
};

// One block of K: it maps the state, or a half of it, to the preactivation that drives the rate, or a half of that.
template <class T>
struct Coupling {
  Packed<T> forward;               // source -> preactivation, K^T
  Packed<T> pullback;              // preactivation -> source, K
  int64_t source = 0, target = 0;  // halves of the state; 0 where K is one block
  bool by_halves = false;          // whether `halves` are there, in place of the above
  Half<T> halves[2];
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

// One step of a general linear method, from `in` vectors x, of which x_0 is the state, to `out`:
// Y_i = sum_l u_il x_l + dt sum_{j<i} a_ij k_j, k_i = f(Y_i), x_l' = sum_m v_lm x_m + dt sum_j b_lj k_j. An entry whose
// `place` is not -1 is, where coefficients are given, the one with this number.
template <class T>
struct LinearStep {
  int64_t in = 1, out = 1, stages = 1;
  std::vector<Entry<T>> u, v, b;  // row by row
  std::vector<T> a, c;
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
  const int64_t* lengths = nullptr;  // (batch), samples of each row, longest first, zero too; null: all have `times`
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
  std::vector<T> a, b, c;                    // Runge-Kutta
  std::vector<int64_t> moved;                // traced: the half of the state that each stage moves; empty: all of it
  int64_t kept_stage = -1, kept_target = 0;  // of whose preactivation a half is kept, and where it begins
  std::vector<Entry<T>> flows, rows,
      weights;                   // exponential: of y in each stage and over the step; `a`, stages x stages; `b`
  const T* blocks = nullptr;     // (steps, matrices, 2, 2, half), one set for all samples or one each
  int64_t blocks_time = 0;       // stride from one sample to the next
  int64_t block_numbers = 0;     // in all
  std::vector<Shear<T>> shears;  // partitioned: of one whole sample

  std::vector<LinearStep<T>> linear_steps;  // general linear: of the steps that start the method, and of all others
  std::vector<Role> roles;                  // of the vectors, the state's first
  int64_t given = 0;                        // the vectors besides the state that are there at first
  const T* carried = nullptr;               // (given, batch, state)
  const T* coefficients = nullptr;          // of each sample, substep, row and number, or null
  int64_t coefficients_time = 0, coefficients_substep = 0, coefficients_row = 0;  // strides
  int64_t coefficients_substeps = 0;  // of the first substeps of a sample; the others have the entries themselves
  int64_t coefficients_count = 0;
  int64_t saved_rows = 0;  // of one kept vector

  std::vector<Coupling<T>> couplings;

  T step(int64_t time, int64_t row) const {
    return dt[earlier == nullptr ? time * dt_time + row * dt_row : (earlier[time] + row) * dt_time];
  }
  // States saved for each sample: a general linear method needs those between samples too.
  int64_t saved_per_sample() const { return family == Family::kGeneralLinear ? substeps : 1; }
  int64_t vectors() const { return static_cast<int64_t>(roles.size()); }
  bool is_kept(int64_t vector) const {
    const Role role = roles[static_cast<size_t>(vector)];
    return role == Role::kKept || (role == Role::kKeptWithCoefficients && coefficients != nullptr);
  }
  // The steps that are still to be made before the method has started.
  int64_t starting_steps() const { return vectors() - 1 - given; }
  const LinearStep<T>& linear_step(int64_t number) const {
    return linear_steps[static_cast<size_t>(std::min(number + given, vectors() - 1))];
  }
  const T* carried_vector(int64_t vector) const {
    return vector <= given ? carried + (vector - 1) * batch * state.columns() : nullptr;
  }
  // The vector that is the state one solver step before, or null if there is none or it is not there at first.
  const T* state_before() const {
    for (int64_t l = 1; l < vectors(); ++l)
      if (roles[static_cast<size_t>(l)] == Role::kStateBefore) return carried_vector(l);
    return nullptr;
  }

  int64_t evaluations() const {
    if (family == Family::kShears) return static_cast<int64_t>(shears.size());
    return substeps * stages;
  }
  // Whether each column of a sample's control goes into one evaluation, once the method has started.
  bool sees_control_once() const {
    if (moved.empty()) return family != Family::kShears && evaluations() == 1;
    const bool apart = state.width % (2 * kLanes<T>) == 0;  // in vectors of their own
    return apart && substeps == 1 && moved.size() == 2 && moved[0] != moved[1];
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

// The gradient by every saved state, which may lie anyhow: that of a mean over time is one number a unit, read again
// and again.
template <class T>
struct SavedGradients {
  const T* first = nullptr;                // or null
  int64_t state = 0, row = 0, column = 0;  // strides; of several lengths a state is a place, and there is no row

  const T* at(const Problem<T>& problem, int64_t number, int64_t r) const {
    return first + (problem.index == nullptr ? number * state + r * row : problem.saved_place(number, r) * state);
  }
};

// Gradients given and asked. Null pointers: not given, not asked.
template <class T>
struct Gradients {
  SavedGradients<T> saved;
  const T* end = nullptr;          // of the last state (batch, state)
  const T* end_carried = nullptr;  // general linear: of the other vectors at the end (end_vectors, batch, state)
  int64_t end_vectors = 0;
  const T* kept = nullptr;  // not a gradient but what the solution has under this name

  T* y0 = nullptr;            // (batch, state)
  T* samples = nullptr;       // as samples
  T* before = nullptr;        // (batch, control)
  T* dt = nullptr;            // (times, batch) of one solver step
  T* carried = nullptr;       // (given, batch, state)
  T* coefficients = nullptr;  // (times, substeps, batch, count)
};

// Sums over rows, one for each shard of the batch, added up in order at the end.
template <class T>
struct Sums {
  std::vector<T*>
      couplings;        // (preactivation columns padded, source columns padded), in the layout of the preactivation
  T* blocks = nullptr;  // as the problem's
  T* input = nullptr;   // (inputs + 1, control padded): V^T and, in row `inputs`, the bias
};

// What a forward sweep writes; null pointers: nobody asks.
template <class T>
struct Solution {
  T* saved = nullptr;    // (times * saved_per_sample, batch, state), of several lengths (storage * ..., state)
  T* kept = nullptr;     // general linear: the vectors that are kept, one after the other, as `saved`; traced: the half
                         // of a preactivation that is kept, likewise
  T* last = nullptr;     // (batch, state)
  T* carried = nullptr;  // general linear: the other vectors at the end (end_vectors, batch, state)
  int64_t end_vectors = 0;
};

// Rows [begin, end) of the batch through all of their time.
template <class T>
void solve_rows(const Problem<T>& problem, int64_t begin, int64_t end, const Solution<T>& solution);

template <class T>
void pull_back_rows(const Problem<T>& problem, const T* saved, const Gradients<T>& gradients, Sums<T>& sums,
                    int64_t begin, int64_t end);

}  // namespace odernn
