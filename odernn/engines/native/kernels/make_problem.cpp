// From arguments that have been checked to a Problem: weights packed, methods in working memory.
#include <algorithm>
#include <cmath>

#include "arguments.h"
#include "halves.h"
#include "kept_half.h"
#include "linear_arguments.h"

namespace odernn {
namespace {

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

// K is filled as `weight_blocks` of the program says. What is not a number breaks no promise: the state will say so.
template <class T>
void check_filled(const Arguments& x) {
  const int64_t n = x.y0.size(1), half = n / 2;
  const T* k = x.weight.const_data_ptr<T>();
  for (size_t i = 0; i < x.program.weight_blocks.size(); ++i) {
    const int64_t filling = x.program.weight_blocks[i], row = static_cast<int64_t>(i / 2),
                  column = static_cast<int64_t>(i % 2);
    if (filling == kDense) continue;
    bool fits = true;
    for (int64_t r = 0; r < half; ++r)
      for (int64_t c = 0; c < half; ++c) {
        const T entry = k[(row * half + r) * n + column * half + c];
        fits &= !(std::abs(entry) > 0) || (filling == kDiagonal && r == c);
      }
    TORCH_CHECK_VALUE(fits, "`weight_blocks` says that block ", column, " of row ", row, " is '",
                      filling == kZero ? "zero" : "diagonal", "', and `weight` has other entries there");
  }
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
  const bool halves = !p.moved.empty() || (!x.program.weight_blocks.empty() && p.family != Family::kShears);
  check_filled<T>(x);
  if (halves && columns % (2 * kLanes<T>) == 0) {
    p.couplings = {
        by_halves(x.program.weight_blocks, x.weight.const_data_ptr<T>(), direction == Direction::kBoth, p, allocator)};
  } else if (p.family == Family::kShears) {
    p.shears = sample_shears<T>(x);
    p.couplings = {coupling<T>(x.weight, p.state, 0, 1, direction, allocator),
                   coupling<T>(x.weight, p.state, 1, 0, direction, allocator)};
  } else if (p.preactivation.groups > 1) {
    p.couplings = {coupling<T>(x.weight, p.preactivation, direction, allocator)};
  } else {
    p.couplings = {coupling<T>(x.weight, p.state, 0, 0, direction, allocator)};
  }
  if (x.program.keeps) {
    const KeptHalf kept = kept_half(x);
    p.kept_stage = kept.stage;
    p.kept_target = kept.row;
  }
  if (p.family == Family::kExponential) add_exponential(x, p, allocator);
  if (p.family == Family::kGeneralLinear) add_general_linear(x, p);
  return p;
}

template Problem<float> make_problem<float>(const Arguments&, const Steps&, Direction, Allocator&);
template Problem<double> make_problem<double>(const Arguments&, const Steps&, Direction, Allocator&);

}  // namespace odernn
