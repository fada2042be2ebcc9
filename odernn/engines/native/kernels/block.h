// One evaluation of the field for a block of rows.
#pragma once

#include "control.h"

namespace odernn {

// What the adjoint keeps of one evaluation for all virtual rows (sample, row) of a block of time.
template <class T>
struct Record {
  const T** source = nullptr;     // the rows that were multiplied
  T* buffer = nullptr;            // where they lie, unless they are the caller's
  T* by_preactivation = nullptr;  // derivative through the candidate, then the cotangent of the preactivation
  T* by_gate = nullptr;           // gated: derivative through the gate
  T* rate = nullptr;              // saved if the step needs a gradient
};

// Row pointers into a padded buffer.
template <class T, class P>
void point_at(T* rows, int64_t stride, int64_t count, P** out) {
  for (int64_t r = 0; r < count; ++r) out[r] = rows + r * stride;
}

// out = initial + diagonal * x.
template <class T>
void add_scaled(const T* diagonal, const T* x, int64_t columns, const T* initial, T* out) {
  for (int64_t i = 0; i < columns; i += kLanes<T>) store(out + i, load(initial + i) + load(diagonal + i) * load(x + i));
}

template <class T>
class Block {
 public:
  Block(const Problem<T>& problem, int64_t begin, int64_t rows, int64_t most, Arena& arena)
      : problem(problem),
        begin(begin),
        rows(rows),
        most(most),
        room(most * rows),
        arena(arena),
        control(problem, begin, rows, most, arena) {
    zeros = arena.take_zeros<T>(std::max(problem.preactivation.stride(), whole_vectors<T>(problem.inputs)));
    step = arena.take<T>(most * rows);
    cotangents = arena.take<const T*>(rows);
    if (!problem.couplings.empty() && problem.couplings[0].by_halves) half_rows = arena.take<const T*>(most * rows);
  }

  // Width and stride of one group's working rows.
  int64_t columns() const { return problem.state.padded; }
  // The same of the preactivation of one evaluation, which is also what `by_preactivation` holds.
  int64_t preactivation_columns() const { return problem.preactivation.stride(); }
  bool gated() const { return problem.kind == Kind::kGatedTanh; }

  // How many rows have the sample n; the longest stand first, so they are the first ones.
  int64_t rows_at(int64_t n) const {
    int64_t count = room / most;
    while (count > 0 && problem.length(begin + count - 1) <= n) --count;
    return count;
  }

  // How many samples from `first` on can be worked on at once: as many rows have all of them.
  int64_t samples_from(int64_t first) const {
    const int64_t count = rows_at(first);
    return std::min(room / count, problem.length(begin + count - 1) - first);
  }

  // The same of the samples up to `end`.
  int64_t samples_to(int64_t end) const {
    const int64_t count = rows_at(end - 1), longer = count * most < room ? problem.length(begin + count) : 0;
    return std::min(room / count, end - longer);
  }

  // For samples [first, first + count), and the rows that have them.
  void fill(int64_t first, int64_t count) {
    rows = rows_at(first);
    control.fill(first, count, rows);
    for (int64_t c = 0; c < count; ++c)
      for (int64_t r = 0; r < rows; ++r) step[c * rows + r] = problem.step(first + c, begin + r);
  }

  // rate = field(source) at `theta` for virtual rows [from, from + count) of the filled samples. `by_preactivation`
  // (and `by_gate`) get the derivatives if asked, else `by_preactivation` is working space. `rate` may be null if
  // derivatives are asked. `there`: the half of the preactivation that is
  // kept is there already.
  void evaluate(const Coupling<T>& coupling, const T* const* source, T theta, int64_t from, int64_t count,
                T* by_preactivation, T* by_gate, bool derivative, T* rate, Window window = {}, bool there = false) {
    if (problem.kind == Kind::kLinear && rate == nullptr) return;  // its derivative is one
    const bool whole = kIsTraced || gated() ||
                       problem.kind == Kind::kLinearPlusTanh;  // a control that is not an addend of the preactivation
    const T* u = control.at(theta, from, count) + (whole ? 0 : coupling.target * columns());
    const T* addend = whole ? zeros : u;
    const int64_t addend_stride = whole ? 0 : control.stride();
    if (coupling.by_halves) {
      multiply_halves(coupling, window, source, count, addend, addend_stride, by_preactivation, there, rate == nullptr);
    } else {
      multiply(source, count, coupling.forward, addend, addend_stride, by_preactivation, preactivation_columns());
    }
    compute_rates<T>(problem.kind,
                     {count, columns(), by_preactivation, by_gate, preactivation_columns(), u, control.stride(), rate,
                      columns(), source, window},
                     derivative);
  }

