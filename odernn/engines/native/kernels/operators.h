// The operators `solve` and `pull_back`, for whatever kernels.
#pragma once

#include <torch/library.h>

#include "field.h"

namespace odernn {

// Give them to a library of torch's, with the kernels of a field, or of the registered fields where there is no field.
void implement(torch::Library& library, const FieldKernels* field);

}  // namespace odernn
