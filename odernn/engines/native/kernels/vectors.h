// The vectors that a general linear method carries: where their rows are at the step that is worked on, forward and
// back.
#pragma once

#include <memory>
#include <vector>

#include "stepper.h"

namespace odernn {

// One of them. Forward it goes to two places in turn, or to those where it is kept; going back there are what was saved
// of it, its cotangents, and memory for those of the step before.
template <class T>
struct Carried {
  Role role = Role::kDropped;
  const T* const* now = nullptr;
  T **rows = nullptr, **next = nullptr, *kept = nullptr;
  const T** gathered = nullptr;
  std::unique_ptr<States<T>> states;
  T *lambda = nullptr, *lambda_before = nullptr;
};

template <class T>
class Vectors {
 public:
  explicit Vectors(Block<T>& block)
      : block_(block), p_(block.problem), each_(static_cast<size_t>(block.problem.vectors())) {
    for (int64_t l = 1; l < p_.vectors(); ++l) each_[l].role = p_.roles[l];
  }

  Carried<T>& operator[](int64_t l) { return each_[static_cast<size_t>(l)]; }
  const Carried<T>& operator[](int64_t l) const { return each_[static_cast<size_t>(l)]; }

  // ---- forward

  // Memory for the forward sweep; `kept` may be null.
  void take_rows(T* kept) {
    int64_t place = 0;
    for (int64_t l = 1; l < p_.vectors(); ++l) {
      Carried<T>& x = each_[l];
      if (x.role == Role::kStateBefore) continue;
      if (p_.is_kept(l) && kept != nullptr) x.kept = kept + place++ * p_.saved_rows * p_.state.columns();
      for (T*** rows : {&x.rows, &x.next}) {
        *rows = block_.arena.template take<T*>(block_.rows);
        point_at(block_.arena.template take_zeros<T>(numbers()), block_.columns(), block_.rows, *rows);
      }
      x.now = x.rows;
      const T* initial = p_.carried_vector(l);
      for (int64_t r = 0; r < block_.rows && initial != nullptr; ++r)
        copy_padded(p_.state, initial + (block_.begin + r) * p_.state.columns(), x.rows[r]);
    }
  }

  // The state before a step, and the one before that.
  void begin(const T* const* y, const T* const* previous) {
    each_[0].now = y;
    for (Carried<T>& x : each_)
      if (x.role == Role::kStateBefore) x.now = previous;
  }

  // Where the vector l goes in step `number`; null if it is the state before.
  T* const* place(int64_t l, int64_t number) {
    Carried<T>& x = each_[l];
    if (x.role == Role::kStateBefore) return nullptr;
    if (x.kept != nullptr && p_.state.same())
      for (int64_t r = 0; r < block_.rows; ++r) x.next[r] = kept_row(x, number, r);
    return x.next;
  }

  // After step `number`, which has made `made` vectors.
  void turn(int64_t number, int64_t made) {
    for (int64_t l = 1; l < p_.vectors(); ++l) {
      Carried<T>& x = each_[l];
      if (x.role == Role::kStateBefore) continue;
      if (l >= made) {
        clear(x, number);
        continue;
      }
      if (x.kept != nullptr && !p_.state.same())
        for (int64_t r = 0; r < block_.rows; ++r) copy_back(p_.state, x.next[r], kept_row(x, number, r));
      std::swap(x.rows, x.next);
      x.now = x.rows;
    }
  }

  // ---- back

  void take_cotangents(const T* kept) {
    int64_t place = 0;
    for (int64_t l = 1; l < p_.vectors(); ++l) {
      Carried<T>& x = each_[l];
      x.lambda = block_.arena.template take_zeros<T>(numbers());
      x.lambda_before = block_.arena.template take<T>(numbers());
      if (!p_.is_kept(l)) continue;
      x.states =
          std::make_unique<States<T>>(p_, kept + place++ * p_.saved_rows * p_.state.columns(), p_.carried_vector(l),
                                      nullptr, block_.begin, block_.rows, block_.most, block_.arena);
    }
    if (p_.substeps == 1) return;
    for (Carried<T>& x : each_) x.gathered = block_.arena.template take<const T*>(block_.most * block_.rows);
  }

  // For samples [first, first + count).
  void fill(int64_t first, int64_t count) {
    for (Carried<T>& x : each_)
      if (x.states != nullptr) x.states->fill(first, count, block_.rows);
  }

  // Let the vectors be those before step `number`, and before the same substep of the `count - 1` samples after it.
  void look_at(const States<T>& states, int64_t number, int64_t count) {
    for (Carried<T>& x : each_) {
      const bool of_state = &x == each_.data() || x.role == Role::kStateBefore;
      const States<T>* own = of_state ? &states : x.states.get();
      if (own == nullptr) continue;
      const int64_t place = number - (x.role == Role::kStateBefore ? 2 : 1), rows = block_.rows;
      x.now = own->at(place);
      if (count == 1 || p_.substeps == 1) continue;
      for (int64_t k = 0; k < count; ++k)
        std::copy(own->at(place + k * p_.substeps), own->at(place + k * p_.substeps) + rows, x.gathered + k * rows);
      x.now = x.gathered;
    }
  }

  // The cotangents before a step from `count` vectors take the place of those after it; rows that have not joined in
  // keep theirs.
  void turn_back(int64_t count) {
    const int64_t from = block_.rows * block_.columns(), to = block_.room / block_.most * block_.columns();
    for (int64_t m = 1; m < count; ++m) {
      Carried<T>& x = each_[m];
      std::copy(x.lambda + from, x.lambda + to, x.lambda_before + from);
      std::swap(x.lambda, x.lambda_before);
    }
  }

 private:
  int64_t numbers() const { return block_.rows * block_.columns(); }

  T* kept_row(const Carried<T>& x, int64_t number, int64_t r) const {
    return x.kept + p_.saved_place(number, block_.begin + r) * p_.state.columns();
  }

  // What is kept of a vector that is not there yet.
  void clear(const Carried<T>& x, int64_t number) const {
    for (int64_t r = 0; r < block_.rows && x.kept != nullptr; ++r)
      std::fill_n(kept_row(x, number, r), p_.state.columns(), T(0));
  }

  Block<T>& block_;
  const Problem<T>& p_;
  std::vector<Carried<T>> each_;
};

}  // namespace odernn
