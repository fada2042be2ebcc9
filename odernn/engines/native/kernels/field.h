// The kernels of a field of the user's own as the operators find them: a table, which its library gives. The operators
// themselves are compiled once, for all fields: torch's headers cost more than the kernels.
#pragma once

#include "problem.h"

namespace odernn {

// The sweeps over the rows of a batch: see problem.h.
template <class T>
struct Sweeps {
  decltype(&solve_rows<T>) solve;
  decltype(&pull_back_rows<T>) pull_back;
};

struct FieldKernels {
  int64_t preactivations, controls;  // columns for each column of the state
  int64_t lanes, problem_bytes;      // what its compiler made of simd.h and problem.h: the operators hand problems over
  Sweeps<float> of_float;
  Sweeps<double> of_double;
};

template <class T>
Sweeps<T> sweeps_of(const FieldKernels* field) {
  if (field == nullptr) return {&solve_rows<T>, &pull_back_rows<T>};
  if constexpr (sizeof(T) == sizeof(float)) {
    return field->of_float;
  } else {
    return field->of_double;
  }
}

}  // namespace odernn

// All else is hidden by the flags of the build.
extern "C" __attribute__((visibility("default"))) const odernn::FieldKernels* odernn_field_kernels();
