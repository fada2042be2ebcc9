// Working memory that outlives a call: one stack of blocks a thread, and a small pool of large blocks for results.
// A fresh block of the size of a trajectory costs as much in page faults as the arithmetic that fills it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace odernn {

// What a thread keeps from one call to the next. More is freed: only weights of thousands of units need it, and they
// cost more to multiply.
constexpr size_t kArenaBytes = size_t(32) << 20;

// Where working memory comes from.
class Allocator {
 public:
  Allocator() = default;
  virtual ~Allocator() = default;
  Allocator(const Allocator&) = delete;
  Allocator& operator=(const Allocator&) = delete;

  // Uninitialised, aligned to 64 bytes; nullptr for n = 0.
  template <class T>
  T* take(int64_t n) {
    return n > 0 ? static_cast<T*>(take_bytes(static_cast<size_t>(n) * sizeof(T))) : nullptr;
  }

  template <class T>
  T* take_zeros(int64_t n) {
    T* p = take<T>(n);
    for (int64_t i = 0; i < n; ++i) p[i] = T(0);
    return p;
  }

 private:
  virtual void* take_bytes(size_t bytes) = 0;
};

// A stack of memory belonging to one thread. Take what is needed inside a Arena; it is given back when the Arena ends.
class Arena final : public Allocator {
 public:
  Arena();
  ~Arena() override;

 private:
  void* take_bytes(size_t bytes) override;
  size_t block_, used_;  // where the stack stood
};

// Memory that lasts as long as the OwnedArena, piece by piece: for what is packed once and used by many calls.
class OwnedArena final : public Allocator {
 public:
  ~OwnedArena() override;

 private:
  void* take_bytes(size_t bytes) override;
  std::vector<void*> pieces_;
};

// Blocks for results. `acquire_block` takes one that waits if it has the size or at most an eighth more;
// `release_block` lets it wait.
//
// What waits is bounded three times: by kPooledBytes, by kPooledBlocks, and, when a block of another size is needed, by
// what makes the pool hold no more than half as much again as was in use at once before. So sizes that change from call
// to call, as lengths of sequences do, find their pages again, and raise the peak of a process by half at most; the
// oldest blocks go first.
constexpr size_t kPooledBytes = size_t(2) << 30;
constexpr size_t kPooledBlocks = 4;
void* acquire_block(size_t bytes);  // std::bad_alloc
void release_block(void* data);
size_t pooled_bytes();
void empty_pool();  // and forget what was in use before

}  // namespace odernn
