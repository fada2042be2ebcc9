#include "recursion.h"

namespace odernn {
namespace {

template <class T>
class Rows {
 public:
  Rows(const Recursion<T>& recursion, int64_t begin, int64_t rows, Scratch& scratch)
      : p_(recursion), begin_(begin), rows_(rows), padded_(recursion.pullback.columns) {
    lambda_ = scratch.take_zeros<T>(rows * padded_);
    zeros_ = scratch.take_zeros<T>(padded_);
    for (int64_t i = 0; i < p_.stages; ++i) mu_.push_back(scratch.take<T>(rows * padded_));
    cotangents_ = scratch.take<const T*>(rows);
    add(p_.lambda);
  }

  void run() {
    for (int64_t n = p_.steps - 1; n >= 0; --n) {
      if (p_.trajectory != nullptr) add(p_.trajectory + n * p_.batch * p_.width);
      for (int64_t i = p_.stages - 1; i >= 0; --i) stage(n, i);
      for (const T* mu : mu_)
        for (int64_t j = 0; j < rows_ * padded_; ++j) lambda_[j] += mu[j];
    }
    for (int64_t r = 0; r < rows_; ++r)
      for (int64_t j = 0; j < p_.width; ++j) p_.out[(begin_ + r) * p_.width + j] = lambda_[r * padded_ + j];
  }

 private:
  void add(const T* rows) {
    for (int64_t r = 0; r < rows_; ++r)
      for (int64_t j = 0; j < p_.width; ++j) lambda_[r * padded_ + j] += rows[(begin_ + r) * p_.width + j];
  }

  // kappa_i = dt (b_i lambda + sum_{j>i} a_ji mu_j), mu_i = D_y kappa_i + (D_p kappa_i) K.
  void stage(int64_t n, int64_t i) {
    const int64_t first = (n * p_.stages + i) * p_.batch + begin_, width = p_.width, image = p_.groups * width;
    for (int64_t r = 0; r < rows_; ++r) {
      T* kappa = p_.kappa + (first + r) * width;
      const T* lambda = lambda_ + r * padded_;
      for (int64_t j = 0; j < width; ++j) kappa[j] = p_.b[i] * lambda[j];
      for (int64_t s = i + 1; s < p_.stages; ++s) {
        const T a = p_.a[s * p_.stages + i];
        const T* mu = mu_[s] + r * padded_;
        if (a != T(0))
          for (int64_t j = 0; j < width; ++j) kappa[j] += a * mu[j];
      }
      const T step = p_.dt[n * p_.dt_time + (begin_ + r) * p_.dt_row];
      for (int64_t j = 0; j < width; ++j) kappa[j] *= step;
      const T* derivative = p_.image_derivative + (first + r) * image;
      T* cotangent = p_.image_cotangent + (first + r) * image;
      for (int64_t g = 0; g < p_.groups; ++g)
        for (int64_t j = 0; j < width; ++j) cotangent[g * width + j] = derivative[g * width + j] * kappa[j];
      cotangents_[r] = cotangent;
    }
    multiply(cotangents_, rows_, p_.pullback, zeros_, int64_t(0), mu_[i], padded_);
    if (p_.state_derivative == nullptr) return;
    for (int64_t r = 0; r < rows_; ++r) {
      const T *derivative = p_.state_derivative + (first + r) * width, *kappa = p_.kappa + (first + r) * width;
      for (int64_t j = 0; j < width; ++j) mu_[i][r * padded_ + j] += derivative[j] * kappa[j];
    }
  }

  const Recursion<T>& p_;
  int64_t begin_, rows_, padded_;
  T *lambda_, *zeros_;
  std::vector<T*> mu_;
  const T** cotangents_;
};

}  // namespace

template <class T>
void recur_rows(const Recursion<T>& recursion, int64_t begin, int64_t end) {
  constexpr int64_t kMost = 2 * kTileRows;
  const int64_t n = end - begin, blocks = (n + kMost - 1) / kMost;
  for (int64_t i = 0; i < blocks; ++i) {
    Scratch scratch;
    const int64_t first = n * i / blocks;
    Rows<T>(recursion, begin + first, n * (i + 1) / blocks - first, scratch).run();
  }
}

template void recur_rows<float>(const Recursion<float>&, int64_t, int64_t);
template void recur_rows<double>(const Recursion<double>&, int64_t, int64_t);

}  // namespace odernn
