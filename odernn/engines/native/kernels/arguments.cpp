#include "arguments.h"

#include <ATen/ops/div.h>
#include <c10/util/Exception.h>

#include <algorithm>

#include "halves.h"
#include "linear_arguments.h"

namespace odernn {
namespace {

// Columns of the preactivation and of the control for each column of the state.
struct KindFacts {
  const char* name;
  Kind kind;
  int64_t preactivations, controls;
};

constexpr KindFacts kKinds[] = {
    {"tanh", Kind::kTanh, 1, 1},                       // tanh(p + u)
    {"gated-tanh", Kind::kGatedTanh, 1, 2},            // sigmoid(p + u_2) tanh(p + u_1)
    {"linear", Kind::kLinear, 1, 1},                   // p + u
    {"linear-plus-tanh", Kind::kLinearPlusTanh, 2, 1}  // p_1 + tanh(p_2 + u)
};

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

// The rows of `matrix` where the padded layout has them, zeros elsewhere.
template <class T>
const T* padded_rows(const Layout& layout, const T* matrix, int64_t columns, Allocator& allocator) {
  T* out = allocator.take_zeros<T>(layout.stride() * columns);
  for (int64_t s = 0; s < layout.groups; ++s)
    std::copy(matrix + s * layout.width * columns, matrix + (s + 1) * layout.width * columns,
              out + s * layout.padded * columns);
  return out;
}

// All of K, whose preactivation has several groups: each begins on a whole vector.
template <class T>
Coupling<T> coupling(const Tensor& weight, const Layout& preactivation, Direction direction, Allocator& allocator) {
  const int64_t n = weight.size(1), rows = preactivation.stride();
  const T* k = padded_rows(preactivation, weight.const_data_ptr<T>(), n, allocator);
  return {pack(k, int64_t(1), n, n, rows, allocator),
          direction == Direction::kBoth ? pack(k, n, int64_t(1), rows, n, allocator) : Packed<T>{}, 0, 0};
}

// How many rows of a square, from the first on, hold nothing but zeros, in whole vectors: those of positions, which
// only velocities move, are not multiplied.
template <class T>
int64_t zero_rows(const T* block, int64_t n, int64_t stride) {
  int64_t count = 0;
  while (count < n && std::all_of(block + count * stride, block + count * stride + n, [](T x) { return x == T(0); }))
    ++count;
  return count / kLanes<T> * kLanes<T>;
}

// The block of K from half `source` to half `target`.
template <class T>
Coupling<T> coupling(const Tensor& weight, const Layout& state, int64_t target, int64_t source, Direction direction,
                     Allocator& allocator) {
  const int64_t columns = state.columns(), n = state.width;
  const T* block = weight.const_data_ptr<T>() + target * n * columns + source * n;
  const int64_t zeros = zero_rows(block, n, columns);
  block += zeros * columns;
  Coupling<T> k{pack(block, int64_t(1), columns, n, n - zeros, allocator), {}, source, target};
  k.forward.zeros = zeros;
  if (direction == Direction::kBoth) k.pullback = pack(block, columns, int64_t(1), n - zeros, n, allocator);
  k.pullback.first = zeros;
  return k;
}

// The moves of one sample. Neighbours that move the same half along the same rate are one move.
template <class T>
std::vector<Shear<T>> sample_shears(const Arguments& x) {
  std::vector<Shear<T>> shears;
  for (int64_t q = 0; q < x.program.substeps; ++q)
    for (size_t i = 0; i < x.program.moved.size(); ++i) {
      const double theta = (static_cast<double>(q) + x.program.c[i]) / static_cast<double>(x.program.substeps);
      const Shear<T> shear{static_cast<int>(x.program.moved[i]), static_cast<T>(x.program.b[i]), static_cast<T>(theta)};
      const bool same = !shears.empty() && shears.back().coupling == shear.coupling &&
                        (x.program.hold == "zero-order" || shears.back().theta == shear.theta);
      if (same) {
        shears.back().coefficient += shear.coefficient;
      } else {
        shears.push_back(shear);
      }
    }
  return shears;
}

Family family_of(c10::string_view name) {
  if (name == "shears") return Family::kShears;
  if (name == "general-linear") return Family::kGeneralLinear;
  return name == "exponential" ? Family::kExponential : Family::kRungeKutta;
}

// Rows of K, from the first on, that the program says are zero.
template <class T>
int64_t silent_rows(const Arguments& x, const Coupling<T>& k) {
  const std::vector<int64_t>& blocks = x.program.weight_blocks;
  const int64_t half = x.y0.size(1) / 2 / kLanes<T> * kLanes<T>;
  if (blocks.empty() || blocks[0] != kZero || blocks[1] != kZero) return 0;
  TORCH_CHECK_VALUE(
      k.forward.zeros >= half,
      "`weight_blocks` says that the first half of the rows of `weight` is zero, and it has other entries");
  return half;
}

// The entries of an exponential tableau, and its matrices in memory of the problem's own.
template <class T>
void add_exponential(const Arguments& x, Problem<T>& p, Allocator& allocator) {
  const size_t stages = x.program.b.size();
  const int64_t* place = x.program.places.data();
  for (size_t i = 0; i < stages + 1; ++i) p.flows.push_back({T(1), *place++});
  for (const double a : x.program.a) p.rows.push_back({static_cast<T>(a), *place++});
  for (const double b : x.program.b) p.weights.push_back({static_cast<T>(b), *place++});
  const Tensor& blocks = *x.blocks;
  p.couplings[0].silent = silent_rows(x, p.couplings[0]);
  p.block_numbers = blocks.numel();
  p.blocks_time = blocks.size(0) == 1 ? 0 : blocks.numel() / blocks.size(0);
  T* copy = allocator.take<T>(p.block_numbers);
  const T* source = blocks.const_data_ptr<T>();
  std::copy(source, source + p.block_numbers, copy);
  p.blocks = copy;
}

template <class T>
const int64_t* samples_before(const Problem<T>& p, Allocator& allocator) {
  int64_t* out = allocator.take<int64_t>(p.times + 1);
  int64_t rows = p.batch;
  out[0] = 0;
  for (int64_t n = 0; n < p.times; ++n) {
    while (p.lengths[rows - 1] <= n) --rows;
    out[n + 1] = out[n] + rows;
  }
  return out;
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

template <class T>
Problem<T> make_problem(const Arguments& x, const Steps& steps, Direction direction, Allocator& allocator) {
  Problem<T> p;
  const int64_t columns = x.y0.size(1);
  p.times = x.times();
  p.batch = x.y0.size(0);
  p.inputs = x.inputs();
  const KindFacts kind = kind_facts(x);
  p.kind = kind.kind;
  p.family = family_of(x.program.family);
  const int64_t parts = p.family == Family::kShears ? 2 : 1;
  p.state = Layout::of<T>(parts, columns);
  p.control = Layout::of<T>(parts * kind.controls, columns * kind.controls);
  p.preactivation = {kind.preactivations, p.state.width, p.state.padded};
  p.linear_hold = x.program.hold == "linear";

  p.y0 = x.y0.const_data_ptr<T>();
  p.samples = x.samples.const_data_ptr<T>();
  p.index = data_or_null<int64_t>(x.index);
  p.lengths = data_or_null<int64_t>(x.lengths);
  p.packed = x.program.packed;
  p.earlier = x.ragged() ? samples_before(p, allocator) : nullptr;
  p.affine = x.input_weight.has_value();
  p.squash = x.program.squash == "tanh";
  if (p.affine) {
    const T* v = padded_rows(p.control, x.input_weight->const_data_ptr<T>(), p.inputs, allocator);
    p.input = pack(v, int64_t(1), p.inputs, p.inputs, p.control.stride(), allocator);
    if (direction == Direction::kBoth)
      p.input_pullback = pack(v, p.inputs, int64_t(1), p.control.stride(), p.inputs, allocator);
    p.bias = padded_rows(p.control, x.bias->const_data_ptr<T>(), int64_t(1), allocator);
  }
  p.before = data_or_null<T>(x.before);
  p.dt = steps.values.const_data_ptr<T>();
  p.dt_time = steps.time;
  p.dt_row = steps.row;
  p.substeps = x.program.substeps;

  if (p.family == Family::kRungeKutta || p.family == Family::kExponential) {
    p.stages = static_cast<int64_t>(x.program.b.size());
    p.a.assign(x.program.a.begin(), x.program.a.end());
    p.b.assign(x.program.b.begin(), x.program.b.end());
    p.c.assign(x.program.c.begin(), x.program.c.end());
    if (x.field != nullptr) p.moved.assign(x.program.moved.begin(), x.program.moved.end());
  }
  if (p.family == Family::kShears) {
    p.shears = sample_shears<T>(x);
    p.couplings = {coupling<T>(x.weight, p.state, 0, 1, direction, allocator),
                   coupling<T>(x.weight, p.state, 1, 0, direction, allocator)};
  } else if (p.preactivation.groups > 1) {
    p.couplings = {coupling<T>(x.weight, p.preactivation, direction, allocator)};
  } else {
    p.couplings = {coupling<T>(x.weight, p.state, 0, 0, direction, allocator)};
  }
  const bool halves = !p.moved.empty() || !x.program.weight_blocks.empty();
  if (x.field != nullptr && halves && columns % (2 * kLanes<T>) == 0)
    split_by_halves(x.program.weight_blocks, x.weight.const_data_ptr<T>(), direction == Direction::kBoth, p, allocator);
  if (p.family == Family::kExponential) add_exponential(x, p, allocator);
  if (p.family == Family::kGeneralLinear) add_general_linear(x, p);
  return p;
}

template Problem<float> make_problem<float>(const Arguments&, const Steps&, Direction, Allocator&);
template Problem<double> make_problem<double>(const Arguments&, const Steps&, Direction, Allocator&);

}  // namespace odernn
