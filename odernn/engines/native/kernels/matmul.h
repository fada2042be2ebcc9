// The two matrix products of a recurrent network, for rows that lie anywhere and few of them: no packing of the rows,
// weights packed once.
#pragma once

#include "arena.h"
#include "simd.h"

namespace odernn {

constexpr int kTileRows = 6;      // rows of a register tile
constexpr int kPanelVectors = 2;  // vectors of a packed panel

// A matrix (inner, columns), its columns padded to whole vectors and cut into panels of kPanelVectors vectors: panel,
// inner, column. Rows are multiplied from their entry number `first` on, and the product has `zeros` columns of zeros
// before those of the matrix.
template <class T>
struct Packed {
  const T* data = nullptr;
  int64_t inner = 0;
  int64_t columns = 0;  // padded
  int64_t first = 0;
  int64_t zeros = 0;
};

// Entry (i, j) of the result is source[i * row_stride + j * column_stride] for i < inner, j < columns; padding is zero.
template <class T>
Packed<T> pack(const T* source, int64_t row_stride, int64_t column_stride, int64_t inner, int64_t columns,
               Allocator& allocator);

// out[r] = initial[r] + a[r] w for r < rows; `initial` may be `out` itself, or one row (initial_stride = 0).
template <class T>
void multiply(const T* const* a, int64_t rows, const Packed<T>& w, const T* initial, int64_t initial_stride, T* out,
              int64_t out_stride);

// out (columns_a, columns_b) += sum_r a[r]^T b[r]. Rows of a are `a_stride` apart; rows of b lie anywhere and hold
// columns_b numbers; rows of out are `out_stride` apart, at least whole_vectors(columns_b).
template <class T>
void add_outer(const T* a, int64_t a_stride, int64_t columns_a, const T* const* b, int64_t columns_b, int64_t rows,
               T* out, int64_t out_stride);

}  // namespace odernn
