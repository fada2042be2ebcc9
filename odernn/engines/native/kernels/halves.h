// K in the halves of its rows and columns, of a traced field and of an exponential method, so that zeros are not
// multiplied, diagonals are multiplied as such, and a stage that moves a half of the state multiplies the rows of that
// half.
#pragma once

#include <vector>

#include "problem.h"

namespace odernn {

// The numbers of Program::weight_blocks.
enum Filled : int64_t { kZero, kDiagonal, kDense };

// Rows of K, from its row `target` on, that drive a half of the state in one group of the preactivation.
template <class T>
class RowsOfHalf {
 public:
  RowsOfHalf(const T* weight, int64_t units, int64_t target, bool both, Allocator& allocator)
      : units_(units), target_(target), rows_(weight + target * units), both_(both), allocator_(allocator) {}

  // The half of their columns from `source` on.
  void add_diagonal(int64_t source, Half<T>& half) {
    T* diagonal = allocator_.take<T>(units_ / 2);
    for (int64_t i = 0; i < units_ / 2; ++i) diagonal[i] = rows_[i * (units_ + 1) + source];
    add({source, target_, true, {}, {}, diagonal}, half);
    half.places.push_back({source, target_, units_ / 2, true});
  }

  // Columns [source, end); a half of them that holds zeros now has a gradient and no product.
  void add_dense(int64_t source, int64_t end, Half<T>& half) {
    half.places.push_back({source, target_, end - source, false});
    if (end - source == units_ && is_zero(0)) source = units_ / 2;
    if (is_zero(end - units_ / 2)) end -= units_ / 2;
    if (source >= end) return;
    Part<T> part{
        source, target_, true, pack(rows_ + source, int64_t(1), units_, end - source, units_ / 2, allocator_), {}};
    part.forward.first = source;
    if (both_) part.pullback = pack(rows_ + source, units_, int64_t(1), units_ / 2, end - source, allocator_);
    part.pullback.first = target_;
    add(part, half);
  }

  // After all of them.
  void finish(Half<T>& half) const {
    if (!found_) half.empty.push_back(target_);
  }

 private:
  void add(Part<T> part, Half<T>& half) {
    part.first = !found_;
    found_ = true;
    half.parts.push_back(part);
  }

  bool is_zero(int64_t source) const {
    for (int64_t r = 0; r < units_ / 2; ++r)
      for (int64_t i = source; i < source + units_ / 2; ++i)
        if (rows_[r * units_ + i] != T(0)) return false;
    return true;
  }

  int64_t units_, target_;
  const T* rows_;
  bool both_, found_ = false;
  Allocator& allocator_;
};

// K of a problem with whole vectors to a half, as the rows that drive each half of the state: `blocks` as
// Program::weight_blocks, `both` whether they go back too.
template <class T>
Coupling<T> by_halves(const std::vector<int64_t>& blocks, const T* weight, bool both, const Problem<T>& p,
                      Allocator& allocator) {
  const int64_t n = p.state.width;
  Coupling<T> coupling;
  coupling.by_halves = true;
  for (int64_t h = 0; h < 2; ++h)
    for (int64_t g = 0; g < p.preactivation.groups; ++g) {
      RowsOfHalf<T> rows(weight, n, g * n + h * (n / 2), both, allocator);
      const size_t at = static_cast<size_t>(4 * g + 2 * h);
      const int64_t left = blocks.empty() ? kDense : blocks[at], right = blocks.empty() ? kDense : blocks[at + 1];
      if (left == kDense || right == kDense)
        rows.add_dense(left == kDense ? 0 : n / 2, right == kDense ? n : n / 2, coupling.halves[h]);
      if (left == kDiagonal) rows.add_diagonal(0, coupling.halves[h]);
      if (right == kDiagonal) rows.add_diagonal(n / 2, coupling.halves[h]);
      rows.finish(coupling.halves[h]);
    }
  return coupling;
}

}  // namespace odernn
