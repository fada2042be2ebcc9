#include "matmul.h"

#include <algorithm>

namespace odernn {
namespace {

constexpr int kWide = kAccumulators >= 24 ? 4 : 2;  // vectors of a full tile: kTileRows * kWide accumulators
constexpr int64_t kOuterRows = 64;                  // rows summed in registers before they are added to memory

// A register tile: R rows, C vectors of columns in panels.
template <class T, int R, int C>
void tile(const T* const* a, const T* w, int64_t panel, int64_t inner, const T* initial, int64_t initial_stride, T* out,
          int64_t out_stride) {
  constexpr int L = kLanes<T>;
  constexpr int kStep = (C < kPanelVectors ? C : kPanelVectors) * L;
  Vector<T> sum[R][C];
  const T* rows[R];
  ODERNN_UNROLL
  for (int r = 0; r < R; ++r) {
    rows[r] = a[r];
    ODERNN_UNROLL
    for (int c = 0; c < C; ++c) sum[r][c] = load(initial + r * initial_stride + c * L);
  }
  for (int64_t k = 0; k < inner; ++k) {
    Vector<T> v[C];
    ODERNN_UNROLL
    for (int c = 0; c < C; ++c) v[c] = load(w + (c / kPanelVectors) * panel + (c % kPanelVectors) * L);
    w += kStep;
    ODERNN_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vector<T> x = splat(rows[r][k]);
      ODERNN_UNROLL
      for (int c = 0; c < C; ++c) sum[r][c] += x * v[c];
    }
  }
  ODERNN_UNROLL
  for (int r = 0; r < R; ++r) {
    ODERNN_UNROLL
    for (int c = 0; c < C; ++c) store(out + r * out_stride + c * L, sum[r][c]);
  }
}

template <class T, int C>
void tile_of(int64_t rows, const T* const* a, const T* w, int64_t panel, int64_t inner, const T* initial, int64_t is,
             T* out, int64_t os) {
  switch (rows) {
    case 1:
      return tile<T, 1, C>(a, w, panel, inner, initial, is, out, os);
    case 2:
      return tile<T, 2, C>(a, w, panel, inner, initial, is, out, os);
    case 3:
      return tile<T, 3, C>(a, w, panel, inner, initial, is, out, os);
  }
  if constexpr (C <= kWide) {
    switch (rows) {
      case 4:
        return tile<T, 4, C>(a, w, panel, inner, initial, is, out, os);
      case 5:
        return tile<T, 5, C>(a, w, panel, inner, initial, is, out, os);
      case 6:
        return tile<T, 6, C>(a, w, panel, inner, initial, is, out, os);
    }
  }
}

// C vectors of columns of all rows: what is packed of them stays in the first-level cache from tile to tile.
template <class T, int C>
void column_panel(const T* const* a, int64_t rows, const Packed<T>& w, const T* panels, const T* initial, int64_t is,
                  T* out, int64_t os) {
  const int64_t panel = w.inner * kPanelVectors * kLanes<T>, tiles = (rows + kTileRows - 1) / kTileRows;
  for (int64_t t = 0; t < tiles; ++t) {
    const int64_t begin = rows * t / tiles, n = rows * (t + 1) / tiles - begin;
    const T* from[kTileRows];
    for (int64_t r = 0; r < n; ++r) from[r] = a[begin + r] + w.first;
    tile_of<T, C>(n, from, panels, panel, w.inner, initial + begin * is, is, out + begin * os, os);
  }
}

// A register tile of the outer product: R columns of a, C vectors of columns of b, over `rows` rows. b(k) is where
// those of row k begin.
template <class T, int R, int C, class Rows>
void outer_tile(const T* a, int64_t a_stride, const Rows& b, int64_t rows, T* out, int64_t out_stride) {
  constexpr int L = kLanes<T>;
  Vector<T> sum[R][C] = {};
  for (int64_t k = 0; k < rows; ++k) {
    Vector<T> v[C];
    ODERNN_UNROLL
    for (int c = 0; c < C; ++c) v[c] = load(b(k) + c * L);
    ODERNN_UNROLL
    for (int r = 0; r < R; ++r) {
      const Vector<T> x = splat(a[r]);
      ODERNN_UNROLL
      for (int c = 0; c < C; ++c) sum[r][c] += x * v[c];
    }
    a += a_stride;
  }
  ODERNN_UNROLL
  for (int r = 0; r < R; ++r) {
    ODERNN_UNROLL
    for (int c = 0; c < C; ++c) store(out + r * out_stride + c * L, load(out + r * out_stride + c * L) + sum[r][c]);
  }
}

template <class T, int C, class Rows>
void outer_panel(const T* a, int64_t a_stride, int64_t columns_a, const Rows& b, int64_t rows, T* out,
                 int64_t out_stride) {
  const int64_t tiles = (columns_a + kTileRows - 1) / kTileRows;
  for (int64_t t = 0; t < tiles; ++t) {  // tiles as equal as can be: a tile of one column would waste its loads
    const int64_t begin = columns_a * t / tiles, n = columns_a * (t + 1) / tiles - begin;
    const T* x = a + begin;
    T* o = out + begin * out_stride;
    switch (n) {
      case 1:
        outer_tile<T, 1, C>(x, a_stride, b, rows, o, out_stride);
        break;
      case 2:
        outer_tile<T, 2, C>(x, a_stride, b, rows, o, out_stride);
        break;
      case 3:
        outer_tile<T, 3, C>(x, a_stride, b, rows, o, out_stride);
        break;
      case 4:
        outer_tile<T, 4, C>(x, a_stride, b, rows, o, out_stride);
        break;
      case 5:
        outer_tile<T, 5, C>(x, a_stride, b, rows, o, out_stride);
        break;
      default:
        outer_tile<T, 6, C>(x, a_stride, b, rows, o, out_stride);
    }
  }
}

// Rows of b, columns [first, first + width) with zeros beyond `columns`, one after the other.
template <class T>
void gather(const T* const* b, int64_t rows, int64_t first, int64_t width, int64_t columns, T* out) {
  const int64_t present = std::min(width, columns - first);
  for (int64_t k = 0; k < rows; ++k, out += width) {
    const T* source = b[k] + first;
    if (present == width) {
      for (int64_t c = 0; c < width; c += kLanes<T>) store(out + c, load(source + c));
    } else {
      for (int64_t c = 0; c < width; ++c) out[c] = c < present ? source[c] : T(0);
    }
  }
}

// C vectors of columns of the outer product, from `column` on. Rows of b that several tiles read are packed before.
template <class T, int C>
void outer_columns(const T* a, int64_t a_stride, int64_t columns_a, const T* const* b, int64_t column,
                   int64_t columns_b, int64_t rows, T* out, int64_t out_stride) {
  constexpr int64_t kWidth = C * kLanes<T>;
  if (columns_a <= kTileRows && column + kWidth <= columns_b)
    return outer_panel<T, C>(
        a, a_stride, columns_a, [=](int64_t k) { return b[k] + column; }, rows, out + column, out_stride);
  alignas(64) T packed[kOuterRows * kWidth];
  gather(b, rows, column, kWidth, columns_b, packed);
  const T* const first = packed;
  outer_panel<T, C>(
      a, a_stride, columns_a, [=](int64_t k) { return first + k * kWidth; }, rows, out + column, out_stride);
}

}  // namespace

