// Tensors for what an operator returns.
#pragma once

#include <ATen/core/Tensor.h>

#include "arena.h"

namespace odernn {

using at::Tensor;

// An uninitialised tensor like `like`, of its own sizes; a large one comes from the pool of arena.h.
Tensor result(at::IntArrayRef sizes, const Tensor& like);

// In the place of what the call does not have or nobody asked for.
Tensor nothing(const Tensor& like);

template <class T>
T* data_or_null(Tensor& tensor) {
  return tensor.numel() > 0 ? tensor.data_ptr<T>() : nullptr;
}

}  // namespace odernn
