#include "results.h"

#include <ATen/ops/empty.h>
#include <ATen/ops/from_blob.h>
#include <c10/util/safe_numerics.h>

#include <new>

namespace odernn {

Tensor result(at::IntArrayRef sizes, const Tensor& like) {
  constexpr uint64_t kPooledFrom = uint64_t(1) << 20;  // bytes; smaller results come from torch's allocator
  uint64_t count = 0, bytes = 0;
  const bool overflow =
      c10::safe_multiplies_u64(sizes, &count) || c10::mul_overflows(count, like.element_size(), &bytes);
  TORCH_CHECK(!overflow, "a result of shape ", sizes, " has more bytes than can be counted");
  if (bytes < kPooledFrom) return at::empty(sizes, like.options());
  try {
    return at::from_blob(acquire_block(bytes), sizes, release_block, like.options());
  } catch (const std::bad_alloc&) {
    TORCH_CHECK(false, "the system has no ", bytes, " bytes for a result of shape ", sizes);
  }
}

Tensor nothing(const Tensor& like) {
  return at::empty({0}, like.options());
}

}  // namespace odernn
