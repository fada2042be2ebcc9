#include "arguments.h"

#include <ATen/ops/div.h>
#include <c10/util/Exception.h>

#include <algorithm>

#include "kept_half.h"
#include "linear_arguments.h"

namespace odernn {
namespace {

constexpr KindFacts kKinds[] = {
    {"tanh", Kind::kTanh, 1, 1},                       // tanh(p + u)
    {"gated-tanh", Kind::kGatedTanh, 1, 2},            // sigmoid(p + u_2) tanh(p + u_1)
    {"linear", Kind::kLinear, 1, 1},                   // p + u
    {"linear-plus-tanh", Kind::kLinearPlusTanh, 2, 1}  // p_1 + tanh(p_2 + u)
};

bool one_of(c10::string_view value, std::initializer_list<const char*> names) {
  for (const char* name : names)
    if (value == name) return true;
  return false;
}

void check_names(const Arguments& x) {
  TORCH_CHECK_VALUE(one_of(x.program.squash, {"identity", "tanh"}), "`squash` is '", x.program.squash,
                    "'; give 'identity' or 'tanh'");
  TORCH_CHECK_VALUE(one_of(x.program.hold, {"zero-order", "linear"}), "`hold` is '", x.program.hold,
                    "'; give 'zero-order' or 'linear'");
  TORCH_CHECK_VALUE(one_of(x.program.family, {"runge-kutta", "exponential", "shears", "general-linear"}),
                    "`family` is '", x.program.family,
                    "'; give 'runge-kutta', 'exponential', 'shears' or 'general-linear'");
  TORCH_CHECK_VALUE(x.program.substeps >= 1, "`substeps` is ", x.program.substeps, "; give at least 1");
}

void check_moved(const Arguments& x, int64_t columns) {
  const size_t stages = x.program.b.size();
  TORCH_CHECK_VALUE(x.program.moved.size() == stages, "`moved` has ", x.program.moved.size(), " entries and `b` ",
                    stages, "; give as many");
  for (const int64_t half : x.program.moved)
    TORCH_CHECK_VALUE(half == 0 || half == 1, "`moved` has the entry ", half,
                      "; 0 moves the first half of the state, 1 the second");
  TORCH_CHECK_VALUE(columns % 2 == 0, "`y0` has ", columns, " columns; partitioned methods need an even number");
}

void check_scheme(const Arguments& x, int64_t columns) {
  const size_t stages = x.program.b.size();
  const bool known = x.field == nullptr || x.program.family == "runge-kutta" || x.program.is_general_linear();
  TORCH_CHECK_VALUE(known, "`family` is '", x.program.family,
                    "'; a traced field takes 'runge-kutta' or 'general-linear'");
  if (x.program.is_general_linear()) return check_general_linear(x);
  TORCH_CHECK_VALUE(stages >= 1 && x.program.c.size() == stages, "`b` has ", stages, " entries and `c` ",
                    x.program.c.size(), "; give as many of each, at least one");
  if (x.program.family == "runge-kutta" || x.program.family == "exponential") {
    TORCH_CHECK_VALUE(stages < kMostTerms, "a tableau of ", stages, " stages; at most ", kMostTerms - 1);
    TORCH_CHECK_VALUE(x.program.a.size() == stages * stages, "`a` has ", x.program.a.size(), " entries; a tableau of ",
                      stages, " stages has ", stages * stages);
    for (size_t i = 0; i < stages; ++i)
      for (size_t j = i; j < stages; ++j)
        TORCH_CHECK_VALUE(x.program.a[i * stages + j] == 0, "`a` is not strictly lower triangular at (", i, ", ", j,
                          "); give an explicit tableau");
    if (x.field != nullptr && !x.program.moved.empty()) check_moved(x, columns);
    return;
  }
  check_moved(x, columns);
  TORCH_CHECK_VALUE(x.program.kind == "tanh", "`kind` is '", x.program.kind, "'; partitioned methods take 'tanh'");
}

void check_blocks(const Arguments& x, int64_t columns) {
  if (x.program.family != "exponential") {
    TORCH_CHECK_VALUE(!x.blocks.has_value(), "`blocks` is given and `family` is '", x.program.family,
                      "'; only 'exponential' has matrices");
    return;
  }
  const int64_t stages = static_cast<int64_t>(x.program.b.size()), entries = stages * stages + 2 * stages + 1,
                times = x.times();
  TORCH_CHECK_VALUE(columns % 2 == 0, "`y0` has ", columns, " columns; 2 x 2 blocks need an even number");
  TORCH_CHECK_VALUE(x.program.kind != "linear-plus-tanh",
                    "`kind` is 'linear-plus-tanh'; an exponential method takes the remainder's: give 'tanh'");
  TORCH_CHECK_VALUE(x.blocks.has_value(), "`blocks` is missing; an exponential method needs its matrices");
  const Tensor& blocks = *x.blocks;
  const bool fits = blocks.dim() == 5 && (blocks.size(0) == 1 || blocks.size(0) == times);
  TORCH_CHECK_VALUE(fits, "`blocks` has shape ", blocks.sizes(), "; wanted (1 or ", times, ", matrices, 2, 2, ",
                    columns / 2, ")");
  check_tensor("blocks", blocks, {blocks.size(0), blocks.size(1), 2, 2, columns / 2}, x.y0);
  TORCH_CHECK_VALUE(static_cast<int64_t>(x.program.places.size()) == entries, "`places` has ", x.program.places.size(),
                    " entries; a tableau of ", stages, " stages has ", entries);
  for (const int64_t place : x.program.places)
    TORCH_CHECK_VALUE(place >= -1 && place < blocks.size(1), "`places` has the entry ", place, " and `blocks` ",
                      blocks.size(1), " matrices; give the number of one, or -1");
}

void check_whole_numbers(const char* name, const Tensor& tensor, bool fits, const char* wanted) {
  TORCH_CHECK_VALUE(fits, "`", name, "` has shape ", tensor.sizes(), "; wanted ", wanted);
  TORCH_CHECK_TYPE(tensor.scalar_type() == at::kLong, "`", name, "` has dtype ", tensor.scalar_type(), "; give int64");
  TORCH_CHECK_VALUE(tensor.device().is_cpu(), "`", name, "` is on ", tensor.device(),
                    "; the native kernels run on the CPU");
  TORCH_CHECK_VALUE(tensor.is_contiguous(), "`", name, "` is not contiguous; give `", name, ".contiguous()`");
}

void check_lengths(const Arguments& x, int64_t batch) {
  TORCH_CHECK_VALUE(x.index.has_value() == x.lengths.has_value(), "give both `index` and `lengths`, or neither");
  TORCH_CHECK_VALUE(x.ragged() || !x.program.packed, "`packed` is true and there are no `lengths`; give false");
  if (!x.ragged()) return;
  check_whole_numbers("index", *x.index, x.index->dim() == 1, "(samples)");
  check_whole_numbers("lengths", *x.lengths, x.lengths->dim() == 1 && x.lengths->size(0) == batch, "(batch)");
  const int64_t* lengths = x.lengths->const_data_ptr<int64_t>();
  const int64_t count = x.index->size(0);
  int64_t most = count, total = 0;
  for (int64_t r = 0; r < batch; ++r) {
    TORCH_CHECK_VALUE(lengths[r] >= (r == 0 ? 1 : 0) && lengths[r] <= most, "`lengths` at ", r, " is ", lengths[r],
                      "; give whole numbers, the largest first and from 1 on, with the sum ", count);
    most = lengths[r];
    total += most;
    TORCH_CHECK_VALUE(total <= count, "`lengths` has a sum above ", count, ", the entries of `index`");
  }
  TORCH_CHECK_VALUE(total == count, "`lengths` has the sum ", total, " and `index` ", count, " entries; give as many");
}

void check_control(const Arguments& x, int64_t batch, int64_t controls) {
  const Tensor& samples = x.samples;
  if (x.ragged()) {
    TORCH_CHECK_VALUE(samples.dim() == 2, "`samples` has shape ", samples.sizes(),
                      "; with `lengths` wanted (places, features)");
  } else {
    TORCH_CHECK_VALUE(samples.dim() == 3 && samples.size(1) == batch, "`samples` has shape ", samples.sizes(),
                      "; wanted (time, ", batch, ", features)");
  }
  TORCH_CHECK_VALUE(samples.size(0) > 0, "`samples` is an empty sequence");
  const int64_t inputs = x.inputs();
  TORCH_CHECK_VALUE(inputs > 0, "`samples` has no features");
  check_tensor("samples", samples, samples.sizes(), x.y0);
  TORCH_CHECK_VALUE(x.input_weight.has_value() == x.bias.has_value(),
                    "give both `input_weight` and `bias`, or neither");
  if (x.input_weight.has_value()) {
    check_tensor("input_weight", *x.input_weight, {controls, inputs}, x.y0);
    check_tensor("bias", *x.bias, {controls}, x.y0);
  } else {
    TORCH_CHECK_VALUE(inputs == controls, "`samples` has ", inputs,
                      " features; without `input_weight` it is the control, which has ", controls);
    TORCH_CHECK_VALUE(x.program.squash == "identity", "`squash` is '", x.program.squash,
                      "' and there is no `input_weight`; a control that is given is taken as it is: give 'identity'");
  }
  if (x.before.has_value()) check_tensor("before", *x.before, {batch, controls}, x.y0);
}

}  // namespace

void check_facts(const char* name, const Tensor& tensor, at::IntArrayRef sizes, const Tensor& like) {
  TORCH_CHECK_VALUE(tensor.sizes() == sizes, "`", name, "` has shape ", tensor.sizes(), "; wanted ", sizes);
  TORCH_CHECK_TYPE(tensor.scalar_type() == like.scalar_type(), "`", name, "` has dtype ", tensor.scalar_type(),
                   " and `y0` ", like.scalar_type(), "; give one dtype");
  TORCH_CHECK_VALUE(tensor.device().is_cpu(), "`", name, "` is on ", tensor.device(),
                    "; the native kernels run on the CPU");
}

void check_tensor(const char* name, const Tensor& tensor, at::IntArrayRef sizes, const Tensor& like) {
  check_facts(name, tensor, sizes, like);
  TORCH_CHECK_VALUE(tensor.is_contiguous(), "`", name, "` is not contiguous; give `", name, ".contiguous()`");
}

KindFacts kind_facts(const Arguments& x) {
  const std::string& name = x.program.kind;
  if (x.field != nullptr) {
    TORCH_CHECK_VALUE(name == "traced", "`kind` is '", name, "'; give 'traced'");
    return {"traced", Kind::kTraced, x.field->preactivations, x.field->controls};
  }
  for (const KindFacts& facts : kKinds)
    if (name == facts.name) return facts;
  TORCH_CHECK_VALUE(false, "`kind` is '", name, "'; give 'tanh', 'gated-tanh', 'linear' or 'linear-plus-tanh'");
}

void check_arguments(const Arguments& x) {
  const Tensor& y0 = x.y0;
  TORCH_CHECK_TYPE(y0.scalar_type() == at::kFloat || y0.scalar_type() == at::kDouble, "`y0` has dtype ",
                   y0.scalar_type(), "; give float32 or float64");
  TORCH_CHECK_VALUE(y0.dim() == 2 && y0.numel() > 0, "`y0` has shape ", y0.sizes(),
                    "; wanted (batch, state), neither of them zero");
  const int64_t batch = y0.size(0), columns = y0.size(1);
  check_names(x);
  check_scheme(x, columns);
  check_tensor("y0", y0, {batch, columns}, y0);
  check_lengths(x, batch);
  const KindFacts kind = kind_facts(x);
  check_tensor("weight", x.weight, {kind.preactivations * columns, columns}, y0);
  const size_t blocks = x.program.weight_blocks.size(), wanted = static_cast<size_t>(4 * kind.preactivations);
  TORCH_CHECK_VALUE(blocks == 0 || (blocks == wanted && columns % 2 == 0), "`weight_blocks` has ", blocks,
                    " entries; wanted none, or ", wanted, " and a state of two halves");
  check_control(x, batch, kind.controls * columns);
  check_blocks(x, columns);
  check_carried(x);
  check_keeps(x);
}

std::vector<Run> places_without_samples(const Arguments& x) {
  std::vector<Run> empty;
  if (!x.ragged()) return empty;
  const int64_t count = x.samples.size(0), taken = x.index->size(0);
  const int64_t* index = x.index->const_data_ptr<int64_t>();
  std::vector<char> found(static_cast<size_t>(count));  // bytes: bits would be packed and unpacked
  for (int64_t i = 0; i < taken; ++i) {
    const int64_t place = index[i];
    TORCH_CHECK_VALUE(place >= 0 && place < count, "`index` has the entry ", place, " and `samples` ", count, " rows");
    TORCH_CHECK_VALUE(found[static_cast<size_t>(place)] == 0, "`index` has the entry ", place,
                      " twice; each sample has a place of its own");
    found[static_cast<size_t>(place)] = 1;
  }
  for (int64_t place = 0; taken < count && place < count; ++place) {
    if (found[static_cast<size_t>(place)] != 0) continue;
    const int64_t first = place;
    while (place < count && found[static_cast<size_t>(place)] == 0) ++place;
    empty.push_back({first, place - first});
  }
  return empty;
}

Steps solver_steps(const Tensor& dt, int64_t times, int64_t batch, int64_t substeps, const Tensor& like) {
  const bool fits = dt.dim() == 0 || (dt.dim() == 1 && dt.size(0) == times) ||
                    (dt.dim() == 2 && dt.size(0) == batch && dt.size(1) == times);
  TORCH_CHECK_VALUE(fits, "`dt` has shape ", dt.sizes(), "; wanted [], [", times, "] or [", batch, ", ", times, "]");
  TORCH_CHECK_TYPE(dt.is_floating_point(), "`dt` has dtype ", dt.scalar_type(), "; give a floating tensor");
  TORCH_CHECK_VALUE(dt.device().is_cpu(), "`dt` is on ", dt.device(), "; the native kernels run on the CPU");
  const Tensor values = at::div(dt, static_cast<double>(substeps)).to(like.scalar_type()).contiguous();
  return {values, dt.dim() == 0 ? 0 : 1, dt.dim() == 2 ? times : 0};
}

Steps solver_steps(const Arguments& x) {
  if (!x.ragged()) return solver_steps(x.dt, x.times(), x.y0.size(0), x.program.substeps, x.y0);
  TORCH_CHECK_VALUE(x.dt.dim() < 2, "`dt` has shape ", x.dt.sizes(), "; with `lengths` wanted [] or [",
                    x.index->size(0), "]");
  return solver_steps(x.dt, x.index->size(0), x.y0.size(0), x.program.substeps, x.y0);
}

}  // namespace odernn
