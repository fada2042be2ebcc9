// The control of a block of rows for a block of samples, made from the samples when it is needed and never kept for a
// whole sequence.
#pragma once

#include <algorithm>

#include "pointwise.h"

namespace odernn {

template <class T>
class Control {
 public:
  // At most `most` samples at a time of rows [begin, begin + rows) of the batch.
  Control(const Problem<T>& problem, int64_t begin, int64_t rows, int64_t most, Arena& arena)
      : problem_(problem), begin_(begin), earlier_(problem.linear_hold ? 1 : 0) {
    const int64_t total = (most + earlier_) * rows;
    values_ = arena.take<T>(total * stride());
    if (earlier_) line_ = arena.take<T>(most * rows * stride());
    sources_ = arena.take<const T*>(total);
  }

  int64_t stride() const { return problem_.control.stride(); }
  // Slots before the first sample's own: with linear hold the sample before is needed too.
  int64_t earlier() const { return earlier_; }

  // Samples [first, first + count) of the first `rows` rows.
  void fill(int64_t first, int64_t count, int64_t rows) {
    rows_ = rows;
    int64_t slot = 0;
    for (int64_t n = first - earlier_; n < first + count; ++n, ++slot) {
      const bool given = problem_.before != nullptr && n < 0;
      for (int64_t r = 0; r < rows_; ++r) {
        const int64_t i = slot * rows_ + r;
        sources_[i] = given ? nullptr : problem_.samples_row(std::max<int64_t>(n, 0), begin_ + r);
        if (given)
          copy_padded(problem_.control, problem_.before + (begin_ + r) * problem_.control.columns(),
                      values_ + i * stride());
      }
    }
    const int64_t skip = problem_.before != nullptr && first < earlier_ ? rows_ : 0;
    const int64_t n = slot * rows_ - skip;
    if (problem_.affine) {
      T* made = values_ + skip * stride();
      multiply(sources_ + skip, n, problem_.input, problem_.bias, int64_t(0), made, stride());
      if (problem_.squash) tanh_in_place(made, n * stride());
    } else {
      for (int64_t i = skip; i < skip + n; ++i) copy_padded(problem_.control, sources_[i], values_ + i * stride());
    }
  }

  // The control at `theta` of the interval of each sample, for virtual rows [first, first + count); rows are stride()
  // apart.
  const T* at(T theta, int64_t first, int64_t count) {
    const T* own = values_ + (first + earlier_ * rows_) * stride();
    if (!earlier_ || theta == T(1)) return own;
    const T* before = values_ + first * stride();
    if (theta == T(0)) return before;
    const Vector<T> weight = splat(theta);
    for (int64_t i = 0; i < count * stride(); i += kLanes<T>)
      store(line_ + i, load(before + i) + weight * (load(own + i) - load(before + i)));
    return line_;
  }

 private:
  const Problem<T>& problem_;
  int64_t begin_, rows_ = 0, earlier_;
  T *values_, *line_ = nullptr;
  const T** sources_;
};

}  // namespace odernn
