#include "arena.h"

#include <algorithm>
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
  size_t first = size_t(1) << 16;  // size of the first block
  ~Stack() { clear(); }
  void clear() {
    for (const Block& b : blocks) std::free(b.data);
    blocks.clear();
  }
  size_t total() const {
    size_t sum = 0;
    for (const Block& b : blocks) sum += b.size;
    return sum;
  }
};

thread_local Stack stack;

}  // namespace

Arena::Arena() {
  ++stack.depth;
  block_ = stack.blocks.empty() ? 0 : stack.blocks.size() - 1;
  while (block_ > 0 && stack.blocks[block_].used == 0) --block_;
  used_ = stack.blocks.empty() ? 0 : stack.blocks[block_].used;
}

Arena::~Arena() {
  for (size_t i = block_; i < stack.blocks.size(); ++i) stack.blocks[i].used = i == block_ ? used_ : 0;
  if (--stack.depth > 0) return;
  const size_t total = stack.total();
  if (total > kArenaBytes) {
    stack.clear();
  } else if (stack.blocks.size() > 1) {  // the next call finds all of it in one piece
    stack.clear();
    stack.first = total;
  }
}

void* Arena::take_bytes(size_t bytes) {
  bytes = (bytes + 63) / 64 * 64;
  if (stack.blocks.empty() || stack.blocks.back().size - stack.blocks.back().used < bytes) {
    size_t size = stack.blocks.empty() ? stack.first : 2 * stack.blocks.back().size;
    if (size < bytes) size = bytes;
    stack.blocks.push_back({static_cast<char*>(allocate(size)), size, 0});
  }
  Block& b = stack.blocks.back();
  void* p = b.data + b.used;
  b.used += bytes;
  return p;
}

OwnedArena::~OwnedArena() {
  for (void* piece : pieces_) std::free(piece);
}

void* OwnedArena::take_bytes(size_t bytes) {
  pieces_.reserve(pieces_.size() + 1);  // so that keeping the piece cannot fail
  pieces_.push_back(allocate(bytes));
  return pieces_.back();
}

// ---- the pool
// -----------------------------------------------------------------------------------------------------------------

namespace {

struct Header {  // lies in the 64 bytes before what the caller sees
  size_t size;
};

struct Pool {
  std::mutex mutex;
  std::vector<Header*> waiting;  // the oldest first
  size_t waiting_bytes = 0, used_bytes = 0, most_used = 0;

  Header* take(size_t i) {
    Header* block = waiting[i];
    waiting.erase(waiting.begin() + static_cast<std::ptrdiff_t>(i));
    waiting_bytes -= block->size;
    return block;
  }

  // The smallest block of `size` bytes or at most an eighth more, or null.
  Header* find(size_t size) {
    size_t best = waiting.size();
    for (size_t i = 0; i < waiting.size(); ++i) {
      const bool fits = waiting[i]->size >= size && waiting[i]->size <= size + size / 8;
      if (fits && (best == waiting.size() || waiting[i]->size < waiting[best]->size)) best = i;
    }
    return best < waiting.size() ? take(best) : nullptr;
  }

  // Free the oldest until at most `blocks` blocks of `bytes` in all wait.
  void shrink(size_t blocks, size_t bytes) {
    while (!waiting.empty() && (waiting.size() > blocks || waiting_bytes > bytes)) std::free(take(0));
  }

  void use(size_t size) {
    used_bytes += size;
    most_used = std::max(most_used, used_bytes);
  }
};

Pool& pool() {
  static Pool* const forever = new Pool;  // a tensor may be given back after the destructors of statics
  return *forever;
}

char* contents(Header* block) {
  return reinterpret_cast<char*>(block) + 64;
}

}  // namespace

void* acquire_block(size_t bytes) {
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  const size_t size = bytes + 64;
  Header* block = p.find(size);
  if (block == nullptr) {
    const size_t most = std::max(p.most_used, p.used_bytes + size);
    p.shrink(kPooledBlocks, most + most / 2 - p.used_bytes - size);
    block = static_cast<Header*>(allocate(size));
    block->size = size;
  }
  p.use(block->size);
  return contents(block);
}

void release_block(void* data) {
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  auto* block = reinterpret_cast<Header*>(static_cast<char*>(data) - 64);
  p.used_bytes -= block->size;
  p.waiting_bytes += block->size;
  p.waiting.push_back(block);
  p.shrink(kPooledBlocks, kPooledBytes);
}

size_t pooled_bytes() {
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  return p.waiting_bytes;
}

void empty_pool() {
  Pool& p = pool();
  const std::lock_guard<std::mutex> lock(p.mutex);
  p.shrink(0, 0);
  p.most_used = p.used_bytes;
}

}  // namespace odernn
