#include "kept_half.h"

#include <c10/util/Exception.h>

#include "halves.h"

namespace odernn {
namespace {

// All of one step.
std::vector<KeptHalf> dense_halves(const Program& program, int64_t columns) {
  std::vector<KeptHalf> found;
  const std::vector<int64_t>& blocks = program.weight_blocks;
  for (size_t stage = 0; stage < program.b.size(); ++stage)
    for (size_t row = 0; 2 * row < blocks.size(); ++row) {
      const bool moves = program.moved.empty() || program.moved[stage] == static_cast<int64_t>(row % 2);
      const bool dense = blocks[2 * row] == kDense || blocks[2 * row + 1] == kDense;
      if (moves && dense) found.push_back({static_cast<int64_t>(stage), static_cast<int64_t>(row) * (columns / 2)});
    }
  return found;
}

}  // namespace

void check_keeps(const Arguments& x) {
  if (!x.program.keeps) return;
  const int64_t columns = x.y0.size(1);
  const bool of_field = x.field != nullptr && x.program.family == "runge-kutta";
  const bool exponential = x.program.family == "exponential";
  TORCH_CHECK_VALUE((of_field || exponential) && x.program.substeps == 1 && columns % (2 * kLanes<float>) == 0 &&
                        dense_halves(x.program, columns).size() == 1,
                    "`keeps` is true; give false but for an exponential method or a traced field's Runge-Kutta method "
                    "in one step a sample, of which `weight_blocks` has one dense half, of whole vectors");
}

KeptHalf kept_half(const Arguments& x) {
  return dense_halves(x.program, x.y0.size(1)).front();
}

}  // namespace odernn
