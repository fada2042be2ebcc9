// The table of a field's library.
#include "field.h"

#include "traced.h"

const odernn::FieldKernels* odernn_field_kernels() {
  using namespace odernn;
  static const FieldKernels kernels{Traced::kPreactivations,
                                    Traced::kControls,
                                    kLanes<float>,
                                    int64_t(sizeof(Problem<float>)),
                                    {&solve_rows<float>, &pull_back_rows<float>},
                                    {&solve_rows<double>, &pull_back_rows<double>}};
  return &kernels;
}
