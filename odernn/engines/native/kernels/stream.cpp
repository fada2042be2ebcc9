// Sample after sample: a problem prepared once, its weights packed in memory of its own, and advanced by one sample a
// call.
#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <torch/library.h>

#include <cmath>
#include <limits>
#include <memory>
#include <mutex>
#include <unordered_map>

#include "linear_arguments.h"
#include "parallel.h"
#include "results.h"

namespace odernn {
namespace {

// What one call takes and gives, beside the weights.
struct Sample {
  const Tensor &x, &y;
  const MaybeTensor &before, &carried, &coefficients;
};

// (the state, the other vectors of a general linear method, whether all of the state is finite)
using Advanced = std::tuple<Tensor, Tensor, bool>;

class Plan {
 public:
  virtual ~Plan() = default;
  virtual Advanced advance(const Sample& sample) const = 0;
};

template <class T>
bool all_finite(const T* values, int64_t n) {
  int bad = 0;
  for (int64_t i = 0; i < n; ++i) bad |= !(std::abs(values[i]) <= std::numeric_limits<T>::max());
  return bad == 0;
}

template <class T>
void check_carried(const Problem<T>& p, const Sample& sample) {
  const int64_t others = p.roles.empty() ? 0 : p.vectors() - 1;
  if (sample.carried.has_value()) {
    const int64_t given = sample.carried->dim() == 3 ? sample.carried->size(0) : 0;
    TORCH_CHECK_VALUE(given >= 1 && given <= others, "`carried` has shape ", sample.carried->sizes(), "; wanted (1 to ",
                      others, ", ", p.batch, ", ", p.state.columns(), ")");
    check_tensor("carried", *sample.carried, {given, p.batch, p.state.columns()}, sample.y);
  }
  if (!sample.coefficients.has_value()) return;
  int64_t numbers = 0;
  for (const LinearStep<T>& step : p.linear_steps)
    for (const std::vector<Entry<T>>* table : {&step.u, &step.v, &step.b})
      for (const Entry<T>& entry : *table) numbers = std::max(numbers, entry.place + 1);
  const Tensor& given = *sample.coefficients;
  const bool fits = given.dim() == 4 && given.size(0) == 1 && given.size(1) >= 1 && given.size(1) <= p.substeps &&
                    (given.size(2) == 1 || given.size(2) == p.batch) && given.size(3) == numbers && numbers > 0;
  TORCH_CHECK_VALUE(fits, "`coefficients` has shape ", given.sizes(), "; wanted (1, 1 to ", p.substeps, ", 1 or ",
                    p.batch, ", ", numbers, ")");
  check_tensor("coefficients", given, given.sizes(), sample.y);
}

template <class T>
class PlanOf final : public Plan {
 public:
  explicit PlanOf(const Arguments& arguments)
      : steps_(solver_steps(arguments)), problem_(make_problem<T>(arguments, steps_, Direction::kForward, arena_)) {}

  Advanced advance(const Sample& sample) const override {
    check(sample);
    Problem<T> p = problem_;  // calls from several threads share what is packed and nothing else
    const Tensor x = sample.x.contiguous();
    p.samples = x.const_data_ptr<T>();
    p.y0 = sample.y.const_data_ptr<T>();
    p.before = data_or_null<T>(sample.before);
    add_carried(sample.carried, sample.coefficients, p);
    const int64_t vectors = p.roles.empty() ? 0 : std::min(p.vectors() - 1, p.given + p.substeps);
    Tensor last = at::empty(sample.y.sizes(), sample.y.options());
    Tensor carried =
        vectors > 0 ? at::empty({vectors, p.batch, p.state.columns()}, sample.y.options()) : nothing(sample.y);
    T* end = last.data_ptr<T>();
    const Solution<T> solution{nullptr, nullptr, end, vectors > 0 ? carried.data_ptr<T>() : nullptr, vectors};
    for_shards(p.batch, [&](int64_t, int64_t first, int64_t stop) { solve_rows<T>(p, first, stop, solution); });
    return {last, carried, all_finite(end, p.batch * p.state.columns())};
  }

