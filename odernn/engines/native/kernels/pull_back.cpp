// The adjoint: the rows of a shard of the batch back through all of time, block of time by block of time. The
// derivatives of a block are recomputed from the saved states at once; only the recursion of lambda is sequential; the
// weight gradients are one product a block.
#include "sweep.h"

namespace odernn {
namespace {

template <class T>
int64_t samples_per_block(const Problem<T>& p, int64_t rows) {
  const int64_t derivatives = p.kind == Kind::kGatedTanh ? 2 : p.preactivation.groups;
  const int64_t numbers = p.evaluations() * (1 + derivatives) * p.state.padded + 2 * p.control.stride();
  const int64_t count = kTapeBytes / static_cast<int64_t>(sizeof(T)) / (rows * numbers);
  return std::max<int64_t>(1, std::min(p.times, count));
}

// The numbers of a row lie `stride` apart.
template <class T>
void add_row(const Problem<T>& p, const T* __restrict row, int64_t stride, T* __restrict padded) {
  for (int64_t s = 0; s < p.state.groups; ++s, row += stride * p.state.width, padded += p.state.padded) {
    if (stride == 1) {
      for (int64_t i = 0; i < p.state.width; ++i) padded[i] += row[i];
    } else if (stride == 0) {
      for (int64_t i = 0; i < p.state.width; ++i) padded[i] += *row;
    } else {
      for (int64_t i = 0; i < p.state.width; ++i) padded[i] += row[i * stride];
    }
  }
}

template <class T>
void add_rows(const Problem<T>& p, const T* rows, int64_t begin, int64_t count, T* lambda) {
  for (int64_t r = 0; r < count; ++r)
    add_row(p, rows + (begin + r) * p.state.columns(), 1, lambda + r * p.state.stride());
}

// lambda += the gradient of saved state `number` itself, while that of the state before is on its way to the processor.
template <class T>
void add_own(const Block<T>& block, const SavedGradients<T>& own, int64_t number, T* lambda) {
  const Problem<T>& p = block.problem;
  for (int64_t r = 0; own.first != nullptr && r < block.rows; ++r) {
    const int64_t row = block.begin + r;
    if (number > 0 && own.column == 1) prefetch<false>(own.at(p, number - 1, row), p.state.columns());
    add_row(p, own.at(p, number, row), own.column, lambda + r * p.state.stride());
  }
}

template <class T>
void copy_rows(const Problem<T>& p, const T* padded, int64_t begin, int64_t count, T* out) {
  if (out == nullptr) return;
  for (int64_t r = 0; r < count; ++r)
    copy_back(p.state, padded + r * p.state.stride(), out + (begin + r) * p.state.columns());
}

template <class T>
void pull_back_block(const Problem<T>& p, const T* saved, const Gradients<T>& g, Sums<T>& sums, int64_t begin,
                     int64_t rows) {
  Arena arena;
  const int64_t most = samples_per_block(p, rows);
  Block<T> block(p, begin, rows, most, arena);
  Pullback<T> pullback(block, sums, sums.input != nullptr || g.samples != nullptr || g.before != nullptr);
  const auto stepper = make_stepper<T>(block, &pullback, &g, sums.blocks, nullptr);
  States<T> states(p, saved, p.y0, p.state_before(), begin, rows, most, arena);
  T* lambda = arena.take_zeros<T>(rows * p.state.stride());
  const int64_t vector_numbers = p.batch * p.state.columns();
  if (g.end != nullptr) add_rows(p, g.end, begin, rows, lambda);
  for (int64_t l = 1; g.end_carried != nullptr && l <= g.end_vectors; ++l)
    add_rows(p, g.end_carried + (l - 1) * vector_numbers, begin, rows, stepper->carried_cotangents(l));

  for (int64_t end = p.length(begin); end > 0;) {  // a row joins in at its own end, where its lambda has waited
    const int64_t count = block.samples_to(end), first = end - count;
    block.fill(first, count);
    states.fill(first, count, block.rows);
    stepper->record(first, count, states);
    pullback.begin(first, count);
    for (int64_t i = count * p.saved_per_sample() - 1; i >= 0; --i) {
      const int64_t c = i / p.saved_per_sample(), state = first * p.saved_per_sample() + i;
      add_own(block, g.saved, state, lambda);
      states.fetch(state - count * p.saved_per_sample());
      stepper->reverse(first + c, c, i % p.saved_per_sample(), states, lambda);
    }
    stepper->add_weights(count, pullback);
    pullback.finish(first, count, stepper->preactivation_cotangents(), g);
    end = first;
  }
  copy_rows(p, lambda, begin, rows, g.y0);
  for (int64_t l = 1; g.carried != nullptr && l <= p.given; ++l)
    copy_rows(p, stepper->carried_cotangents(l), begin, rows, g.carried + (l - 1) * vector_numbers);
}

}  // namespace

template <class T>
void pull_back_rows(const Problem<T>& problem, const T* saved, const Gradients<T>& gradients, Sums<T>& sums,
                    int64_t begin, int64_t end) {
  for_row_blocks(problem, begin, end,
                 [&](int64_t first, int64_t rows) { pull_back_block(problem, saved, gradients, sums, first, rows); });
}

template void pull_back_rows<float>(const Problem<float>&, const float*, const Gradients<float>&, Sums<float>&, int64_t,
                                    int64_t);
template void pull_back_rows<double>(const Problem<double>&, const double*, const Gradients<double>&, Sums<double>&,
                                     int64_t, int64_t);

}  // namespace odernn