template <class T>
Packed<T> pack(const T* source, int64_t row_stride, int64_t column_stride, int64_t inner, int64_t columns,
               Allocator& allocator) {
  constexpr int L = kLanes<T>;
  const int64_t padded = whole_vectors<T>(columns);
  T* data = allocator.take<T>(std::max<int64_t>(inner * padded, 1));
  T* out = data;
  for (int64_t first = 0; first < padded; first += kPanelVectors * L) {
    const int64_t width = std::min<int64_t>(kPanelVectors * L, padded - first);
    for (int64_t i = 0; i < inner; ++i)
      for (int64_t j = first; j < first + width; ++j)
        *out++ = j < columns ? source[i * row_stride + j * column_stride] : T(0);
  }
  return {data, inner, padded};
}

template <class T>
void multiply(const T* const* a, int64_t rows, const Packed<T>& w, const T* initial, int64_t is, T* out, int64_t os) {
  const int64_t vectors = w.columns / kLanes<T>, widest = rows <= 3 ? 2 * kWide : kWide;
  const T* panels = w.data;
  for (int64_t r = 0; w.zeros > 0 && out != initial && r < rows; ++r)
    std::copy(initial + r * is, initial + r * is + w.zeros, out + r * os);
  initial += w.zeros, out += w.zeros;
  for (int64_t done = 0; done < vectors;) {
    const int64_t left = vectors - done, c = left >= widest ? widest : left >= 4 && widest > 4 ? 4 : left >= 2 ? 2 : 1;
    const int64_t column = done * kLanes<T>;
    switch (c) {
      case 8:
        column_panel<T, 8>(a, rows, w, panels, initial + column, is, out + column, os);
        break;
      case 4:
        column_panel<T, 4>(a, rows, w, panels, initial + column, is, out + column, os);
        break;
      case 2:
        column_panel<T, 2>(a, rows, w, panels, initial + column, is, out + column, os);
        break;
      default:
        column_panel<T, 1>(a, rows, w, panels, initial + column, is, out + column, os);
    }
    done += c;
    panels += c * w.inner * kLanes<T>;
  }
}

template <class T>
void add_outer(const T* a, int64_t a_stride, int64_t columns_a, const T* const* b, int64_t columns_b, int64_t rows,
               T* out, int64_t out_stride) {
  constexpr int L = kLanes<T>;
  for (int64_t first = 0; first < rows; first += kOuterRows) {
    const int64_t n = std::min(kOuterRows, rows - first);
    const T* x = a + first * a_stride;
    for (int64_t column = 0; column < columns_b;) {
      const int64_t left = whole_vectors<T>(columns_b - column) / L;
      const int64_t c = left >= kWide ? kWide : left >= 2 ? 2 : 1;
      if (c == kWide) {
        outer_columns<T, kWide>(x, a_stride, columns_a, b + first, column, columns_b, n, out, out_stride);
      } else if (c == 2) {
        outer_columns<T, 2>(x, a_stride, columns_a, b + first, column, columns_b, n, out, out_stride);
      } else {
        outer_columns<T, 1>(x, a_stride, columns_a, b + first, column, columns_b, n, out, out_stride);
      }
      column += c * L;
    }
  }
}

#define ODERNN_INSTANTIATE(T)                                                                            \
  template Packed<T> pack<T>(const T*, int64_t, int64_t, int64_t, int64_t, Allocator&);                  \
  template void multiply<T>(const T* const*, int64_t, const Packed<T>&, const T*, int64_t, T*, int64_t); \
  template void add_outer<T>(const T*, int64_t, int64_t, const T* const*, int64_t, int64_t, T*, int64_t);
ODERNN_INSTANTIATE(float)
ODERNN_INSTANTIATE(double)
#undef ODERNN_INSTANTIATE

}  // namespace odernn
