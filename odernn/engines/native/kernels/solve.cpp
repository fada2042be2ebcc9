// Forward: the rows of a shard of the batch through all of time.
#include "sweep.h"

namespace odernn {
namespace {

// Where the states go: straight into the caller's memory where its rows look like ours, else by way of padded rows.
template <class T>
class Output {
 public:
  Output(const Problem<T>& problem, int64_t begin, int64_t rows, T* saved, Arena& arena)
      : problem_(problem), begin_(begin), saved_(saved), direct_(saved != nullptr && problem.state.same()) {
    const int64_t stride = problem.state.stride();
    const T* before = problem.state_before();
    for (auto& state : states_) {
      state = arena.take<T*>(rows);
      T* buffer = arena.take_zeros<T>(rows * stride);
      for (int64_t r = 0; r < rows; ++r) state[r] = buffer + r * stride;
    }
    for (int64_t r = 0; r < rows; ++r) {
      copy_padded(problem.state, problem.y0 + (begin + r) * problem.state.columns(), states_[1][r]);
      if (before != nullptr) copy_padded(problem.state, before + (begin + r) * problem.state.columns(), states_[0][r]);
    }
  }

  T* const* previous() const { return states_[0]; }
  T* const* now() const { return states_[1]; }

  // Rows for saved state i, of the first `rows` rows.
  T* const* next(int64_t i, int64_t rows) {
    if (direct_)
      for (int64_t r = 0; r < rows; ++r) {
        states_[2][r] = saved(i, r);
        if (problem_.is_scattered()) fetch(i + 1, r);
      }
    return states_[2];
  }

  void turn(int64_t i, int64_t rows) {
    if (saved_ != nullptr && !direct_)
      for (int64_t r = 0; r < rows; ++r) copy_back(problem_.state, states_[2][r], saved(i, r));
    T** oldest = states_[0];
    states_[0] = states_[1];
    states_[1] = states_[2];
    states_[2] = oldest;
  }

  // Rows [from, to) of a state, to the caller's.
  void copy(const T* const* state, int64_t from, int64_t to, T* out) const {
    if (out == nullptr) return;
    for (int64_t r = from; r < to; ++r)
      copy_back(problem_.state, state[r], out + (begin_ + r) * problem_.state.columns());
  }

 private:
  // Ask for the memory of saved state i early: the processor does not foresee where it is.
  void fetch(int64_t i, int64_t r) const {
    if (i >= problem_.length(begin_ + r) * problem_.saved_per_sample()) return;
    prefetch(saved(i, r), problem_.state.columns());
  }

  T* saved(int64_t i, int64_t r) const {
    return saved_ + problem_.saved_place(i, begin_ + r) * problem_.state.columns();
  }

  const Problem<T>& problem_;
  int64_t begin_;
  T* saved_;
  bool direct_;
  T** states_[3];
};

template <class T>
void solve_block(const Problem<T>& p, int64_t begin, int64_t rows, const Solution<T>& solution) {
  Arena arena;
  const int64_t most = std::max<int64_t>(1, std::min(p.times, kSolveRows / rows));
  Block<T> block(p, begin, rows, most, arena);
  Output<T> output(p, begin, rows, solution.saved, arena);
  const auto stepper = make_stepper<T>(block, nullptr, nullptr, nullptr, solution.kept);
  output.copy(output.now(), block.rows_at(0), rows, solution.last);  // those without a sample end where they begin
  for (int64_t first = 0, count = 0; first < p.length(begin); first += count) {
    count = block.samples_from(first);
    block.fill(first, count);
    for (int64_t c = 0; c < count; ++c)
      for (int64_t substep = 0; substep < p.saved_per_sample(); ++substep) {
        const int64_t i = (first + c) * p.saved_per_sample() + substep;
        stepper->step(first + c, c, substep, output.now(), output.previous(), output.next(i, block.rows));
        output.turn(i, block.rows);
      }
    const int64_t longer = block.rows_at(first + count);
    output.copy(output.now(), longer, block.rows, solution.last);
    for (int64_t l = 1; l <= solution.end_vectors; ++l) {
      const T* const* vector = stepper->carried(l);
      output.copy(vector == nullptr ? output.previous() : vector, longer, block.rows,
                  solution.carried + (l - 1) * p.batch * p.state.columns());
    }
  }
}

}  // namespace

template <class T>
void solve_rows(const Problem<T>& problem, int64_t begin, int64_t end, const Solution<T>& solution) {
  for_row_blocks(problem, begin, end,
                 [&](int64_t first, int64_t rows) { solve_block(problem, first, rows, solution); });
}

template void solve_rows<float>(const Problem<float>&, int64_t, int64_t, const Solution<float>&);
template void solve_rows<double>(const Problem<double>&, int64_t, int64_t, const Solution<double>&);

}  // namespace odernn
