// Vectors as the compiler gives them (GCC and Clang vector extensions): one source for AVX-512, AVX2, SSE and NEON.
#pragma once

#include <cstdint>

// The loops over a register tile must be gone before the compiler decides what lives in registers.
#if defined(__clang__)
#define ODERNN_UNROLL _Pragma("clang loop unroll(full)")
#else
#define ODERNN_UNROLL _Pragma("GCC unroll 16")
#endif

namespace odernn {

#if defined(__AVX512F__)
constexpr int kVectorBytes = 64;
constexpr int kAccumulators = 24;  // vectors of a register tile; the rest of the 32 hold operands
#elif defined(__AVX__)
constexpr int kVectorBytes = 32;
constexpr int kAccumulators = 12;
#elif defined(__aarch64__)
constexpr int kVectorBytes = 16;
constexpr int kAccumulators = 24;
#else
constexpr int kVectorBytes = 16;
constexpr int kAccumulators = 12;
#endif

template <class T>
struct VectorOf;

template <>
struct VectorOf<float> {
  typedef float Value __attribute__((vector_size(kVectorBytes)));
  typedef float Unaligned __attribute__((vector_size(kVectorBytes), aligned(4), may_alias));
  typedef int32_t Bits __attribute__((vector_size(kVectorBytes)));
  static constexpr int kLanes = kVectorBytes / 4;
};

template <>
struct VectorOf<double> {
  typedef double Value __attribute__((vector_size(kVectorBytes)));
  typedef double Unaligned __attribute__((vector_size(kVectorBytes), aligned(8), may_alias));
  typedef int64_t Bits __attribute__((vector_size(kVectorBytes)));
  static constexpr int kLanes = kVectorBytes / 8;
};

template <class T>
using Vector = typename VectorOf<T>::Value;
template <class T>
using Bits = typename VectorOf<T>::Bits;
template <class T>
constexpr int kLanes = VectorOf<T>::kLanes;

template <class T>
inline Vector<T> load(const T* p) {
  return *reinterpret_cast<const typename VectorOf<T>::Unaligned*>(p);
}

template <class T>
inline void store(T* p, Vector<T> v) {
  *reinterpret_cast<typename VectorOf<T>::Unaligned*>(p) = v;
}

template <class T>
inline Vector<T> splat(T x) {
  return x - Vector<T>{};  // x - 0 is x for every x, so this is one broadcast
}

template <class T>
inline T sum_of_lanes(Vector<T> v) {
  T total = 0;
  for (int i = 0; i < kLanes<T>; ++i) total += v[i];
  return total;
}

template <class T>
constexpr int64_t whole_vectors(int64_t n) {
  return (n + kLanes<T> - 1) / kLanes<T> * kLanes<T>;
}

}  // namespace odernn
