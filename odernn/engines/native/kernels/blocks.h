// Block-diagonal matrices of 2 x 2 blocks on rows (q, p) of two halves: entry (r, c) of all blocks lies together,
// `half` numbers each.
#pragma once

#include <type_traits>

#include "problem.h"

namespace odernn {

// Rows that lie `stride` apart, or anywhere.
template <class T>
struct Rows {
  const T* first;
  int64_t stride;
  const T* const* pointers;

  static Rows strided(const T* first, int64_t stride) { return {first, stride, nullptr}; }
  static Rows pointed(const T* const* pointers) { return {nullptr, 0, pointers}; }
  const T* operator[](int64_t r) const { return pointers != nullptr ? pointers[r] : first + r * stride; }
};

// The matrices of virtual rows: those of row r of the caller's are the matrices of its sample.
template <class T>
struct BlockRows {
  const T* blocks;
  int64_t stride;  // from one sample to the next; 0 where all share theirs
  int64_t half, rows, from;

  const T* at(int64_t r, int64_t place) const { return blocks + (from + r) / rows * stride + place * 4 * half; }
};

// A sum of rows, each times a number or a matrix, and perhaps the row's step.
template <class T>
struct Mixture {
  struct Term {
    Entry<T> entry;
    Rows<T> rows;
    bool times_step;
  };
  int terms = 0;
  Term term[kMostTerms + 1];

  void add(const Entry<T>& entry, const Rows<T>& rows, bool times_step = false) {
    if (entry.coefficient == T(0)) return;
    term[terms++] = {entry, rows, times_step};
  }
};

// Two columns of one row, at i and half + i, as vectors or, in the rest of a half, as numbers.
template <class V, class T>
inline V load_as(const T* p) {
  if constexpr (std::is_same_v<V, T>) {
    return *p;
  } else {
    return load(p);
  }
}

template <class V, class T>
inline void store_as(T* p, V v) {
  if constexpr (std::is_same_v<V, T>) {
    *p = v;
  } else {
    store(p, v);
  }
}

// out (+)= factor x, or factor M x with the blocks M, at columns i and half + i. `out` may be x.
template <class V, bool kAdd, bool kMatrix, class T>
inline void mix_at(const T* m, int64_t off_upper, int64_t off_lower, T factor, const T* x, int64_t half, int64_t i,
                   T* out) {
  V q = load_as<V>(x + i), p = load_as<V>(x + half + i);
  if constexpr (kMatrix) {
    const V v = q, w = p;
    q = load_as<V>(m + i) * v + load_as<V>(m + off_upper + i) * w;
    p = load_as<V>(m + off_lower + i) * v + load_as<V>(m + 3 * half + i) * w;
  }
  q *= factor;
  p *= factor;
  if constexpr (kAdd) {
    q += load_as<V>(out + i);
    p += load_as<V>(out + half + i);
  }
  store_as<V>(out + i, q);
  store_as<V>(out + half + i, p);
}

template <bool kAdd, bool kMatrix, class T>
void mix_row(const T* m, bool transposed, T factor, const T* x, int64_t half, T* out) {
  const int64_t off_upper = transposed ? 2 * half : half, off_lower = transposed ? half : 2 * half;
  int64_t i = 0;
  for (; i + kLanes<T> <= half; i += kLanes<T>)
    mix_at<Vector<T>, kAdd, kMatrix>(m, off_upper, off_lower, factor, x, half, i, out);
  for (; i < half; ++i) mix_at<T, kAdd, kMatrix>(m, off_upper, off_lower, factor, x, half, i, out);
}

// out[r] = the mixture at row r, whose step is step[r], with the matrices or their transposes. `out` may be the first
// term's rows.
template <class T>
void mix(const Mixture<T>& mixture, const BlockRows<T>& blocks, const T* step, int64_t rows, int64_t half,
         bool transposed, T* const* out) {
  for (int64_t r = 0; r < rows; ++r)
    for (int j = 0; j < mixture.terms; ++j) {
      const typename Mixture<T>::Term& term = mixture.term[j];
      const T factor = term.entry.coefficient * (term.times_step ? step[r] : T(1));
      const T* x = term.rows[r];
      if (term.entry.place >= 0) {
        const T* m = blocks.at(r, term.entry.place);
        j == 0 ? mix_row<false, true>(m, transposed, factor, x, half, out[r])
               : mix_row<true, true>(m, transposed, factor, x, half, out[r]);
      } else {
        j == 0 ? mix_row<false, false>(x, false, factor, x, half, out[r])
               : mix_row<true, false>(x, false, factor, x, half, out[r]);
      }
    }
}

template <class V, class T>
inline void add_block_products_at(const Rows<T>& result, const T* step, const Rows<T>& source, int64_t rows,
                                  int64_t half, int64_t i, T* out) {
  V sum[4] = {};
  for (int64_t r = 0; r < rows; ++r) {
    const T factor = step == nullptr ? T(1) : step[r];
    const V a = factor * load_as<V>(result[r] + i), b = factor * load_as<V>(result[r] + half + i);
    const V v = load_as<V>(source[r] + i), w = load_as<V>(source[r] + half + i);
    sum[0] += a * v;
    sum[1] += a * w;
    sum[2] += b * v;
    sum[3] += b * w;
  }
  for (int j = 0; j < 4; ++j) store_as<V>(out + j * half + i, load_as<V>(out + j * half + i) + sum[j]);
}

// out (4, half) += the outer products, block by block, of result[r], times its step if there is one, and source[r].
template <class T>
void add_block_products(const Rows<T>& result, const T* step, const Rows<T>& source, int64_t rows, int64_t half,
                        T* out) {
  int64_t i = 0;
  for (; i + kLanes<T> <= half; i += kLanes<T>)
    add_block_products_at<Vector<T>>(result, step, source, rows, half, i, out);
  for (; i < half; ++i) add_block_products_at<T>(result, step, source, rows, half, i, out);
}

}  // namespace odernn
