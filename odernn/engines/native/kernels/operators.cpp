// The operators `solve` and `pull_back`, and what looks into the machinery.
#include "operators.h"

#include <ATen/Dispatch.h>
#include <ATen/ops/empty.h>
#include <ATen/ops/zeros.h>

#include <cstring>
#include <set>
#include <thread>

#include "linear_arguments.h"
#include "parallel.h"
#include "results.h"

namespace odernn {
namespace {

// Shards of the rows that have about as many samples each, and work(i, begin, end) on each.
template <class T, class Work>
void for_equal_shards(const Problem<T>& problem, const Work& work) {
  std::vector<int64_t> samples(static_cast<size_t>(problem.batch));
  for (int64_t r = 0; r < problem.batch; ++r) samples[static_cast<size_t>(r)] = problem.length(r);
  for_shards(samples, work);
}

void fill_with_zeros(const Tensor& rows, const std::vector<Run>& which, int64_t each) {
  if (rows.numel() == 0) return;
  const int64_t bytes = each * rows.size(-1) * rows.element_size();
  char* const data = static_cast<char*>(rows.mutable_data_ptr());
  for (const Run& run : which) std::memset(data + run.first * bytes, 0, run.count * bytes);
}

// What is kept beside the states: vectors of a general linear method, or half a preactivation. Empty: nothing.
std::vector<int64_t> kept_sizes(const Arguments& x, const CarriedCounts& counts) {
  const int64_t columns = x.y0.size(1), count = x.program.keeps ? 1 : counts.kept;
  if (count == 0) return {};
  std::vector<int64_t> sizes = x.saved_sizes(x.program.keeps ? columns / 2 : columns);
  sizes.insert(sizes.begin(), count);
  return sizes;
}

std::tuple<Tensor, Tensor, Tensor, Tensor> solve(const FieldKernels* field, const Tensor& y0, const Tensor& weight,
                                                 const Tensor& samples, const MaybeTensor& input_weight,
                                                 const MaybeTensor& bias, const MaybeTensor& before, const Tensor& dt,
                                                 const MaybeTensor& carried, const MaybeTensor& coefficients,
                                                 const MaybeTensor& blocks, const MaybeTensor& index,
                                                 const MaybeTensor& lengths, c10::string_view program, bool save) {
  const Arguments arguments{y0,     weight, samples, input_weight,          bias, before, dt, carried, coefficients,
                            blocks, index,  lengths, read_program(program), field};
  check_arguments(arguments);
  const std::vector<Run> empty = places_without_samples(arguments);
  const int64_t batch = y0.size(0), columns = y0.size(1);
  const Steps steps = solver_steps(arguments);
  const CarriedCounts counts = carried_counts(arguments);
  Tensor saved = save ? result(arguments.saved_sizes(columns), y0) : nothing(y0);
  const int64_t each = arguments.program.is_general_linear() ? arguments.program.substeps : 1;
  if (!arguments.program.packed) fill_with_zeros(saved, empty, each);
  const std::vector<int64_t> sizes = kept_sizes(arguments, counts);
  Tensor kept = save && !sizes.empty() ? result(sizes, y0) : nothing(y0);
  for (int64_t l = 0; kept.dim() > 1 && l < kept.size(0) && !arguments.program.packed; ++l)
    fill_with_zeros(kept.select(0, l), empty, each);
  Tensor last = at::empty({batch, columns}, y0.options());
  Tensor at_end = counts.at_end > 0 ? at::empty({counts.at_end, batch, columns}, y0.options()) : nothing(y0);
  AT_DISPATCH_FLOATING_TYPES(y0.scalar_type(), "odernn_native::solve", [&] {
    Arena arena;
    const Sweeps<scalar_t> sweeps = sweeps_of<scalar_t>(field);
    const Problem<scalar_t> problem = make_problem<scalar_t>(arguments, steps, Direction::kForward, arena);
    const Solution<scalar_t> solution{data_or_null<scalar_t>(saved), data_or_null<scalar_t>(kept),
                                      last.data_ptr<scalar_t>(), data_or_null<scalar_t>(at_end), counts.at_end};
    for_equal_shards(problem,
                     [&](int64_t, int64_t first, int64_t stop) { sweeps.solve(problem, first, stop, solution); });
  });
  return {saved, last, at_end, kept};
}

// Sums over rows for each shard of the batch; added to the first shard's at the end, in order.
template <class T>
class PartialSums {
 public:
  PartialSums(const Problem<T>& problem, int64_t shards, Arena& arena)
      : weight_(problem.preactivation.stride() * problem.state.padded),
        blocks_(problem.block_numbers),
        input_(problem.affine ? problem.control.stride() * (problem.inputs + 1) : 0),
        shards_(static_cast<size_t>(shards)) {
    for (Sums<T>& sums : shards_) {
      for (size_t i = 0; i < problem.couplings.size(); ++i) sums.couplings.push_back(arena.take_zeros<T>(weight_));
      sums.blocks = arena.take_zeros<T>(blocks_);
      sums.input = arena.take_zeros<T>(input_);
    }
  }

