#include "linear_arguments.h"

#include <c10/util/Exception.h>

namespace odernn {
namespace {

// The parts of `places` of a general linear method: how many vectors there are, the roles of those after the state, the
// stages of each step, and the numbers of the given coefficients.
struct LinearPlaces {
  int64_t vectors;
  at::IntArrayRef roles, stages, entries;
};

LinearPlaces linear_places(const Arguments& x) {
  const int64_t size = static_cast<int64_t>(x.program.places.size()), vectors = size == 0 ? 0 : x.program.places[0];
  const bool fits = vectors >= 1 && vectors < static_cast<int64_t>(kMostTerms) && size >= 2 * vectors;
  TORCH_CHECK_VALUE(fits, "`places` of a general linear method has ", size, " entries and says ", vectors,
                    " vectors; give their number, from 1 to ", kMostTerms - 1, ", their roles and stages");
  const size_t n = static_cast<size_t>(vectors);
  const at::IntArrayRef all = x.program.places;
  return {vectors, all.slice(1, n - 1), all.slice(n, n), all.slice(2 * n)};
}

int64_t vectors_before(int64_t step, int64_t vectors) {
  return std::min(step + 1, vectors);
}

// Entries of u, v and b of a step.
int64_t linear_entries(int64_t step, int64_t vectors, int64_t stages) {
  const int64_t before = vectors_before(step, vectors), after = vectors_before(step + 1, vectors);
  return stages * before + after * before + after * stages;
}

int64_t given_numbers(const LinearPlaces& places) {
  int64_t most = -1;
  for (const int64_t place : places.entries) most = std::max(most, place);
  return most + 1;
}

}  // namespace

void check_general_linear(const Arguments& x) {
  const LinearPlaces places = linear_places(x);
  int64_t numbers = 0, nodes = 0;
  for (int64_t i = 0; i < places.vectors; ++i) {
    const int64_t stages = places.stages[static_cast<size_t>(i)];
    TORCH_CHECK_VALUE(stages >= 1 && stages + places.vectors < static_cast<int64_t>(kMostTerms), "`places` has ",
                      stages, " stages of step ", i, "; give 1 to ",
                      static_cast<int64_t>(kMostTerms) - 1 - places.vectors);
    numbers += linear_entries(i, places.vectors, stages) + stages * stages;
    nodes += stages;
  }
  TORCH_CHECK_VALUE(
      static_cast<int64_t>(x.program.a.size()) == numbers && static_cast<int64_t>(x.program.c.size()) == nodes,
      "`a` has ", x.program.a.size(), " entries and `c` ", x.program.c.size(), "; this general linear method has ",
      numbers, " and ", nodes);
  const int64_t entries = linear_entries(places.vectors - 1, places.vectors, places.stages.back());
  TORCH_CHECK_VALUE(static_cast<int64_t>(places.entries.size()) == entries, "`places` names ", places.entries.size(),
                    " entries of the started method, which has ", entries);
  for (const int64_t role : places.roles)
    TORCH_CHECK_VALUE(role >= 0 && role <= 3, "`places` has the role ", role, "; give 0 to 3");
  for (const int64_t place : places.entries)
    TORCH_CHECK_VALUE(place >= -1 && place < entries, "`places` has the entry ", place, "; give -1 to ", entries - 1);
}

void check_carried(const Arguments& x) {
  if (!x.program.is_general_linear()) {
    TORCH_CHECK_VALUE(!x.carried.has_value() && !x.coefficients.has_value(),
                      "`carried` or `coefficients` is given and `family` is '", x.program.family,
                      "'; only 'general-linear' has any");
    return;
  }
  const LinearPlaces places = linear_places(x);
  const int64_t batch = x.y0.size(0), columns = x.y0.size(1), numbers = given_numbers(places);
  int64_t given = 0;
  if (x.carried.has_value()) {
    const Tensor& carried = *x.carried;
    given = carried.dim() == 3 ? carried.size(0) : 0;
    TORCH_CHECK_VALUE(given >= 1 && given < places.vectors, "`carried` has shape ", carried.sizes(), "; wanted (1 to ",
                      places.vectors - 1, ", ", batch, ", ", columns, ")");
    check_tensor("carried", carried, {given, batch, columns}, x.y0);
  }
  if (x.coefficients.has_value()) {
    const Tensor& given_ones = *x.coefficients;
    const bool fits = given_ones.dim() == 4 && given_ones.size(0) == x.times() && given_ones.size(1) >= 1 &&
                      given_ones.size(1) <= x.program.substeps &&
                      (given_ones.size(2) == 1 || given_ones.size(2) == batch) && given_ones.size(3) == numbers &&
                      numbers > 0;
    TORCH_CHECK_VALUE(fits, "`coefficients` has shape ", given_ones.sizes(), "; wanted (", x.times(), ", 1 to ",
                      x.program.substeps, ", 1 or ", batch, ", ", numbers, ")");
    check_tensor("coefficients", given_ones, given_ones.sizes(), x.y0);
  }
  if (!x.ragged()) return;
  const int64_t shortest = x.lengths->const_data_ptr<int64_t>()[batch - 1];
  TORCH_CHECK_VALUE(shortest >= 1 && given + shortest * x.program.substeps >= places.vectors - 1,
                    "`lengths` has the entry ", shortest, "; a sequence is too short to start the method in");
}

CarriedCounts carried_counts(const Arguments& x) {
  if (!x.program.is_general_linear()) return {};
  const LinearPlaces places = linear_places(x);
  CarriedCounts counts;
  const int64_t given = x.carried.has_value() ? x.carried->size(0) : 0;
  counts.at_end = std::min(places.vectors - 1, given + x.times() * x.program.substeps);
  for (const int64_t role : places.roles) {
    const auto kept = static_cast<Role>(role);
    counts.kept += kept == Role::kKept || (kept == Role::kKeptWithCoefficients && x.coefficients.has_value()) ? 1 : 0;
  }
  return counts;
}

template <class T>
void add_carried(const MaybeTensor& carried, const MaybeTensor& coefficients, Problem<T>& p) {
  p.given = carried.has_value() ? carried->size(0) : 0;
  p.carried = data_or_null<T>(carried);
  p.coefficients = data_or_null<T>(coefficients);
  if (!coefficients.has_value()) return;
  p.coefficients_time = coefficients->stride(0);
  p.coefficients_substep = coefficients->stride(1);
  p.coefficients_row = coefficients->size(2) == 1 ? 0 : coefficients->stride(2);
  p.coefficients_substeps = coefficients->size(1);
  p.coefficients_count = coefficients->size(3);
}

template void add_carried<float>(const MaybeTensor&, const MaybeTensor&, Problem<float>&);
template void add_carried<double>(const MaybeTensor&, const MaybeTensor&, Problem<double>&);

// The steps of a general linear method, and what it continues from.
template <class T>
void add_general_linear(const Arguments& x, Problem<T>& p) {
  const LinearPlaces places = linear_places(x);
  const double *number = x.program.a.data(), *node = x.program.c.data();
  for (int64_t i = 0; i < places.vectors; ++i) {
    LinearStep<T> step;
    step.stages = places.stages[static_cast<size_t>(i)];
    step.in = vectors_before(i, places.vectors);
    step.out = vectors_before(i + 1, places.vectors);
    const int64_t* place = i + 1 == places.vectors ? places.entries.data() : nullptr;
    const auto read = [&](int64_t count, std::vector<Entry<T>>& table) {
      for (int64_t k = 0; k < count; ++k)
        table.push_back({static_cast<T>(*number++), place == nullptr ? -1 : *place++});
    };
    read(step.stages * step.in, step.u);
    for (int64_t k = 0; k < step.stages * step.stages; ++k) step.a.push_back(static_cast<T>(*number++));
    read(step.out * step.in, step.v);
    read(step.out * step.stages, step.b);
    for (int64_t k = 0; k < step.stages; ++k) step.c.push_back(static_cast<T>(*node++));
    p.linear_steps.push_back(std::move(step));
  }
  p.stages = p.linear_steps.back().stages;
  p.roles.push_back(Role::kKept);
  for (const int64_t role : places.roles) p.roles.push_back(static_cast<Role>(role));
  p.saved_rows = x.saved_sizes(1)[0] * (x.ragged() ? 1 : p.batch);
  add_carried(x.carried, x.coefficients, p);
}

template void add_general_linear<float>(const Arguments&, Problem<float>&);
template void add_general_linear<double>(const Arguments&, Problem<double>&);

}  // namespace odernn
