// The arguments of a general linear method: the parts of its program, and what it continues from.
#pragma once

#include "arguments.h"

namespace odernn {

void check_general_linear(const Arguments& arguments);

// `carried` and `coefficients`, of any method.
void check_carried(const Arguments& arguments);

// What a call of a general linear method gives beside the states: how many vectors there are at the end, besides the
// state, and how many are kept. Of any other method none.
struct CarriedCounts {
  int64_t at_end = 0, kept = 0;
};
CarriedCounts carried_counts(const Arguments& arguments);

// What a general linear method continues from; the tensors outlive the problem.
template <class T>
void add_carried(const MaybeTensor& carried, const MaybeTensor& coefficients, Problem<T>& problem);

// The steps of a general linear method, and what it continues from.
template <class T>
void add_general_linear(const Arguments& arguments, Problem<T>& problem);

}  // namespace odernn
