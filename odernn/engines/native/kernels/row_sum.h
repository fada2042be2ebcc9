// Sums of rows with a coefficient of their own for each row: what a general linear method makes its stages of.
#pragma once

#include "blocks.h"

namespace odernn {

// A coefficient: a number, or one for each row, `stride` apart.
template <class T>
struct Weight {
  T number;
  const T* each = nullptr;
  int64_t stride = 0;

  T at(int64_t r) const { return each == nullptr ? number : each[r * stride]; }
  bool is(T value) const { return each == nullptr && number == value; }
};

template <class T>
class RowSum {
 public:
  // Rows times a weight, and perhaps the row's step. What is zero for all rows is left out.
  void add(const Weight<T>& weight, const Rows<T>& rows, bool times_step = false) {
    if (!weight.is(T(0))) term_[terms_++] = {weight, rows, times_step};
  }

  // Whether the rows from `first` on are all of the sum.
  bool is(const T* first) const {
    return terms_ == 1 && term_[0].weight.is(T(1)) && !term_[0].times_step && term_[0].rows.first == first;
  }

  // The rows that are all of the sum, or null.
  const T* const* only_rows() const {
    const bool one = terms_ == 1 && term_[0].weight.is(T(1)) && !term_[0].times_step;
    return one ? term_[0].rows.pointers : nullptr;
  }

  // out(r) = the sum at row r, for `rows` rows; `out` may be one of those that are added.
  template <class Out>
  void write(const T* step, int64_t rows, int64_t columns, const Out& out) const {
    for (int64_t r = 0; r < rows; ++r) {
      T factor[kMostTerms];
      const T* x[kMostTerms];
      for (int j = 0; j < terms_; ++j) {
        factor[j] = term_[j].weight.at(r) * (term_[j].times_step ? step[r] : T(1));
        x[j] = term_[j].rows[r];
      }
      switch (terms_) {
        case 1:
          write_row<1>(factor, x, columns, out(r));
          break;
        case 2:
          write_row<2>(factor, x, columns, out(r));
          break;
        case 3:
          write_row<3>(factor, x, columns, out(r));
          break;
        default:
          write_long_row(factor, x, columns, out(r));
      }
    }
  }

 private:
  struct Term {
    Weight<T> weight;
    Rows<T> rows;
    bool times_step;
  };

  template <int kTerms>
  static void write_row(const T* factor, const T* const* x, int64_t columns, T* out) {
    Vector<T> f[kTerms];
    for (int j = 0; j < kTerms; ++j) f[j] = splat<T>(factor[j]);
    for (int64_t i = 0; i < columns; i += kLanes<T>) {
      Vector<T> v = f[0] * load(x[0] + i);
      for (int j = 1; j < kTerms; ++j) v += f[j] * load(x[j] + i);
      store(out + i, v);
    }
  }

  void write_long_row(const T* factor, const T* const* x, int64_t columns, T* out) const {
    for (int64_t i = 0; i < columns; i += kLanes<T>) {
      Vector<T> v{};
      for (int j = 0; j < terms_; ++j) v += splat<T>(factor[j]) * load(x[j] + i);
      store(out + i, v);
    }
  }

  int terms_ = 0;
  Term term_[kMostTerms];
};

}  // namespace odernn