  // preactivation = addend + K source in the rows of K that drive the window, but for the half that is kept if it is
  // `there`, and if `only_read`, for the groups that the transpose of the rate does not read.
  void multiply_halves(const Coupling<T>& coupling, Window window, const T* const* source, int64_t count,
                       const T* addend, int64_t addend_stride, T* preactivation, bool there, bool only_read) {
    const int64_t stride = preactivation_columns();
    const auto skips = [&](int64_t target) {
      return (there && target == problem.kept_target) || (only_read && !Traced::kReads[target / columns()]);
    };
    window.each_half(coupling, columns(), [&](const Half<T>& half) {
      for (const int64_t target : half.empty)
        for (int64_t r = 0; !skips(target) && r < count; ++r)
          std::copy_n(addend + r * addend_stride + target, columns() / 2, preactivation + r * stride + target);
      for (const Part<T>& k : half.parts) {
        if (skips(k.target)) continue;
        T* out = preactivation + k.target;
        const T* initial = k.first ? addend + k.target : out;
        const int64_t initial_stride = k.first ? addend_stride : stride;
        if (k.diagonal == nullptr) {
          multiply(source, count, k.forward, initial, initial_stride, out, stride);
        } else {
          for (int64_t r = 0; r < count; ++r)
            add_scaled(k.diagonal, source[r] + k.source, columns() / 2, initial + r * initial_stride, out + r * stride);
        }
      }
    });
  }

  // What is kept of `preactivation`, of `count` virtual rows from sample n on. It has the control in it where that is
  // an addend.
  void write_kept(const T* preactivation, int64_t n, int64_t count, T* kept) const {
    const int64_t half = columns() / 2;
    for (int64_t k = 0; k < count; ++k)
      std::copy_n(preactivation + k * preactivation_columns() + problem.kept_target, half, kept + kept_row(n, k));
  }

  void read_kept(const T* kept, int64_t n, int64_t count, T* preactivation) const {
    const int64_t half = columns() / 2;
    for (int64_t k = 0; k < count; ++k)
      std::copy_n(kept + kept_row(n, k), half, preactivation + k * preactivation_columns() + problem.kept_target);
  }

  // The same from a preactivation that was computed without the control (ungated).
  void evaluate_preactivation(const T* preactivation, const Coupling<T>& coupling, T theta, int64_t from, int64_t count,
                              T* by_preactivation, bool derivative, T* rate) {
    const T* u = control.at(theta, from, count) + coupling.target * columns();
    for (int64_t r = 0; r < count; ++r)
      for (int64_t i = 0; i < columns(); i += kLanes<T>)
        store(by_preactivation + r * columns() + i,
              load(preactivation + r * columns() + i) + load(u + r * control.stride() + i));
    compute_rates<T>(problem.kind,
                     {count, columns(), by_preactivation, nullptr, columns(), u, control.stride(), rate, columns()},
                     derivative);
  }

  // Where virtual row k from sample n on begins in what is kept.
  int64_t kept_row(int64_t n, int64_t k) const {
    return problem.saved_place(n + k / rows, begin + k % rows) * (columns() / 2);
  }

  const Problem<T>& problem;
  const int64_t begin;
  int64_t rows;              // at the filled samples; at first all of them
  const int64_t most, room;  // samples at once of all rows; virtual rows at once
  Arena& arena;
  Control<T> control;
  T* zeros;
  T* step;  // of every virtual row
  const T** cotangents;
  const T** half_rows = nullptr;  // of K by halves: rows of a half of the state, working space
};

}  // namespace odernn