  Sums<T>& operator[](int64_t i) { return shards_[static_cast<size_t>(i)]; }

  const Sums<T>& total() {
    for (size_t i = 1; i < shards_.size(); ++i) {
      for (size_t j = 0; j < shards_[0].couplings.size(); ++j)
        add(shards_[i].couplings[j], shards_[0].couplings[j], weight_);
      add(shards_[i].blocks, shards_[0].blocks, blocks_);
      add(shards_[i].input, shards_[0].input, input_);
    }
    return shards_[0];
  }

 private:
  static void add(const T* from, T* to, int64_t n) {
    for (int64_t i = 0; i < n; ++i) to[i] += from[i];
  }

  int64_t weight_, blocks_, input_;
  std::vector<Sums<T>> shards_;
};

template <class T>
void copy_weight_gradient(const Problem<T>& p, const Sums<T>& sums, T* out) {
  const int64_t n = p.state.width, columns = p.state.columns();
  for (size_t i = 0; i < p.couplings.size(); ++i) {
    T* block = out + p.couplings[i].target * n * columns + p.couplings[i].source * n;
    for (int64_t s = 0; s < p.preactivation.groups; ++s)
      for (int64_t r = 0; r < n; ++r) {
        const T* row = sums.couplings[i] + (s * p.preactivation.padded + r) * p.state.padded;
        std::copy(row, row + n, block + (s * n + r) * columns);
      }
  }
}

template <class T>
void copy_input_gradients(const Problem<T>& p, const T* sums, T* weight, T* bias) {
  const int64_t stride = p.control.stride();
  for (int64_t s = 0; s < p.control.groups; ++s)
    for (int64_t r = 0; r < p.control.width; ++r) {
      const T* column = sums + s * p.control.padded + r;
      for (int64_t i = 0; i < p.inputs; ++i) *weight++ = column[i * stride];
      *bias++ = column[p.inputs * stride];
    }
}

// Of several lengths: (times, batch) as one number for each sample, time after time.
template <class T>
void copy_of_samples(const Problem<T>& problem, const T* from, T* to) {
  for (int64_t n = 0; n < problem.times; ++n, from += problem.batch)
    std::copy(from, from + problem.earlier[n + 1] - problem.earlier[n], to + problem.earlier[n]);
}

using Ten = std::tuple<Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor, Tensor>;

Ten pull_back(const FieldKernels* field, const Tensor& saved, const Tensor& kept, const MaybeTensor& grad_saved,
              const MaybeTensor& grad_last, const MaybeTensor& grad_carried, const Tensor& y0, const Tensor& weight,
              const Tensor& samples, const MaybeTensor& input_weight, const MaybeTensor& bias,
              const MaybeTensor& before, const Tensor& dt, const MaybeTensor& carried, const MaybeTensor& coefficients,
              const MaybeTensor& blocks, const MaybeTensor& index, const MaybeTensor& lengths, c10::string_view program,
              bool want_samples, bool want_dt) {
  const Arguments arguments{y0,     weight, samples, input_weight,          bias, before, dt, carried, coefficients,
                            blocks, index,  lengths, read_program(program), field};
  check_arguments(arguments);
  const std::vector<Run> empty = places_without_samples(arguments);
  const int64_t times = arguments.times(), batch = y0.size(0), columns = y0.size(1);
  check_tensor("saved", saved, arguments.saved_sizes(columns), y0);
  if (grad_saved.has_value()) check_facts("grad_saved", *grad_saved, saved.sizes(), y0);
  if (grad_last.has_value()) check_tensor("grad_last", *grad_last, {batch, columns}, y0);
  const CarriedCounts counts = carried_counts(arguments);
  if (grad_carried.has_value()) check_tensor("grad_carried", *grad_carried, {counts.at_end, batch, columns}, y0);
  const std::vector<int64_t> sizes = kept_sizes(arguments, counts);
  if (!sizes.empty()) check_tensor("kept", kept, sizes, y0);
  const Steps steps = solver_steps(arguments);

  const bool affine = input_weight.has_value();
  Tensor g_y0 = at::empty({batch, columns}, y0.options());
  Tensor g_weight = at::zeros(weight.sizes(), y0.options());
  Tensor g_input_weight = affine ? at::empty(input_weight->sizes(), y0.options()) : nothing(y0);
  Tensor g_bias = affine ? at::empty(bias->sizes(), y0.options()) : nothing(y0);
  Tensor g_samples = want_samples ? result(samples.sizes(), y0) : nothing(y0);
  fill_with_zeros(g_samples, empty, 1);
  Tensor g_before = before.has_value() ? at::zeros(before->sizes(), y0.options()) : nothing(y0);
  Tensor g_dt = want_dt ? at::zeros({times, batch}, y0.options()) : nothing(y0);
  Tensor g_carried = carried.has_value() ? at::empty(carried->sizes(), y0.options()) : nothing(y0);
  Tensor g_blocks = blocks.has_value() ? at::empty(blocks->sizes(), y0.options()) : nothing(y0);
  const bool want_coefficients = want_dt && coefficients.has_value();
  Tensor g_coefficients = want_coefficients
                              ? at::zeros({times, coefficients->size(1), batch, coefficients->size(3)}, y0.options())
                              : nothing(y0);

  AT_DISPATCH_FLOATING_TYPES(y0.scalar_type(), "odernn_native::pull_back", [&] {
    Arena arena;
    const Sweeps<scalar_t> sweeps = sweeps_of<scalar_t>(field);
    const Problem<scalar_t> problem = make_problem<scalar_t>(arguments, steps, Direction::kBoth, arena);
    Gradients<scalar_t> g;
    if (grad_saved.has_value())
      g.saved = {grad_saved->const_data_ptr<scalar_t>(), grad_saved->stride(0), grad_saved->stride(-2),
                 grad_saved->stride(-1)};
    g.end = data_or_null<scalar_t>(grad_last);
    g.end_carried = data_or_null<scalar_t>(grad_carried);
    g.end_vectors = counts.at_end;
    g.kept = sizes.empty() ? nullptr : kept.const_data_ptr<scalar_t>();
    g.y0 = g_y0.data_ptr<scalar_t>();
    g.samples = data_or_null<scalar_t>(g_samples);
    g.before = data_or_null<scalar_t>(g_before);
    g.dt = data_or_null<scalar_t>(g_dt);
    g.carried = data_or_null<scalar_t>(g_carried);
    g.coefficients = data_or_null<scalar_t>(g_coefficients);
    PartialSums<scalar_t> sums(problem, count_shards(batch), arena);
    const scalar_t* k = saved.const_data_ptr<scalar_t>();
    for_equal_shards(problem, [&](int64_t i, int64_t first, int64_t stop) {
      sweeps.pull_back(problem, k, g, sums[i], first, stop);
    });
    if (want_dt && arguments.ragged()) {
      Tensor of_samples = at::empty(index->sizes(), y0.options());
      copy_of_samples(problem, g_dt.const_data_ptr<scalar_t>(), of_samples.data_ptr<scalar_t>());
      g_dt = of_samples;
    }
    const Sums<scalar_t>& total = sums.total();
    copy_weight_gradient(problem, total, g_weight.data_ptr<scalar_t>());
    if (blocks.has_value())
      std::copy(total.blocks, total.blocks + problem.block_numbers, g_blocks.data_ptr<scalar_t>());
    if (affine)
      copy_input_gradients(problem, total.input, g_input_weight.data_ptr<scalar_t>(), g_bias.data_ptr<scalar_t>());
  });
  if (want_dt) g_dt.div_(static_cast<double>(arguments.program.substeps));
  if (want_coefficients && coefficients->size(2) < batch) g_coefficients = g_coefficients.sum(2, true);
  return {g_y0, g_weight, g_input_weight, g_bias, g_samples, g_before, g_dt, g_carried, g_coefficients, g_blocks};
}

// How many threads run the shards of a batch. Shard number `failing`, if there is one, throws.
int64_t count_threads(int64_t batch, int64_t failing) {
  TORCH_CHECK_VALUE(batch >= 1, "`batch` is ", batch, "; give at least 1");
  std::vector<std::thread::id> ids(static_cast<size_t>(count_shards(batch)));
  for_shards(batch, [&](int64_t i, int64_t, int64_t) {
    TORCH_CHECK_VALUE(i != failing, "shard ", i, " was told to fail");
    ids[static_cast<size_t>(i)] = std::this_thread::get_id();
  });
  return static_cast<int64_t>(std::set<std::thread::id>(ids.begin(), ids.end()).size());
}

bool has_openmp() {
#ifdef _OPENMP
  return true;
#else
  return false;
#endif
}

int64_t pool_bytes() {
  return static_cast<int64_t>(pooled_bytes());
}

// The function without its first argument, which is `field`.
template <class Result, class... Given>
auto with_kernels_of(const FieldKernels* field, Result (*operation)(const FieldKernels*, Given...)) {
  return [field, operation](Given... given) { return operation(field, std::forward<Given>(given)...); };
}

}  // namespace

void implement(torch::Library& library, const FieldKernels* field) {
  library.impl("solve", with_kernels_of(field, &solve));
  library.impl("pull_back", with_kernels_of(field, &pull_back));
}

}  // namespace odernn

// The schemas of `solve` and `pull_back` are Python's, which knows them before anything is built.
TORCH_LIBRARY_FRAGMENT(odernn_native, m) {
  m.def("empty_pool() -> ()", &odernn::empty_pool);
}

// What the tests ask of threads and of the pool; the product calls none of it.
TORCH_LIBRARY(odernn_native_testing, m) {
  m.def("count_threads(int batch, int failing) -> int", &odernn::count_threads);
  m.def("has_openmp() -> bool", &odernn::has_openmp);
  m.def("pooled_bytes() -> int", &odernn::pool_bytes);
}

TORCH_LIBRARY_IMPL(odernn_native, CPU, m) {
  odernn::implement(m, nullptr);
}
