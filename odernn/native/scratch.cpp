#include "scratch.h"

#include <cstdlib>
#include <mutex>
#include <new>

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace odernn {
namespace {

constexpr size_t kHugePage = size_t(2) << 20;

void* allocate(size_t bytes) {
  const bool huge = bytes >= 2 * kHugePage;
  const size_t alignment = huge ? kHugePage : 64;
  void* p = std::aligned_alloc(alignment, (bytes + alignment - 1) / alignment * alignment);
  if (p == nullptr) throw std::bad_alloc();
#if defined(__linux__)
  if (huge) madvise(p, bytes, MADV_HUGEPAGE);  // fewer page faults; a refusal does no harm
#endif
  return p;
}

struct Block {
  char* data;
  size_t size, used;
};

struct Stack {
  std::vector<Block> blocks;
  int depth = 0;
  ~Stack() { clear(); }
  void clear() {
    for (const Block& b : blocks) std::free(b.data);
    blocks.clear();
  }
};

thread_local Stack stack;

}  // namespace

Scratch::Scratch() {
  ++stack.depth;
  block_ = stack.blocks.empty() ? 0 : stack.blocks.size() - 1;
  while (block_ > 0 && stack.blocks[block_].used == 0) --block_;
  used_ = stack.blocks.empty() ? 0 : stack.blocks[block_].used;
}

Scratch::~Scratch() {
  for (size_t i = block_; i < stack.blocks.size(); ++i) stack.blocks[i].used = i == block_ ? used_ : 0;
  if (--stack.depth == 0 && stack.blocks.size() > 1) {  // the next call finds all of it in one piece
    size_t total = 0;
    for (const Block& b : stack.blocks) total += b.size;
    stack.clear();
    stack.blocks.push_back({static_cast<char*>(allocate(total)), total, 0});
  }
}

void* Scratch::take_bytes(size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  if (stack.blocks.empty() || stack.blocks.back().size - stack.blocks.back().used < bytes) {
    size_t size = stack.blocks.empty() ? size_t(1) << 16 : 2 * stack.blocks.back().size;
    if (size < bytes) size = bytes;
    stack.blocks.push_back({static_cast<char*>(allocate(size)), size, 0});
  }
  Block& b = stack.blocks.back();
  void* p = b.data + b.used;
  b.used += bytes;
  return p;
}

// ---- the pool -----------------------------------------------------------------------------------------------------------------

namespace {

struct Header {  // lies in the 64 bytes before what the caller sees
  size_t size;
};

std::mutex pool_mutex;
std::vector<Header*> pool;

}  // namespace

void* acquire_block(size_t bytes) {
  const size_t size = bytes + 64;
  {
    std::lock_guard<std::mutex> lock(pool_mutex);
    size_t best = pool.size();
    for (size_t i = 0; i < pool.size(); ++i) {
      const bool fits = pool[i]->size >= size && pool[i]->size <= size + size / 8;
      if (fits && (best == pool.size() || pool[i]->size < pool[best]->size)) best = i;
    }
    if (best < pool.size()) {
      Header* h = pool[best];
      pool.erase(pool.begin() + static_cast<std::ptrdiff_t>(best));
      return reinterpret_cast<char*>(h) + 64;
    }
  }
  auto* header = static_cast<Header*>(allocate(size));
  header->size = size;
  return reinterpret_cast<char*>(header) + 64;
}

void release_block(void* p) {
  auto* header = reinterpret_cast<Header*>(static_cast<char*>(p) - 64);
  std::vector<Header*> dropped;
  {
    std::lock_guard<std::mutex> lock(pool_mutex);
    pool.push_back(header);
    size_t total = 0;
    for (const Header* b : pool) total += b->size;
    while (total > kPooledBytes || pool.size() > 4) {  // the oldest go first
      total -= pool.front()->size;
      dropped.push_back(pool.front());
      pool.erase(pool.begin());
    }
  }
  for (Header* b : dropped) std::free(b);
}

size_t pooled_bytes() {
  std::lock_guard<std::mutex> lock(pool_mutex);
  size_t total = 0;
  for (const Header* b : pool) total += b->size;
  return total;
}

void empty_pool() {
  std::lock_guard<std::mutex> lock(pool_mutex);
  for (Header* b : pool) std::free(b);
  pool.clear();
}

}  // namespace odernn
