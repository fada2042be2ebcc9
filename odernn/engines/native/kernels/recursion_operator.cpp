// The operator `recursion`: its checks, and what they lead to.
#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include "arguments.h"
#include "parallel.h"
#include "recursion.h"
#include "results.h"

namespace odernn {
namespace {

struct Given {
  const Tensor &lambda, &weight, &preactivation_derivative;
  const MaybeTensor &state_derivative, &trajectory, &carried;
  at::TensorList schedules;
  c10::string_view family;
  at::ArrayRef<double> a, b;
  at::IntArrayRef moved;
  int64_t substeps;

  bool is(const char* name) const { return family == name; }
  int64_t batch() const { return lambda.size(0); }
  int64_t columns() const { return lambda.size(1); }
  int64_t halves() const { return is("shears") ? 2 : 1; }
  int64_t width() const { return columns() / halves(); }
  int64_t groups() const { return weight.size(0) / columns(); }
  int64_t stages() const { return is("general-linear") ? 1 : static_cast<int64_t>(b.size()); }
  int64_t steps() const { return preactivation_derivative.size(0); }
};

void check_moved(const Given& x) {
  TORCH_CHECK_VALUE(x.moved.size() == x.b.size(), "`moved` has ", x.moved.size(), " entries and `b` ", x.b.size(),
                    "; give as many");
  for (const int64_t half : x.moved)
    TORCH_CHECK_VALUE(half == 0 || half == 1, "`moved` has the entry ", half, "; give 0 or 1");
  TORCH_CHECK_VALUE(x.columns() % 2 == 0, "`lambda_` has ", x.columns(),
                    " columns; partitioned methods need an even number");
}

void check_family(const Given& x) {
  const size_t stages = x.b.size();
  TORCH_CHECK_VALUE(x.is("general-linear") || stages >= 1, "`b` is empty; a method has one stage at least");
  if (x.is("runge-kutta")) {
    TORCH_CHECK_VALUE(x.a.size() == stages * stages, "`a` has ", x.a.size(), " entries; a tableau of ", stages,
                      " stages has ", stages * stages);
    if (!x.moved.empty()) check_moved(x);
  } else if (x.is("shears")) {
    check_moved(x);
    TORCH_CHECK_VALUE(!x.state_derivative.has_value(), "`state_derivative` is given and `family` is 'shears'; ",
                      "a rate of a partitioned field does not depend on the half that it moves");
  } else {
    TORCH_CHECK_VALUE(x.is("general-linear"), "`family` is '", x.family,
                      "'; give 'runge-kutta', 'shears' or 'general-linear'");
  }
  const size_t schedules = x.is("general-linear") ? 3 : 1;
  TORCH_CHECK_VALUE(x.schedules.size() == schedules, "`dt` has ", x.schedules.size(), " parts; give ",
                    x.is("general-linear") ? "the method's weights (e, w, s)" : "the step alone");
  TORCH_CHECK_VALUE(!x.carried.has_value() || x.is("general-linear"), "`carried` is given and `family` is '", x.family,
                    "'; only 'general-linear' has a carry");
}

void check(const Given& x) {
  const Tensor& lambda = x.lambda;
  TORCH_CHECK_TYPE(lambda.scalar_type() == at::kFloat || lambda.scalar_type() == at::kDouble, "`lambda_` has dtype ",
                   lambda.scalar_type(), "; give float32 or float64");
  TORCH_CHECK_VALUE(lambda.dim() == 2 && lambda.numel() > 0, "`lambda_` has shape ", lambda.sizes(),
                    "; wanted (batch, state), neither of them zero");
  const int64_t batch = x.batch(), columns = x.columns();
  check_tensor("lambda_", lambda, {batch, columns}, lambda);
  check_family(x);
  const bool fits =
      x.weight.dim() == 2 && x.weight.size(1) == columns && x.weight.size(0) % columns == 0 && x.weight.size(0) > 0;
  TORCH_CHECK_VALUE(fits, "`weight` has shape ", x.weight.sizes(), "; wanted (a multiple of ", columns, ", ", columns,
                    ")");
  check_tensor("weight", x.weight, x.weight.sizes(), lambda);
  TORCH_CHECK_VALUE(x.substeps >= 1, "`substeps` is ", x.substeps, "; give at least 1");
  const int64_t stages = x.stages(), preactivation = x.groups() * x.width();
  TORCH_CHECK_VALUE(x.preactivation_derivative.dim() == 4 && x.steps() > 0, "`preactivation_derivative` has shape ",
                    x.preactivation_derivative.sizes(), "; wanted (steps, ", stages, ", ", batch, ", ", preactivation,
                    ") with one step at least");
  check_tensor("preactivation_derivative", x.preactivation_derivative, {x.steps(), stages, batch, preactivation},
               lambda);
  if (x.state_derivative.has_value())
    check_tensor("state_derivative", *x.state_derivative, {x.steps(), stages, batch, columns}, lambda);
  const int64_t given = (x.steps() + x.substeps - 1) / x.substeps;
  if (x.trajectory.has_value()) check_tensor("trajectory", *x.trajectory, {given, batch, columns}, lambda);
  if (x.carried.has_value()) check_tensor("carried", *x.carried, {batch, columns}, lambda);
}

// Of kicks and drifts: the rows of K that drive `half`, for the columns that they are made of.
template <class T>
std::vector<Piece<T>> other_half(const Given& x, int64_t half, Arena& arena) {
  const int64_t m = x.width(), columns = x.columns(), source = 1 - half;
  T* block = arena.take<T>(x.groups() * m * m);
  const T* k = x.weight.const_data_ptr<T>();
  for (int64_t g = 0; g < x.groups(); ++g)
    for (int64_t i = 0; i < m; ++i) {
      const T* row = k + (g * columns + half * m + i) * columns + source * m;
      std::copy(row, row + m, block + (g * m + i) * m);
    }
  return {{0, 0, pack<T>(block, m, int64_t(1), x.groups() * m, m, arena)}};
}

template <class T>
std::vector<Piece<T>> whole(const Given& x, Arena& arena) {
  const int64_t n = x.columns();
  return {{0, 0, pack<T>(x.weight.const_data_ptr<T>(), n, int64_t(1), x.weight.size(0), n, arena)}};
}

// Whether a square, its rows n apart, has no entries but zeros, and none but those on its diagonal.
template <class T>
std::pair<bool, bool> filled(const T* square, int64_t size, int64_t n) {
  bool zero = true, diagonal = true;
  for (int64_t r = 0; r < size; ++r)
    for (int64_t c = 0; c < size; ++c) {
      const bool empty = square[r * n + c] == T(0);
      zero &= empty;
      diagonal &= empty || r == c;
    }
  return {zero, diagonal};
}

// The rows of K that drive `half`, without the halves of them that are zero.
template <class T>
std::vector<Piece<T>> rows_of_half(const Given& x, int64_t half, Arena& arena) {
  const int64_t n = x.columns(), size = n / 2;
  std::vector<Piece<T>> pieces;
  for (int64_t g = 0; g < x.groups(); ++g) {
    const int64_t target = g * n + half * size;
    const T* rows = x.weight.const_data_ptr<T>() + target * n;
    for (int64_t source = 0; source < n; source += size) {
      const auto [zero, diagonal] = filled(rows + source, size, n);
      if (zero) continue;
      Piece<T> piece{source, target, {}, nullptr, size};
      if (diagonal) {
        T* numbers = arena.take<T>(size);
        for (int64_t i = 0; i < size; ++i) numbers[i] = rows[i * (n + 1) + source];
        piece.diagonal = numbers;
      } else {
        piece.pullback = pack<T>(rows + source, n, int64_t(1), size, size, arena);
        piece.pullback.first = target;
      }
      pieces.push_back(piece);
    }
  }
  return pieces;
}

template <class T>
std::vector<std::vector<Piece<T>>> pullbacks(const Given& x, Arena& arena) {
  if (x.is("shears")) return {other_half<T>(x, 0, arena), other_half<T>(x, 1, arena)};
  if (x.moved.empty()) return {whole<T>(x, arena)};
  if (x.columns() % (2 * kLanes<T>) != 0) return {whole<T>(x, arena), whole<T>(x, arena)};
  return {rows_of_half<T>(x, 0, arena), rows_of_half<T>(x, 1, arena)};
}

template <class T>
Recursion<T> make_recursion(const Given& x, const std::vector<Steps>& schedules, Arena& arena) {
  Recursion<T> r;
  r.family = x.is("shears") ? Family::kShears : x.is("general-linear") ? Family::kGeneralLinear : Family::kRungeKutta;
  r.steps = x.steps(), r.stages = x.stages(), r.batch = x.batch();
  r.halves = x.halves(), r.width = x.width(), r.groups = x.groups(), r.every = x.substeps;
  r.a.assign(x.a.begin(), x.a.end());
  r.b.assign(x.b.begin(), x.b.end());
  r.moved.assign(x.moved.begin(), x.moved.end());
  for (const Steps& s : schedules) r.schedules.push_back({s.values.const_data_ptr<T>(), s.time, s.row});
  r.pullbacks = pullbacks<T>(x, arena);
  r.preactivation_derivative = x.preactivation_derivative.const_data_ptr<T>();
  r.state_derivative = data_or_null<T>(x.state_derivative);
  r.trajectory = data_or_null<T>(x.trajectory);
  r.lambda = x.lambda.const_data_ptr<T>();
  r.carried = data_or_null<T>(x.carried);
  return r;
}

std::tuple<Tensor, Tensor, Tensor, Tensor> recursion(const Tensor& lambda, const MaybeTensor& carried,
                                                     const Tensor& weight, const Tensor& preactivation_derivative,
                                                     const MaybeTensor& state_derivative, const MaybeTensor& trajectory,
                                                     at::TensorList dt, c10::string_view family, at::ArrayRef<double> a,
                                                     at::ArrayRef<double> b, at::IntArrayRef moved, int64_t substeps) {
  const Given x{lambda, weight,  preactivation_derivative, state_derivative, trajectory, carried, dt, family, a, b,
                moved,  substeps};
  check(x);
  std::vector<Steps> schedules;
  for (const Tensor& schedule : dt) schedules.push_back(solver_steps(schedule, x.steps(), x.batch(), 1, lambda));
  Tensor out = at::empty(lambda.sizes(), lambda.options());
  Tensor out_carried = x.is("general-linear") ? at::empty(lambda.sizes(), lambda.options()) : nothing(lambda);
  Tensor cotangent = result(preactivation_derivative.sizes(), lambda);
  Tensor kappa = result({x.steps(), x.stages(), x.batch(), x.width()}, lambda);
  AT_DISPATCH_FLOATING_TYPES(lambda.scalar_type(), "odernn_native::recursion", [&] {
    Arena arena;
    Recursion<scalar_t> r = make_recursion<scalar_t>(x, schedules, arena);
    r.out = out.data_ptr<scalar_t>();
    r.out_carried = data_or_null<scalar_t>(out_carried);
    r.preactivation_cotangent = cotangent.data_ptr<scalar_t>();
    r.kappa = kappa.data_ptr<scalar_t>();
    for_shards(x.batch(), [&](int64_t, int64_t first, int64_t stop) { recur_rows(r, first, stop); });
  });
  return {out, cotangent, kappa, out_carried};
}

}  // namespace
}  // namespace odernn

TORCH_LIBRARY_FRAGMENT(odernn_native, m) {
  m.def(
      "recursion(Tensor lambda_, Tensor? carried, Tensor weight, Tensor preactivation_derivative, Tensor? "
      "state_derivative, Tensor? trajectory, "
      "Tensor[] dt, str family, float[] a, float[] b, int[] moved, int substeps) -> (Tensor, Tensor, Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(odernn_native, CPU, m) {
  m.impl("recursion", &odernn::recursion);
}
