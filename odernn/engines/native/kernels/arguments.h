// From the operators' tensors to a Problem: every check is here, each error names the argument, what came and what was
// wanted.
#pragma once

#include <ATen/core/Tensor.h>

#include <optional>
#include <vector>

#include "field.h"
#include "program.h"

namespace odernn {

using at::Tensor;
using MaybeTensor = std::optional<Tensor>;

template <class T>
const T* data_or_null(const MaybeTensor& tensor) {
  return tensor.has_value() ? tensor->const_data_ptr<T>() : nullptr;
}

// The arguments that `solve` and `pull_back` have in common, as they came.
struct Arguments {
  const Tensor &y0, &weight, &samples;
  const MaybeTensor &input_weight, &bias, &before;
  const Tensor& dt;
  const MaybeTensor &carried, &coefficients, &blocks, &index, &lengths;
  const Program program;
  const FieldKernels* field = nullptr;  // of the user's own

  bool ragged() const { return lengths.has_value(); }
  int64_t times() const { return ragged() ? *lengths->const_data_ptr<int64_t>() : samples.size(0); }
  int64_t inputs() const { return samples.size(-1); }
  // The states that are saved, but for their columns.
  std::vector<int64_t> saved_sizes(int64_t columns) const {
    const int64_t count =
        (program.packed ? index->size(0) : samples.size(0)) * (program.is_general_linear() ? program.substeps : 1);
    return ragged() ? std::vector<int64_t>{count, columns} : std::vector<int64_t>{count, y0.size(0), columns};
  }
};

// The tensors in the operators' schemas, which odernn/engines/operators.py has too.
#define ODERNN_OPERANDS                                                                                       \
  "Tensor y0, Tensor weight, Tensor samples, Tensor? input_weight, Tensor? bias, Tensor? before, Tensor dt, " \
  "Tensor? carried, Tensor? coefficients, Tensor? blocks, Tensor? index, Tensor? lengths"

void check_arguments(const Arguments& arguments);

// Columns of the preactivation and of the control for each column of the state.
struct KindFacts {
  const char* name;
  Kind kind;
  int64_t preactivations, controls;
};
KindFacts kind_facts(const Arguments& arguments);

// Neighbouring rows.
struct Run {
  int64_t first, count;
};

// Of several lengths: the rows of `samples` that no row of the batch has. Each of the others belongs to one.
std::vector<Run> places_without_samples(const Arguments& arguments);

// A tensor of `sizes`, of the dtype of `like`, on the CPU; its entries may lie anyhow.
void check_facts(const char* name, const Tensor& tensor, at::IntArrayRef sizes, const Tensor& like);
// The same, contiguous.
void check_tensor(const char* name, const Tensor& tensor, at::IntArrayRef sizes, const Tensor& like);

// One solver step, for all, for each sample, or for each row and sample, of y's dtype, and its strides.
struct Steps {
  Tensor values;
  int64_t time = 0, row = 0;
};
Steps solver_steps(const Tensor& dt, int64_t times, int64_t batch, int64_t substeps, const Tensor& like);
Steps solver_steps(const Arguments& arguments);

// Which passes will run: only the backward pass needs the weights' other packing.
enum class Direction { kForward, kBoth };

// `steps` and the tensors outlive the problem; what is packed lies in `allocator`.
template <class T>
Problem<T> make_problem(const Arguments& arguments, const Steps& steps, Direction direction, Allocator& allocator);

}  // namespace odernn
