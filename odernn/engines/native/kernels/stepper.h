// The contract of a method: forward one saved state at a time; for the adjoint, record a block of samples at once, then
// go back through its saved states one by one.
#pragma once

#include "pullback.h"

namespace odernn {

// Rows of what was saved of the state, or of another vector, of a block of time, padded to whole vectors. Number -1 is
// the initial one, -2 the one before that.
template <class T>
class States {
 public:
  // At most `most` samples at a time of `rows` rows from `begin` on. `initial` and `before` may be null.
  States(const Problem<T>& problem, const T* saved, const T* initial, const T* before, int64_t begin, int64_t rows,
         int64_t most, Arena& arena)
      : problem_(problem), saved_(saved), initial_(initial), before_(before), begin_(begin) {
    const int64_t total = (most * problem.saved_per_sample() + 2) * rows;
    pointers_ = arena.take<const T*>(total);
    if (!problem.state.same()) buffer_ = arena.take<T>(total * problem.state.stride());
  }

  // For samples [first, first + count) of the first `rows` rows.
  void fill(int64_t first, int64_t count, int64_t rows) {
    rows_ = rows;
    origin_ = first * problem_.saved_per_sample() - 2;
    for (int64_t i = 0; i < count * problem_.saved_per_sample() + 2; ++i)
      for (int64_t r = 0; r < rows_; ++r) {
        const T* row = source(origin_ + i, begin_ + r);
        T* copy = buffer_ == nullptr ? nullptr : buffer_ + (i * rows_ + r) * problem_.state.stride();
        if (row != nullptr && copy != nullptr) copy_padded(problem_.state, row, copy);
        pointers_[i * rows_ + r] = row != nullptr && copy != nullptr ? copy : row;
      }
  }

  // Ask for the memory of state i early: a product reads a few short rows at a time, which the processor does not
  // foresee.
  void fetch(int64_t i) const {
    if (i < 0) return;
    for (int64_t r = 0; r < rows_; ++r) prefetch<false>(source(i, begin_ + r), problem_.state.columns());
  }

  // Rows of state i; those of i + 1 follow.
  const T* const* at(int64_t i) const { return pointers_ + (i - origin_) * rows_; }

 private:
  const T* source(int64_t i, int64_t row) const {
    const int64_t columns = problem_.state.columns();
    if (i >= 0) return saved_ + problem_.saved_place(i, row) * columns;
    const T* early = i == -1 ? initial_ : before_;
    return early == nullptr ? nullptr : early + row * columns;
  }

  const Problem<T>& problem_;
  const T *saved_, *initial_, *before_;
  int64_t begin_, rows_ = 0, origin_ = 0;
  const T** pointers_;
  T* buffer_ = nullptr;
};

template <class T>
class Stepper {
 public:
  virtual ~Stepper() = default;

  // Saved state number `index` of sample n, which is filled sample c: `next` from `y` and, where a vector is that,
  // `previous`, the state before. `next` is none of the rows read.
  virtual void step(int64_t n, int64_t c, int64_t index, const T* const* y, const T* const* previous,
                    T* const* next) = 0;

  // The derivatives of `count` filled samples from `first`, all at once.
  virtual void record(int64_t first, int64_t count, const States<T>& states) = 0;

  // The same back: `lambda`, the cotangent of that state, becomes the cotangent of the saved state before it.
  virtual void reverse(int64_t n, int64_t c, int64_t index, const States<T>& states, T* lambda) = 0;

  // K's gradient from the recorded block.
  virtual void add_weights(int64_t count, Pullback<T>& pullback) = 0;

  // General linear: rows of the vector number `vector` at the end of the last step, unless it is the state before.
  virtual const T* const* carried(int64_t) const { return nullptr; }

  // General linear, going back: the cotangents of the vector number `vector`, not the state's.
  virtual T* carried_cotangents(int64_t) { return nullptr; }

  // The cotangents of the preactivation where they are also those of the control.
  virtual const T* preactivation_cotangents() const { return nullptr; }
};

}  // namespace odernn