 private:
  void check(const Sample& sample) const {
    const int64_t batch = problem_.batch, columns = problem_.state.columns();
    TORCH_CHECK_TYPE(sample.y.scalar_type() == c10::CppTypeToScalarType<T>::value, "`y` has dtype ",
                     sample.y.scalar_type(), "; the stream was made for ", c10::CppTypeToScalarType<T>::value);
    check_tensor("y", sample.y, {batch, columns}, sample.y);
    TORCH_CHECK_VALUE(sample.x.dim() == 2 && sample.x.size(0) == batch && sample.x.size(1) == problem_.inputs,
                      "`x` has shape ", sample.x.sizes(), "; wanted [", batch, ", ", problem_.inputs, "]");
    TORCH_CHECK_TYPE(sample.x.scalar_type() == sample.y.scalar_type(), "`x` has dtype ", sample.x.scalar_type(),
                     "; give ", sample.y.scalar_type());
    TORCH_CHECK_VALUE(sample.x.device().is_cpu(), "`x` is on ", sample.x.device(),
                      "; the native kernels run on the CPU");
    if (sample.before.has_value())
      check_tensor("before", *sample.before, {batch, problem_.control.columns()}, sample.y);
    check_carried(problem_, sample);
  }

  OwnedArena arena_;
  Steps steps_;
  Problem<T> problem_;
};

// The plans by number: a number that is not a plan's is an error, not a crash, and a call in progress keeps its plan.
class Plans {
 public:
  int64_t add(std::shared_ptr<const Plan> plan) {
    const std::lock_guard<std::mutex> lock(mutex_);
    plans_.emplace(++last_, std::move(plan));
    return last_;
  }

  std::shared_ptr<const Plan> at(int64_t number) {
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = plans_.find(number);
    TORCH_CHECK_INDEX(found != plans_.end(), "there is no plan ", number,
                      "; it was released, or never made in this process");
    return found->second;
  }

  void remove(int64_t number) {
    std::shared_ptr<const Plan> plan;  // freed outside the lock
    const std::lock_guard<std::mutex> lock(mutex_);
    const auto found = plans_.find(number);
    if (found == plans_.end()) return;
    plan = std::move(found->second);
    plans_.erase(found);
  }

 private:
  std::mutex mutex_;
  std::unordered_map<int64_t, std::shared_ptr<const Plan>> plans_;
  int64_t last_ = 0;
};

Plans& plans() {
  static Plans* const forever = new Plans;  // Python's finalizers may come after the destructors of statics
  return *forever;
}

// The arguments of `solve`, for a sequence of one sample, whose values do not matter.
int64_t prepare(const Tensor& y0, const Tensor& weight, const Tensor& samples, const MaybeTensor& input_weight,
                const MaybeTensor& bias, const MaybeTensor& before, const Tensor& dt, const MaybeTensor& carried,
                const MaybeTensor& coefficients, const MaybeTensor& blocks, const MaybeTensor& index,
                const MaybeTensor& lengths, c10::string_view program) {
  const Arguments arguments{y0,     weight, samples, input_weight,         bias, before, dt, carried, coefficients,
                            blocks, index,  lengths, read_program(program)};
  check_arguments(arguments);
  TORCH_CHECK_VALUE(samples.size(0) == 1 && !arguments.ragged(), "`samples` has shape ", samples.sizes(),
                    "; a stream is prepared with one sample");
  std::shared_ptr<const Plan> plan;
  AT_DISPATCH_FLOATING_TYPES(y0.scalar_type(), "odernn_native::prepare",
                             [&] { plan = std::make_shared<PlanOf<scalar_t>>(arguments); });
  return plans().add(std::move(plan));
}

Advanced advance(int64_t plan, const Tensor& x, const Tensor& y, const MaybeTensor& before, const MaybeTensor& carried,
                 const MaybeTensor& coefficients) {
  return plans().at(plan)->advance({x, y, before, carried, coefficients});
}

void release(int64_t plan) {
  plans().remove(plan);
}

}  // namespace
}  // namespace odernn

TORCH_LIBRARY_FRAGMENT(odernn_native, m) {
  m.def("prepare(" ODERNN_OPERANDS ", str program) -> int");
  m.def(
      "advance(int plan, Tensor x, Tensor y, Tensor? before, Tensor? carried, Tensor? coefficients) -> (Tensor, "
      "Tensor, bool)");
  m.def("release(int plan) -> ()", &odernn::release);
}

TORCH_LIBRARY_IMPL(odernn_native, CPU, m) {
  m.impl("prepare", &odernn::prepare);
  m.impl("advance", &odernn::advance);
}

// No gradient flows through a stream: nothing is recorded, and nothing is paid for that.
TORCH_LIBRARY_IMPL(odernn_native, Autograd, m) {
  m.impl("advance", torch::CppFunction::makeFallthrough());
}
