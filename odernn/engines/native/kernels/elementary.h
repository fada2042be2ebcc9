// tanh and the logistic function on vectors, each from one evaluation of expm1.
//
// expm1(v) = 2^n (exp(r) - 1) + (2^n - 1) with v = n ln 2 + r and |r| <= ln(2)/2: the second term is exact and the
// first is a Taylor polynomial without constant term, so small arguments keep their relative accuracy. The truncation
// error is below 2^-26 (float, degree 7) and 2^-56 (double, degree 13) of the result;
// tests/odernn/engines/native/test_native_kernels.py measures the whole error (at most 3 units in the last place).
#pragma once

#include "simd.h"

namespace odernn {

template <class T>
struct Constants;

template <>
struct Constants<float> {
  static constexpr float kLog2e = 1.44269504088896341f;
  static constexpr float kLn2High = 0.693145751953125f;  // 16 bits: n times it is exact
  static constexpr float kLn2Low = 1.42860682030941723e-6f;
  static constexpr float kRounder = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer, left in the low bits
  static constexpr int kMantissa = 23;
  static constexpr int32_t kOneBits = 0x3f800000;
  static constexpr int32_t kSign = INT32_MIN;
  static constexpr float kTanhIsOne = 10.0f;  // 1 - tanh(10) = 4e-9, below half a unit in the last place
  static constexpr float kLargest = 87.0f;    // exp(-87) is still a normal number
  static constexpr int kDegree = 7;
};

template <>
struct Constants<double> {
  static constexpr double kLog2e = 1.44269504088896340736;
  static constexpr double kLn2High = 0.69314718036912381649;
  static constexpr double kLn2Low = 1.9082149292705877e-10;
  static constexpr double kRounder = 6755399441055744.0;
  static constexpr int kMantissa = 52;
  static constexpr int64_t kOneBits = 0x3ff0000000000000;
  static constexpr int64_t kSign = INT64_MIN;
  static constexpr double kTanhIsOne = 20.0;
  static constexpr double kLargest = 708.0;
  static constexpr int kDegree = 13;
};

// exp(v) - 1 = scale * tail + (scale - 1), with v in [-kLargest, 0].
template <class T>
struct Exponential {
  Vector<T> scale, tail;

  explicit inline Exponential(Vector<T> v) {
    using C = Constants<T>;
    const Vector<T> shifted = v * splat<T>(C::kLog2e) + splat<T>(C::kRounder);
    const Vector<T> n = shifted - splat<T>(C::kRounder);
    const Vector<T> r = (v - n * splat<T>(C::kLn2High)) - n * splat<T>(C::kLn2Low);
    scale = (Vector<T>)(((Bits<T>)shifted << C::kMantissa) + C::kOneBits);
    T factorial[C::kDegree + 1] = {1};
    for (int i = 1; i <= C::kDegree; ++i) factorial[i] = factorial[i - 1] * i;  // folded by the compiler
    Vector<T> p = splat<T>(1 / factorial[C::kDegree]);
    for (int i = C::kDegree - 1; i >= 2; --i) p = p * r + splat<T>(1 / factorial[i]);
    tail = p * (r * r) + r;
  }

  inline Vector<T> minus_one() const { return scale * tail + (scale - splat<T>(1)); }
  inline Vector<T> value() const { return scale * tail + scale; }
};

template <class T>
struct Fraction {
  Vector<T> over, under;
};

template <class T>
inline Vector<T> with_sign_of(Vector<T> magnitude, Vector<T> x) {
  return (Vector<T>)((Bits<T>)magnitude | ((Bits<T>)x & Constants<T>::kSign));
}

template <class T>
inline Vector<T> magnitude_up_to(Vector<T> x, T limit) {
  const Vector<T> m = (Vector<T>)((Bits<T>)x & ~Constants<T>::kSign);
  return m > splat<T>(limit) ? splat<T>(limit) : m;  // a NaN stays a NaN
}

// tanh(x) = over / under, over = 1 - exp(-2|x|) with the sign of x.
template <class T>
inline Fraction<T> tanh_fraction(Vector<T> x) {
  const Exponential<T> e(magnitude_up_to<T>(x, Constants<T>::kTanhIsOne) * splat<T>(-2));
  const Vector<T> m = e.minus_one();
  return {with_sign_of<T>(-m, x), m + splat<T>(2)};
}

// 1 / (1 + exp(-x)) = over / under.
template <class T>
inline Fraction<T> logistic_fraction(Vector<T> x) {
  const Exponential<T> e(-magnitude_up_to<T>(x, Constants<T>::kLargest));
  const Vector<T> v = e.value();
  return {x >= splat<T>(0) ? splat<T>(1) : v, v + splat<T>(1)};
}

template <class T>
inline Vector<T> tanh_of(Vector<T> x) {
  const Fraction<T> f = tanh_fraction<T>(x);
  return f.over / f.under;
}

template <class T>
inline Vector<T> logistic_of(Vector<T> x) {
  const Fraction<T> f = logistic_fraction<T>(x);
  return f.over / f.under;
}

}  // namespace odernn
